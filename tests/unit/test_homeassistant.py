"""The discovery document: what Home Assistant finds, and that it is what Home Assistant accepts."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from controller.alarms import ALARMS
from controller.commands import parse
from controller.homeassistant import Home, HomeAssistant, components, document
from controller.messages import DeviceMessage, EnergyMessage, OrdersMessage, StateMessage
from controller.mqtt import Inbound
from controller.outbox import Letter, Outbox
from simulators.virtual_time import run

POLICIES = ("self_consumption", "follow", "standby")
HOME = Home("house-7", ("grid", "bat1", "roof"), POLICIES, reserve_pct=20.0)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Entity(Strict):
    """What Home Assistant's documentation of MQTT lists for every entity, as far as it is used here."""

    unique_id: str = Field(pattern=r"^[a-z0-9_-]+$")
    name: str = Field(min_length=1, max_length=60)
    state_topic: str = Field(pattern=r"^penstock/house-7/[a-z0-9/_-]+$")
    value_template: str
    icon: str | None = Field(None, pattern=r"^mdi:[a-z-]+$")
    entity_category: Literal["diagnostic", "config"] | None = None


class Sensor(Entity):
    platform: Literal["sensor"]
    device_class: Literal["power", "energy", "battery", "enum"] | None = None
    unit_of_measurement: Literal["W", "Wh", "%"] | None = None
    state_class: Literal["measurement", "total_increasing"] | None = None
    options: list[str] | None = None


class BinarySensor(Entity):
    platform: Literal["binary_sensor"]
    device_class: Literal["problem", "connectivity"]


class Control(Entity):
    command_topic: str = Field(pattern=r"^penstock/house-7/command/[a-z_]+$")
    command_template: str


class Select(Control):
    platform: Literal["select"]
    options: list[str] = Field(min_length=1)


class Number(Control):
    platform: Literal["number"]
    device_class: Literal["battery"]
    min: float
    max: float
    step: float = Field(gt=0)
    mode: Literal["slider"]
    unit_of_measurement: Literal["%"]


class Switch(Control):
    platform: Literal["switch"]
    payload_on: str
    payload_off: str


class Device(Strict):
    identifiers: list[str] = Field(min_length=1)
    name: str
    manufacturer: str
    model: str
    sw_version: str


class Origin(Strict):
    name: str
    sw_version: str


class Removed(Strict):
    """A component with nothing but its platform is taken away."""

    platform: str


class Document(Strict):
    device: Device
    origin: Origin
    availability_topic: str
    qos: Literal[0, 1, 2]
    components: dict[str, Sensor | BinarySensor | Select | Number | Switch | Removed]


_MESSAGES: dict[str, type[BaseModel]] = {
    "state": StateMessage,
    "orders": OrdersMessage,
    "energy": EnergyMessage,
    "device": DeviceMessage,
}


def test_the_document_is_what_home_assistant_documents() -> None:
    found = Document.model_validate(document(HOME, {"old": "sensor"}))
    assert found.components["old"] == Removed(platform="sensor")
    ids = [one.unique_id for one in found.components.values() if isinstance(one, Entity)]
    assert len(set(ids)) == len(ids) == len(found.components) - 1


def test_every_template_reads_a_key_that_the_message_on_its_topic_has() -> None:
    for key, one in components(HOME).items():
        message = _MESSAGES[one["state_topic"].split("/")[2]]
        read = re.findall(r"value_json\.([a-z_]+)", one["value_template"])
        assert read, key
        assert set(read) <= set(message.model_fields), key


def test_the_energy_dashboard_finds_counters_in_wh_that_only_rise() -> None:
    counters = [one for one in components(HOME).values() if one.get("device_class") == "energy"]
    assert len(counters) == 6
    assert {(one["unit_of_measurement"], one["state_class"]) for one in counters} == {
        ("Wh", "total_increasing")
    }


def test_every_alarm_and_every_device_has_its_binary_sensor() -> None:
    found = {key for key, one in components(HOME).items() if one["platform"] == "binary_sensor"}
    assert found == {f"alarm_{name}" for name in ALARMS} | {"online_grid", "online_bat1", "online_roof"}


def test_the_reserve_cannot_be_set_below_that_of_the_site_file() -> None:
    assert (components(HOME)["reserve_pct"]["min"], components(HOME)["reserve_pct"]["max"]) == (20.0, 100.0)
    full = Home("house-7", (), POLICIES, reserve_pct=100.0)
    assert "reserve_pct" not in components(full)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("policy", "standby", {"policy": "standby"}),
        ("reserve_pct", "35.0", {"reserve_pct": 35.0}),
        ("stop", "true", {"stop": True}),
        ("stop", "false", {"stop": False}),
    ],
)
def test_what_home_assistant_sends_is_a_command(key: str, value: str, wanted: dict[str, Any]) -> None:
    """Its template language fills in the time and the value; here the two are put in by hand."""
    one = components(HOME)[key]
    text = one["command_template"].replace("{{ value }}", value)
    text = text.replace("{{ (utcnow().timestamp() * 1000) | int }}", "1790000000123")
    text = text.replace("{{ utcnow().isoformat() }}", "2026-09-21T14:13:20.123456+00:00")
    command = parse(one["command_topic"].rsplit("/", 1)[-1], text.encode(), "house-7")
    assert (command.id, command.valid_for_s) == ("ha-1790000000123", None)
    assert command.issued_at_utc_s == pytest.approx(1790000000.123, abs=0.001)
    assert {name: getattr(command, name) for name in wanted} == wanted


