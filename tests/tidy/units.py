"""The rule that a number's name ends in its unit: fields, arguments and constants of the three packages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.tidy.source import Source

QUANTITIES = """
power energy soc limit setpoint timeout period capacity voltage frequency current temperature price
import export charge discharge generation load reserve deadline age delay interval duration gap ramp rated
taken
"""
UNITS = "w kw va var wh kwh ah a v hz c k s ms us ns min h day year pct ct eur ohm"
# Last words of numbers that have no unit.
BARE = "count share ratio factor efficiency index phase registers words changes violations steps cycles"
NUMBERS = {"float", "int"}

# file: name -> why it may stand without a unit.
ALLOWED: dict[str, dict[str, str]] = {
    "controller/dispatch/orders.py": dict.fromkeys(
        ("import_per_kwh", "export_per_kwh"), "in the site's own currency"
    ),
    "controller/lab/study/case.py": dict.fromkeys(
        ("energy_cost", "export_credit"), "in the tariff's own currency"
    ),
    "controller/messages.py": dict.fromkeys(
        ("import_per_kwh", "export_per_kwh"), "in the tariff's own currency"
    ),
    "controller/planning/request.py": {"price_per_kw": "in the tariff's own currency"},
    "controller/sitefile.py": dict.fromkeys(
        ("charge_by_temperature", "discharge_by_temperature", "charge_by_soc", "discharge_by_soc"),
        "curves: pairs of a number and a share",
    ),
    "drivers/control.py": {"setpoint": "in the device's own unit, W or %, as its profile says"},
    "drivers/registers.py": {"power": "a power of ten, not of watts"},
    "simulators/emulator/registers.py": {"power": "a power of ten, not of watts"},
    "simulators/virtual_time.py": {"timeout": "the name is that of selectors.BaseSelector.select"},
}


def has_unit(name: str) -> bool:
    """Whether the last word, and each one around a `per`, is a unit: `limit_w`, `price_ct_per_kwh`."""
    words = name.lower().strip("_").split("_")
    if words[-1] not in f"{UNITS} {BARE}".split():
        return False
    return all(
        {words[place - 1], words[place + 1]} <= set(UNITS.split())
        for place, word in enumerate(words)
        if word == "per" and 0 < place < len(words) - 1
    )


def _is_number(annotation: ast.expr | None) -> bool:
    """Whether the annotation speaks of a float or an int anywhere, quoted or not; a function is no number."""
    if annotation is None or ast.unparse(annotation).startswith("Callable"):
        return False
    return any(word in NUMBERS for word in re.findall(r"\w+", ast.unparse(annotation)))


def _named_numbers(source: Source) -> Iterator[tuple[str, ast.stmt | ast.arg]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                if _is_number(argument.annotation):
                    yield argument.arg, argument
        elif (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and _is_number(node.annotation)
        ):
            yield node.target.id, node
    for statement in source.tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int() | float() as value)):
                # True and False are ints as well.
                if value is not True and value is not False:
                    yield name, statement


def names_carry_units(source: Source) -> Iterator[str]:
    for name, node in _named_numbers(source):
        spoken_of = set(QUANTITIES.split()) & set(name.lower().split("_"))
        if spoken_of and not has_unit(name) and name not in ALLOWED.get(source.path, {}):
            yield source.at(
                node, f"{name}: {sorted(spoken_of)[0]} in what unit? End the name in _w, _wh, _pct, _s, ..."
            )
