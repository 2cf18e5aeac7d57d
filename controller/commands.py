"""The door for commands from outside: bytes of a stranger in, a checked command or a refusal out.

Strict JSON: what the standard library lets through (NaN, 1e999, duplicate keys, numbers of any length) is
refused here, and the size is bounded before anything is parsed, so no message takes more than a millisecond.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from math import isfinite
from typing import Annotated, Any, ClassVar, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from controller.sitefile import PolicyName
from drivers.doors import nearest

MOST_BYTES = 2048
MOST_BRACKETS = 32
MOST_DIGITS = 18
ID = "[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}"
VALID_FOR_S = 60.0
LONGEST_S = 86_400.0

Watts = Annotated[float, Field(ge=0, le=1e9)]
Power = Annotated[float, Field(ge=-1e9, le=1e9)]
Lease = Annotated[
    float | None, Field(gt=0, le=LONGEST_S, description="so long it holds, s; without it, until changed")
]


class RefusedError(ValueError):
    """A command was refused; the text says why, `id` is who to answer, "" when that is not known."""

    def __init__(self, reason: str, id_: str = "") -> None:
        super().__init__(reason)
        self.id = id_


class Command(BaseModel):
    """What every command has."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    name: ClassVar[str]

    id: str = Field(pattern=f"^{ID}$", description="yours; the answer has it")
    valid_for_s: float | None = Field(
        VALID_FOR_S, gt=0, le=LONGEST_S, description="so long it holds, s; null only where it may stay"
    )
    issued_at: str | None = Field(
        None, max_length=40, description="UTC or with offset, ISO 8601; refused when older than 60 s"
    )
    seq: int | None = Field(None, ge=0, description="refused when not above the last one of this command")
    site: str | None = Field(None, description="refused when it is not this site's name")
    version: int = Field(1, ge=1, le=1, description="of this schema")

    @field_validator("issued_at")
    @classmethod
    def _an_instant(cls, text: str | None) -> str | None:
        if text is not None and _instant(text) is None:
            raise ValueError('give an instant such as "2026-06-01T12:00:00Z"')
        return text

    @property
    def issued_at_utc_s(self) -> float | None:
        """UTC seconds, None when it was not said."""
        return None if self.issued_at is None else _instant(self.issued_at)


class Ending(Command):
    """A command that always has an end."""

    valid_for_s: float = Field(VALID_FOR_S, gt=0, le=LONGEST_S, description="so long it holds, s")


class Setpoint(Ending):
    """`setpoint`: what battery or PCC shall do; the `follow` policy decides while it holds.

    Neither of the two ends the setpoint in force.
    """

    name = "setpoint"
    battery_discharge_w: Power | None = Field(None, description="of all batteries, W; negative charges")
    pcc_import_w: Power | None = Field(None, description="of the site at the meter, W; negative exports")

    @model_validator(mode="after")
    def _one(self) -> Setpoint:
        if self.battery_discharge_w is not None and self.pcc_import_w is not None:
            raise ValueError("give battery_discharge_w or pcc_import_w, not both")
        return self


class Limits(Ending):
    """`limits`: what may at most flow; they only tighten what the site file allows.

    All four are replaced; one that is not given is no limit, so a command with none lifts all.
    """

    name = "limits"
    import_limit_w: Watts | None = Field(None, description="at the PCC, W")
    export_limit_w: Watts | None = Field(None, description="at the PCC, W")
    max_charge_w: Watts | None = Field(None, description="of all batteries, W")
    max_discharge_w: Watts | None = Field(None, description="of all batteries, W")


class Operator(Ending):
    """`operator`: a grid operator's order, stronger than policy, reserve and setpoints.

    Both are replaced, as with `limits`.
    """

    name = "operator"
    import_limit_w: Watts | None = Field(None, description="at the PCC, W")
    export_limit_w: Watts | None = Field(None, description="at the PCC, W")


class Reserve(Command):
    """`reserve`: keep more for an outage than the site file says, never less. Null: as the site file says."""

    name = "reserve"
    valid_for_s: Lease = None
    reserve_pct: float | None = Field(ge=0, le=100, description="%")


class Policy(Command):
    """`policy`: which policy decides. Null: the site file's."""

    name = "policy"
    valid_for_s: Lease = None
    policy: PolicyName | None


