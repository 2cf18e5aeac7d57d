"""Writes the tables of docs/mqtt.md from models and a running site: `python -m tests.contract.mqtt_docs`."""

from __future__ import annotations

import json
import types
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from controller.alarms import ALARMS
from controller.backfill import Minutes
from controller.clock import local_time
from controller.commands import COMMANDS, Command
from controller.dispatch.orders import LocalTime
from controller.dispatch.settings import DemandSettings
from controller.messages import MESSAGES
from controller.plan_keeper import Standing
from controller.plan_words import plan_message
from controller.planning.plan import make_plan
from controller.planning.skill import Skill
from controller.state_file import KeptOrder
from controller.telemetry import state_message
from tests.contract.tables import with_tables
from tests.unit.ordered_site import LIMITED, OrderedSite, on_a_site
from tests.unit.planning.sites import inputs, known

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "mqtt.md"
COMMAND: Final = "python -m tests.contract.mqtt_docs"
NOON_UTC_S: Final = 1_780_315_200.0
HOW: Final = {
    "state": "retained, on every beat but at most once a second",
    "device/<id>": "retained, every 10 s, at once when it is lost or comes back",
    "energy": "retained, every 10 s",
    "demand": "retained, every 10 s, with `[demand]` in the site file",
    "plan": "retained, when a new one is made, and every 5 minutes, with `[tariff]` in the site file",
    "orders": "retained, at once when an order comes or ends, and every 10 s",
    "reply/<id>": "not retained, within a second of the command",
    "event": "not retained, when something happens; of refused commands ten a minute for each command",
    "backfill": "not retained, after an outage of the broker, one message for each minute of it",
}
COMMON: Final = tuple(Command.model_fields)
ASKED: Final[dict[str, dict[str, Any]]] = {
    "setpoint": {"battery_discharge_w": 9000, "valid_for_s": 300},
    "limits": {"import_limit_w": 5000, "max_charge_w": 2000, "valid_for_s": 3600},
    "operator": {"import_limit_w": 4200, "valid_for_s": 900},
    "reserve": {"reserve_pct": 60},
    "policy": {"policy": "standby"},
    "stop": {},
    "start": {},
    "clear_fault": {},
    "inject": {"device": "bat1", "fault": "silent", "valid_for_s": 30},
}


def examples() -> tuple[dict[str, Any], dict[str, Any]]:
    """The newest message of each topic, and the answer to each command, of a small site at noon."""
    told: dict[str, Any] = {}
    replies: dict[str, Any] = {}

    def noon() -> tuple[float, LocalTime]:
        return NOON_UTC_S, local_time(NOON_UTC_S, None)

    async def keep(orders: Sequence[KeptOrder], command_id: str, who: str, what: str) -> bool:
        return True

    async def work(site: OrderedSite) -> None:
        site.outside.remember((), (), keep)
        for suffix in ("state", "device/bat1", "energy", "demand"):
            told[suffix.replace("bat1", "<id>")] = site.newest(suffix)
        minutes = Minutes()
        for utc_s in (NOON_UTC_S, NOON_UTC_S + 60.0):
            done = minutes.add(state_message(LIMITED, site.cycles[-1]), utc_s)
        assert done is not None
        told["backfill"] = json.loads(done[1])
        for name, fields in ASKED.items():
            replies[name] = await site.asked(name, f"my-{name}", **fields)
            await site.seconds(1.1)
            if name == "policy":
                told["orders"] = site.newest("orders")
        told["reply/<id>"] = replies["setpoint"]
        told["event"] = site.events("command")[0]

    on_a_site(work, replace(LIMITED, demand=DemandSettings(target_w=4000.0)), noon)
    told["plan"] = _plan()
    return told, replies


