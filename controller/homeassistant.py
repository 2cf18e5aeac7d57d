"""Home Assistant finds the site by itself: one retained discovery document for the whole device.

It goes out after connecting and whenever Home Assistant says that it has started. A component that an earlier
site file had and this one has not stays in the document with its platform alone: that is how Home Assistant
is told to remove it, also when it was off at the time.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from typing import Any

from controller import __version__
from controller.alarms import ALARMS
from controller.dispatch.modes import Mode
from controller.mqtt import Hearing, Inbound
from controller.outbox import Outbox
from controller.site_mqtt import discovery_topic

log = logging.getLogger("penstock.mqtt")

LONGEST_DOCUMENT = 65_536
ANNOUNCED_EVERY_S = 10.0
"""The document goes out no more often, however often somebody says that Home Assistant has started."""
MOST_REMOVED = 200
_PLATFORMS = frozenset({"sensor", "binary_sensor", "select", "switch", "number"})
_KEY = re.compile(r"[a-z0-9_-]{1,64}")
"""What components of ours are called and are; whatever else stands in a document is not repeated. For one
platform that it does not know Home Assistant refuses a whole document, with every entity of the site."""
_ENERGY = {
    "import_wh": "Grid import",
    "export_wh": "Grid export",
    "charge_wh": "Battery charge",
    "discharge_wh": "Battery discharge",
    "pv_wh": "PV production",
    "load_wh": "House consumption",
}
_ID = '"id": "ha-{{ (utcnow().timestamp() * 1000) | int }}", "issued_at": "{{ utcnow().isoformat() }}"'
"""What Home Assistant puts into every command: an id of its own, and when it was given."""

Component = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Home:
    """What Home Assistant has to know of the site; `devices` are their ids."""

    site: str
    devices: tuple[str, ...]
    policies: tuple[str, ...]
    reserve_pct: float


@dataclass(frozen=True, slots=True)
class Part:
    """A sensor of the `state`: its key, name, unit and device class."""

    key: str
    name: str
    unit: str
    device_class: str


_STATE = (
    Part("pcc_import_w", "Grid power", "W", "power"),
    Part("load_w", "House power", "W", "power"),
    Part("pv_generation_w", "PV power", "W", "power"),
    Part("battery_discharge_w", "Battery power", "W", "power"),
    Part("setpoint_w", "Battery setpoint", "W", "power"),
    Part("soc_pct", "State of charge", "%", "battery"),
)


def components(home: Home) -> dict[str, Component]:
    """Every entity of the site by its key; the unique id is made of site and key."""
    prefix = f"penstock/{home.site}"
    found = _sensors(prefix)
    found |= _controls(home, prefix)
    for alarm in ALARMS:
        found[f"alarm_{alarm}"] = {
            "platform": "binary_sensor",
            "name": f"Alarm: {alarm.replace('_', ' ')}",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "value_template": f"{{{{ 'ON' if '{alarm}' in value_json.alarms else 'OFF' }}}}",
        }
    for device in home.devices:
        found[f"online_{device}"] = {
            "platform": "binary_sensor",
            "name": f"{device} online",
            "state_topic": f"{prefix}/device/{device}",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "value_template": "{{ 'ON' if value_json.online else 'OFF' }}",
        }
    for key, component in found.items():
        component["unique_id"] = f"penstock_{home.site}_{key}"
        component.setdefault("state_topic", f"{prefix}/state")
    return found


def _sensors(prefix: str) -> dict[str, Component]:
    """What is measured, counted and decided."""
    found: dict[str, Component] = {}
    for part in _STATE:
        found[part.key] = {
            "platform": "sensor",
            "name": part.name,
            "device_class": part.device_class,
            "unit_of_measurement": part.unit,
            "state_class": "measurement",
            "value_template": f"{{{{ value_json.{part.key} }}}}",
        }
    for key, name in _ENERGY.items():
        found[key] = {
            "platform": "sensor",
            "name": name,
            "state_topic": f"{prefix}/energy",
            "device_class": "energy",
            "unit_of_measurement": "Wh",
            "state_class": "total_increasing",
            "value_template": f"{{{{ value_json.{key} }}}}",
        }
    found["mode"] = {
        "platform": "sensor",
        "name": "Mode",
        "device_class": "enum",
        "options": [mode.value for mode in Mode],
        "value_template": "{{ value_json.mode }}",
    }
    found["reason"] = {
        "platform": "sensor",
        "name": "Reason",
        "icon": "mdi:comment-question-outline",
        # A state of Home Assistant has at most 255 characters.
        "value_template": "{{ value_json.reason[:255] }}",
    }
    found["limited_by"] = {
        "platform": "sensor",
        "name": "Limited by",
        "icon": "mdi:arrow-collapse-horizontal",
        "entity_category": "diagnostic",
        "value_template": "{{ value_json.limited_by or 'nothing' }}",
    }
    return found


def _controls(home: Home, prefix: str) -> dict[str, Component]:
    """What the owner may turn: policy, reserve, stop. All of it stays until changed."""
    found: dict[str, Component] = {
        "policy": {
            "platform": "select",
            "name": "Policy",
            "icon": "mdi:strategy",
            "state_topic": f"{prefix}/orders",
            "command_topic": f"{prefix}/command/policy",
            "options": list(home.policies),
            "value_template": "{{ value_json.policy }}",
            "command_template": f'{{{_ID}, "policy": "{{{{ value }}}}"}}',
        },
        "stop": {
            "platform": "switch",
            "name": "Stop",
            "icon": "mdi:stop-circle-outline",
            "state_topic": f"{prefix}/orders",
            "command_topic": f"{prefix}/command/stop",
            "payload_on": "true",
            "payload_off": "false",
            "value_template": "{{ 'true' if value_json.stopped else 'false' }}",
            "command_template": f'{{{_ID}, "stop": {{{{ value }}}}}}',
        },
    }
    lowest_pct = home.reserve_pct
    if lowest_pct < 100.0:
        found["reserve_pct"] = {
            "platform": "number",
            "name": "Reserve",
            "device_class": "battery",
            "state_topic": f"{prefix}/orders",
            "command_topic": f"{prefix}/command/reserve",
            "min": lowest_pct,
            "max": 100.0,
            "step": 1.0,
            "mode": "slider",
            "unit_of_measurement": "%",
            "value_template": "{{ value_json.reserve_pct }}",
            "command_template": f'{{{_ID}, "reserve_pct": {{{{ value }}}}}}',
        }
    return found


def document(home: Home, removed: dict[str, str]) -> dict[str, Any]:
    """The discovery document; `removed` are components of before, key to platform."""
    present = components(home)
    gone = {key: {"platform": platform} for key, platform in removed.items() if key not in present}
    return {
        "device": {
            "identifiers": [f"penstock_{home.site}"],
            "name": f"Penstock {home.site}",
            "manufacturer": "Penstock",
            "model": "Battery controller",
            "sw_version": __version__,
        },
        "origin": {"name": "penstock", "sw_version": __version__},
        "availability_topic": f"penstock/{home.site}/availability",
        "qos": 1,
        "components": present | gone,
    }


class HomeAssistant:
    """Tells Home Assistant of the site: at the start, when it starts, when the broker knew another one."""

    def __init__(self, home: Home, prefix: str, outbox: Outbox) -> None:
        self._home = home
        self._outbox = outbox
        self._birth = f"{prefix}/status"
        self._topic = discovery_topic(prefix, home.site)
        self._removed: dict[str, str] = {}
        self.announce()

    @property
    def hearings(self) -> tuple[Hearing, ...]:
        """Its birth message, and what the broker has kept of our own document."""
        return Hearing(self._birth, self._born), Hearing(self._topic, self._remembered)

    def announce(self) -> None:
        """Say what there is."""
        payload = json.dumps(document(self._home, self._removed)).encode()
        self._outbox.put_at(self._topic, payload, every_s=ANNOUNCED_EVERY_S)

    def _born(self, inbound: Inbound) -> None:
        if inbound.payload == b"online" and self._outbox.say_again(self._topic):
            log.info("Home Assistant has started; discovery is sent again")

    def _remembered(self, inbound: Inbound) -> None:
        """A document from before: what is no longer there has to be taken away."""
        before = _platforms(inbound.payload)
        gone = {key: one for key, one in before.items() if key not in components(self._home)}
        if not gone.items() <= self._removed.items() and len(self._removed) + len(gone) <= MOST_REMOVED:
            self._removed |= gone
            self.announce()


def _platforms(payload: bytes) -> dict[str, str]:
    """The components of a document of ours by key; nothing for what is none."""
    if len(payload) > LONGEST_DOCUMENT:
        return {}
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    parts = found.get("components") if isinstance(found, dict) else None
    if not isinstance(parts, dict):
        return {}
    platforms = {key: part.get("platform") for key, part in parts.items() if isinstance(part, dict)}
    return {
        key: platform
        for key, platform in platforms.items()
        if isinstance(platform, str) and platform in _PLATFORMS and _KEY.fullmatch(key)
    }