class Stop(Command):
    """`stop`: hand every device back to its own program."""

    name = "stop"
    valid_for_s: Lease = None
    stop: bool = Field(True, description="false: as the command start")


class Start(Ending):
    """`start`: end a stop."""

    name = "start"


class ClearFault(Ending):
    """`clear_fault`: leave FAULT, after somebody has looked at what it was."""

    name = "clear_fault"


class Inject(Ending):
    """`inject`: bring a fault about, in a simulation only.

    Without `fault` it ends those of the device, without `device` all of them.
    """

    name = "inject"
    device: str | None = Field(None, max_length=32, description="its id, or site")
    fault: str | None = Field(None, max_length=64, description="its name, or its ID of the fault catalogue")
    parameters: dict[str, float | bool | str] = Field(default_factory=dict, description="of the fault")

    @model_validator(mode="after")
    def _somewhere(self) -> Inject:
        if self.fault is not None and self.device is None:
            raise ValueError("give the device that shall have the fault")
        return self


COMMANDS: dict[str, type[Command]] = {
    one.name: one for one in (Setpoint, Limits, Operator, Reserve, Policy, Stop, Start, ClearFault, Inject)
}


def parse(name: str, payload: bytes, site: str) -> Command:
    """The command of `command/<name>`; RefusedError says in a sentence what is wrong with it."""
    try:
        return _parsed(name, payload, site)
    except RefusedError as error:
        raise RefusedError(str(error), _id_of(payload)) from None


def _parsed(name: str, payload: bytes, site: str) -> Command:
    model = COMMANDS.get(name)
    if model is None:
        raise RefusedError(f"there is no command {_short(name)}; {nearest(name, list(COMMANDS))}")
    try:
        command = model.model_validate(strict_json(payload))
    except ValidationError as error:
        found_wrong = error.errors(include_url=False, include_context=False)
        raise RefusedError("; ".join(_sentence(model, one) for one in found_wrong[:3])) from None
    if command.site is not None and command.site != site:
        raise RefusedError(f"is for site {_short(command.site)}, this is {site}")
    return command


def _id_of(payload: bytes) -> str:
    """Who to answer, of a message that is refused; "" when it does not say exactly that."""
    if len(payload) > MOST_BYTES or _brackets(payload) > MOST_BRACKETS:
        return ""
    try:
        # What is wrong with a number is no matter here. An object is told by its tuple.
        pairs = json.loads(
            payload.decode(), object_pairs_hook=tuple, parse_int=_no_matter, parse_float=_no_matter
        )
    except ValueError:
        return ""
    found = [value for key, value in pairs if key == "id"] if isinstance(pairs, tuple) else []
    said = found[0] if len(found) == 1 else None
    return said if isinstance(said, str) and re.fullmatch(ID, said) else ""


def strict_json(payload: bytes) -> dict[str, Any]:
    """The one JSON object of a message; RefusedError for all that is not exactly that."""
    if len(payload) > MOST_BYTES:
        raise RefusedError(f"has {len(payload)} bytes, allowed are {MOST_BYTES}")
    if _brackets(payload) > MOST_BRACKETS:
        raise RefusedError("is nested too deeply")
    try:
        found = json.loads(
            payload.decode("utf-8"),
            object_pairs_hook=_no_key_twice,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
    except UnicodeDecodeError:
        raise RefusedError("is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise RefusedError(f"is not JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(found, dict):
        raise RefusedError("is not a JSON object {...}")
    return found


def _no_matter(text: str) -> None:
    return None


def _brackets(payload: bytes) -> int:
    return payload.count(b"{") + payload.count(b"[")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RefusedError("has a key twice")
    return found


def _no_constant(text: str) -> NoReturn:
    raise RefusedError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise RefusedError("has a number that is too large")
    return number


def _integer(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise RefusedError("has a number that is too long")
    return int(text)


def _instant(text: str) -> float | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if at.tzinfo is None else at.timestamp()


def _sentence(model: type[Command], error: ErrorDetails) -> str:
    key = str(error["loc"][0]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return f"{_short(key)} is not a known key; {nearest(key, list(model.model_fields))}"
    if error["type"] == "missing":
        return f"{key} is missing"
    what = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{key}: {what}" if key else what


def _short(text: str) -> str:
    """Somebody else's text, made harmless for a log line and an answer."""
    shown = ascii(text)
    return shown if len(shown) <= 50 else f"{shown[:47]}..."