def _plan() -> dict[str, Any]:
    """Two hours of a plan: sun to store, then a dear evening."""
    given = replace(inputs(known(-2000, 2000), [0.20, 0.50], 0.08), begin_utc_s=NOON_UTC_S)
    table = make_plan(given)
    standing = Standing(table, table.orders_plan(), 2, "turn", NOON_UTC_S)
    skill = Skill(7, 212.0, 340.0, 95.0, 130.0)
    message = plan_message(standing, skill, "EUR", lambda utc_s: 0.0)
    return message.model_dump(mode="json")


def message_tables(told: dict[str, Any]) -> str:
    """A section a message: how it comes, its keys, an example."""
    parts = []
    for topic, model in MESSAGES.items():
        parts += [f"### `{topic}`", "", f"{_says(model)} *{HOW[topic][0].upper()}{HOW[topic][1:]}.*", ""]
        parts += _rows(model, tuple(model.model_fields))
        for key, inner in _inner(model):
            parts += ["", f"Each of `{key}`:", "", *_rows(inner, tuple(inner.model_fields))]
        if topic in told:
            parts += ["", "```json", _json(told[topic]), "```"]
        parts.append("")
    return "\n".join(parts).rstrip()


def command_tables(replies: dict[str, Any]) -> str:
    """What all commands have, then a section each with its answer."""
    parts = ["### What every command may have", "", *_rows(Command, COMMON), ""]
    for name, model in COMMANDS.items():
        own = tuple(key for key in model.model_fields if key not in COMMON)
        stays = model.model_fields["valid_for_s"].default is None
        lasts = "Stays until changed, unless `valid_for_s` says how long." if stays else ""
        parts += [f"### `command/{name}`", "", f"{_says(model)} {lasts}".rstrip(), ""]
        if own:
            parts += [*_rows(model, own), ""]
        asked = json.dumps({"id": f"my-{name}", **ASKED[name]})
        parts += ["```", f"mosquitto_pub -t penstock/house-7/command/{name} -m '{asked}'"]
        parts += [_json(replies[name]), "```", ""]
    return "\n".join(parts).rstrip()


def alarm_table() -> str:
    """Every alarm and what it means."""
    return "\n".join(
        ["| alarm | means |", "|---|---|", *(f"| `{name}` | {says} |" for name, says in ALARMS.items())]
    )


def _inner(model: type[BaseModel]) -> list[tuple[str, type[BaseModel]]]:
    """The keys that are lists of objects, and what these are."""
    found = [(key, get_args(field.annotation)) for key, field in model.model_fields.items()]
    return [
        (key, parts[0])
        for key, parts in found
        if parts and isinstance(parts[0], type) and issubclass(parts[0], BaseModel)
    ]


def _says(model: type[BaseModel]) -> str:
    text = " ".join((model.__doc__ or "").split())
    _, _, rest = text.partition(": ")
    return rest[0].upper() + rest[1:]


def _rows(model: type[BaseModel], keys: tuple[str, ...]) -> list[str]:
    rows = ["| key | type | |", "|---|---|---|"]
    return rows + [_row(key, model.model_fields[key]) for key in keys]


def _row(key: str, field: FieldInfo) -> str:
    says = field.description or ""
    default = field.get_default(call_default_factory=True, validated_data={})
    if not field.is_required() and default not in (None, {}):
        says = f"{says} (default {json.dumps(default)})"
    return f"| `{key}` | {_type(field.annotation)} | {says.strip()} |"


def _type(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        known = [_type(part) for part in parts]
        return " or ".join(dict.fromkeys(known))
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin is dict:
        return f"object of {_type(parts[1])}"
    if origin is list:
        return f"list of {_type(parts[0])}"
    if hasattr(annotation, "__metadata__"):
        return _type(parts[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}
    return names.get(annotation, "word")


def _json(body: dict[str, Any]) -> str:
    return json.dumps(body, indent=1, ensure_ascii=False)


def rewritten(page: str) -> str:
    """The page with all tables as the code has them; ValueError when a marker is missing or stands twice."""
    told, replies = examples()
    tables = {"messages": message_tables(told), "commands": command_tables(replies), "alarms": alarm_table()}
    return with_tables(page, tables, "docs/mqtt.md")


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
