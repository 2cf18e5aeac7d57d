"""Run by the Python of Home Assistant: is the discovery document on stdin what this version accepts?

Validates the whole document and then every component as Home Assistant does after merging in what the device
has in common, and renders every template. Prints what is wrong; exit code 1 if anything is.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import voluptuous as vol
from homeassistant.components.mqtt.schemas import DEVICE_DISCOVERY_SCHEMA, SHARED_OPTIONS
from homeassistant.const import __version__
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import frame
from homeassistant.helpers.template import Template

_HASS: list[HomeAssistant] = []


def wrong_with(document: dict[str, Any], states: dict[str, Any]) -> list[str]:
    """A line for each thing Home Assistant does not accept."""
    DEVICE_DISCOVERY_SCHEMA(document)
    found = []
    for key, component in document["components"].items():
        platform = component["platform"]
        if set(component) == {"platform"}:
            continue
        schema = importlib.import_module(f"homeassistant.components.mqtt.{platform}").DISCOVERY_SCHEMA
        shared = {name: document[name] for name in (*SHARED_OPTIONS, "qos") if name in document}
        merged = {**shared, **{name: value for name, value in component.items() if name != "platform"}}
        try:
            accepted = schema({**merged, "device": document["device"], "origin": document["origin"]})
        except (vol.Invalid, HomeAssistantError) as error:
            found.append(f"{key}: {error}")
            continue
        lost = set(merged) - set(accepted)
        if lost:
            found.append(f"{key}: {sorted(lost)} are not known to {platform}")
        state = states[component["state_topic"]]
        shown = _rendered(component["value_template"], value_json=state, value=json.dumps(state))
        if "options" in component and shown not in component["options"]:
            found.append(f"{key}: {shown} is none of its options")
        if component.get("state_class") and shown != "None":
            float(shown)
    return found


def _rendered(text: str, **variables: Any) -> str:
    return str(Template(text, _hass()).async_render(variables, parse_result=False))


def _hass() -> HomeAssistant:
    """One for all, made inside the running loop."""
    if not _HASS:
        _HASS.append(HomeAssistant("."))
        frame.async_setup(_HASS[0])
    return _HASS[0]


def commands_of(document: dict[str, Any]) -> dict[str, list[str]]:
    """What it would send on each command topic."""
    values = {"select": ["standby"], "switch": ["true", "false"], "number": [35.0]}
    found: dict[str, list[str]] = {}
    for component in document["components"].values():
        if "command_template" in component:
            for value in values[component["platform"]]:
                sent = _rendered(component["command_template"], value=value)
                found.setdefault(component["command_topic"], []).append(sent)
    return found


async def main() -> int:
    given = json.load(sys.stdin)
    _hass()
    found = wrong_with(given["document"], given["states"])
    print(json.dumps({"version": __version__, "wrong": found, "commands": commands_of(given["document"])}))
    return 1 if found else 0


if __name__ == "__main__":
    import asyncio

    sys.exit(asyncio.run(main()))
