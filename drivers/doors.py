"""The door for every TOML file: syntax, unknown keys and bad values become sentences that say what to fix.

Used for site files and device profiles; each error names file, line, key, the value found and what would
be right, and all errors of a file are listed at once.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from drivers.toml_hints import hint
from drivers.toml_lines import lines

MAX_FILE_BYTES = 1_000_000
SECRET = re.compile("pass|secret|token|@", re.IGNORECASE)
"""A line that may hold one is not shown."""
_URL = re.compile(r'://.*?("?)$', re.DOTALL)
"""In a URL may be a password or a token, and what is wrong with a file is told in logs and on the phone."""
_NO_TABLE = ("model_type", "model_attributes_type", "dict_type")
Model = TypeVar("Model", bound=BaseModel)
Where = Sequence[str | int]


class DoorError(ValueError):
    """A file was refused; each line of the text is one thing to fix."""


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """The text and the tables of a TOML file; DoorError when there is none or it does not parse."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DoorError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_toml(path, raw)


def parse_toml(path: Path, raw: bytes) -> tuple[str, dict[str, Any]]:
    """The text and the tables of what a TOML file holds; DoorError when it does not parse."""
    if len(raw) > MAX_FILE_BYTES:
        raise DoorError(f"{path}: has {len(raw)} bytes; a file of this kind is well under {MAX_FILE_BYTES}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        byte = f"byte 0x{raw[error.start]:02x}"
        raise DoorError(f"{path}:{line}: is not UTF-8 text ({byte}); save the file as UTF-8") from None
    try:
        tables = tomllib.loads(text.replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        raise DoorError(f"{path}{_unparsed(text, error)}") from None
    if wrong := [place(path, text, where) for where in _beyond_64_bits(tables, ())]:
        raise DoorError("\n".join(f"{at} is a whole number of more than 64 bits" for at in wrong))
    return text, tables


def _unparsed(text: str, error: ValueError | RecursionError) -> str:
    """Where the text is no TOML, what stands there, and what would be right."""
    if not isinstance(error, tomllib.TOMLDecodeError | RecursionError):  # digits beyond what Python reads
        return f"{_at_longest_number(text)}: not valid TOML: a number has thousands of digits"
    what = re.sub(r" \(at .*\)", "", str(error))
    said = f"not valid TOML: {what[0].lower()}{what[1:]}"
    where = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
    if where is None:
        return f": {said}"
    line = text.split("\n")[int(where[1]) - 1].strip()
    found = "" if SECRET.search(line) else f" in `{one_line(_cut(line))}`"
    right = hint(line, what)
    return f":{where[1]}:{where[2]}: {said}{found}{f'; {right}' if right else ''}"


def _at_longest_number(text: str) -> str:
    longest = max(re.finditer(r"[0-9_]+", text), key=lambda found: len(found[0]))
    return f":{text.count(chr(10), 0, longest.start()) + 1}"


def _beyond_64_bits(value: Any, where: tuple[str | int, ...]) -> Iterator[Where]:
    """Where whole numbers stand that no register and no float can hold."""
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        yield where
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield from _beyond_64_bits(one, (*where, key))


def validate(path: Path, text: str, model: type[Model], tables: dict[str, Any]) -> Model:
    """The tables as a `model`, or DoorError with one line for each thing that is wrong."""
    try:
        return model.model_validate(tables)
    except ValidationError as error:
        found = error.errors(include_url=False)
        lines = dict.fromkeys(one_line(_sentence(path, text, model, one)) for one in found)
        raise DoorError("\n".join(lines)) from None


def one_line(text: str) -> str:
    """Keys and values may hold line breaks and worse; what is told of them is one line that can be shown."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def place(path: Path, text: str, where: Where) -> str:
    """`file:line: battery[0].min_soc_pct`, as far as the line can be found."""
    line = line_of(text, where)
    return f"{path}{f':{line}' if line else ''}: {dotted(where)}"


def dotted(where: Where) -> str:
    """`battery[0].min_soc_pct` for ("battery", 0, "min_soc_pct")."""
    out = ""
    for part in where:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def line_of(text: str, where: Where) -> int | None:
    """The line on which a key is written, or else the nearest table or list that it belongs to."""
    found = lines(text)
    path = tuple(where)
    while path and path not in found:
        path = path[:-1]
    return found.get(path)


def nearest(word: str, known: Sequence[str]) -> str:
    """` (did you mean "cycle_s"?)`, or the known words when none is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known here: {', '.join(sorted(known))}"


def _sentence(path: Path, text: str, model: type[BaseModel], error: ErrorDetails) -> str:
    loc = [part for part in error["loc"] if part not in ("function-after", "function-wrap")]
    where, owner = _walk(model, loc)
    at = place(path, text, where)
    key = str(where[-1]) if where else ""
    if error["type"] == "extra_forbidden":
        if len(where) > 1 and key in model.model_fields and not isinstance(error["input"], dict | list):
            return f"{at} is not a known key; {key} stands at the top of the file, above the first [table]"
        known = sorted(field.alias or name for name, field in owner.model_fields.items()) if owner else []
        return f"{at} is not a known key; {nearest(key, known)}"
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        named = error["ctx"]["discriminator"].strip("'")
        known = re.findall(r"'([^']*)'", error["ctx"].get("expected_tags", ""))
        at, word = place(path, text, (*where, named)), error["ctx"].get("tag")
        return f'{at} is "{word}"; {nearest(word, known)}' if word else f"{at} is missing"
    fields = owner.model_fields.items() if owner is not None else ()
    field = next((one for name, one in fields if key in (one.alias, name)), None)
    meant = f" ({field.description})" if field and field.description else ""
    if error["type"] == "missing":
        return f"{at} is missing{meant}"
    if error["type"] == "too_long":
        most = error["ctx"]["max_length"]
        return f"{place(path, text, (*where, most))} is one too many: {most} at most{meant}"
    if (
        field
        and _models_in(field.annotation)
        and error["type"] in (*_NO_TABLE, "list_type")
        and isinstance(error["input"], dict | list)
    ):
        table = ".".join(part for part in where if isinstance(part, str))
        return f"{at} should be {f'[[{table}]]' if error['type'] == 'list_type' else f'[{table}]'}{meant}"
    shown = _shown(error["input"])
    if key != "connection":  # of a device: nothing secret has a place in it
        shown = _URL.sub(r"://...\1", shown)
    right = _what(error, meant)
    return f"{at} is {shown}: {right}{'' if right in meant or meant[2:-1] in right else meant}"


def _what(error: ErrorDetails, meant: str) -> str:
    """What is wrong with a value, without the words of the program's own types."""
    if error["type"] in _NO_TABLE:
        return "should be a table"
    if error["type"] == "string_pattern_mismatch" and meant:
        return "should have another form"
    return error["msg"].removeprefix("Value error, ").removeprefix("Input ")


def _shown(value: Any) -> str:
    """A value as TOML writes it, or nearly; long ones are cut, of tables is told only that they are some."""
    if isinstance(value, dict):
        text = "a table"
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        text = "a list of tables"
    elif isinstance(value, str):
        text = f'"{value}"'
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, date | time):
        text = value.isoformat()
    else:
        text = repr(value)
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _walk(model: type[BaseModel], loc: Where) -> tuple[list[str | int], type[BaseModel] | None]:
    """Where an error lies, as the file says it, and the model in which its last key is defined.

    Where one of several kinds of table may stand, pydantic puts the kind between index and key.
    """
    where: list[str | int] = []
    owner: type[BaseModel] | None = None
    at: list[type[BaseModel]] = [model]
    for part in loc:
        if isinstance(part, int):
            where.append(part)
            continue
        tagged = [one for one in at if len(at) > 1 and _tag(one) == part]
        if tagged:
            at = tagged
            continue
        owner = at[0] if len(at) == 1 else None
        where.append(part)
        field = None
        if owner is not None:
            field = next((f for n, f in owner.model_fields.items() if part in (f.alias, n)), None)
        at = _models_in(field.annotation) if field is not None else []
    return where, owner


def _tag(model: type[BaseModel]) -> str | None:
    """The kind of table that a model is, by its one key that can hold only one word."""
    for field in model.model_fields.values():
        words = get_args(field.annotation)
        if get_origin(field.annotation) is Literal and len(words) == 1:
            return str(words[0])
    return None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]