TOPIC = "homeassistant/device/penstock-house-7/config"


def published(*heard: Inbound, home: Home = HOME) -> list[Letter]:
    """What goes out at the start, and after each of these messages."""

    async def go() -> list[Letter]:
        outbox = Outbox("house-7")
        told = HomeAssistant(home, "homeassistant", outbox)
        letters = []
        for inbound in (None, *heard):
            if inbound is not None:
                for hearing in told.hearings:
                    if hearing.topics == inbound.topic:
                        hearing.told(inbound)
            try:
                async with asyncio.timeout(60.0):
                    while True:
                        letters.append(await outbox.next_letter())
                        outbox.sent(letters[-1], asyncio.get_running_loop().time())
            except TimeoutError:
                pass
        return letters

    return run(go())


def test_the_document_is_retained_and_sent_again_when_home_assistant_starts() -> None:
    birth = Inbound("homeassistant/status", b"online")
    letters = published(birth, Inbound("homeassistant/status", b"offline"))
    assert [(one.topic, one.retain) for one in letters] == [(TOPIC, True), (TOPIC, True)]
    assert json.loads(letters[0].payload) == document(HOME, {})


def test_however_often_it_starts_it_is_told_every_ten_seconds_at_most() -> None:
    async def flooded() -> list[float]:
        outbox, sent_at_s = Outbox("house-7"), []
        home = HomeAssistant(HOME, "homeassistant", outbox)
        loop = asyncio.get_running_loop()

        async def publish() -> None:
            while True:
                outbox.sent(await outbox.next_letter(), loop.time())
                sent_at_s.append(loop.time())

        publishing = asyncio.create_task(publish())
        for _ in range(2000):
            await asyncio.sleep(0.01)
            home.hearings[0].told(Inbound("homeassistant/status", b"online"))
        await asyncio.sleep(60.0)
        publishing.cancel()
        return sent_at_s

    # A tenth of its turn early, and once more after the last of 20 s of them.
    assert run(flooded()) == pytest.approx([0.0, 9.0, 18.0, 27.0], abs=0.02)


def test_what_an_earlier_site_file_had_is_taken_away() -> None:
    before = document(Home("house-7", ("grid", "bat1", "bat2", "roof"), POLICIES, 20.0), {"older": "sensor"})
    letters = published(Inbound(TOPIC, json.dumps(before).encode(), retained=True))
    found = json.loads(letters[-1].payload)["components"]
    assert found["online_bat2"] == {"platform": "binary_sensor"}
    assert found["older"] == {"platform": "sensor"}


def test_its_own_document_coming_back_from_the_broker_changes_nothing() -> None:
    own = json.dumps(document(HOME, {})).encode()
    assert len(published(Inbound(TOPIC, own), Inbound(TOPIC, own))) == 1


@pytest.mark.parametrize(
    "payload", [b"", b"null", b"[" * 60_000, b'{"components": 1}', b'{"components": {"a": 1}}', b"x" * 70_000]
)
def test_a_document_that_is_none_changes_nothing(payload: bytes) -> None:
    assert len(published(Inbound(TOPIC, payload, retained=True))) == 1


@pytest.mark.parametrize(
    ("key", "platform"), [("a", "nonsense"), ("a", ["sensor"]), ("a b", "sensor"), ("a" * 65, "sensor")]
)
def test_what_was_never_a_component_of_ours_is_not_repeated(key: str, platform: object) -> None:
    """Home Assistant refuses a whole document for one platform that it does not know."""
    foreign = {"components": {key: {"platform": platform}, "older": {"platform": "sensor"}}}
    letters = published(Inbound(TOPIC, json.dumps(foreign).encode(), retained=True))
    assert json.loads(letters[-1].payload) == document(HOME, {"older": "sensor"})


def test_every_component_is_one_that_a_later_site_file_can_take_away() -> None:
    present = {key: one["platform"] for key, one in components(HOME).items()}
    other = Home("house-7", (), POLICIES, 100.0)
    letters = published(Inbound(TOPIC, json.dumps(document(HOME, {})).encode(), retained=True), home=other)
    gone = {key: {"platform": present[key]} for key in present if key not in components(other)}
    assert set(gone) == {"online_grid", "online_bat1", "online_roof", "reserve_pct"}
    assert json.loads(letters[-1].payload)["components"] == components(other) | gone


def test_the_example_dashboard_shows_entities_that_there_are() -> None:
    """Home Assistant makes an entity's id of the device's and the entity's name."""
    text = (Path(__file__).parents[2] / "deploy/home-assistant/dashboard.yaml").read_text(encoding="utf-8")
    shown = set(re.findall(r"\b([a-z_]+\.penstock_house_7_[a-z_]+)", text))
    there = {
        f"{one['platform']}.penstock_house_7_{re.sub(r'[^a-z0-9]+', '_', one['name'].lower())}"
        for one in components(HOME).values()
    }
    assert len(shown) > 15
    assert shown <= there
