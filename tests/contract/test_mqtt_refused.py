"""What a broker refuses, and what strangers send: it is said once, and all the rest goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from controller.mqtt import Hearing, Inbound, MqttLink
from controller.outbox import Outbox
from controller.site_mqtt import MqttConfig
from tests.contract.running_site import Asker, a_running_site, asking
from tests.mosquitto import Mosquitto

STATE = "penstock/house-7/state"


@pytest.fixture
def a_mosquitto(tmp_path: Path) -> Iterator[Callable[[str], Mosquitto]]:
    started: list[Mosquitto] = []

    def start(settings: str) -> Mosquitto:
        broker = Mosquitto(tmp_path, f"allow_anonymous true\n{settings}")
        broker.start()
        started.append(broker)
        return broker

    yield start
    for broker in started:
        broker.stop()


def said(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [one.message for one in caplog.records if text in one.message]


async def test_what_is_too_large_for_the_broker_is_said_once_and_the_rest_is_published(
    a_mosquitto: Callable[[str], Mosquitto], caplog: pytest.LogCaptureFixture
) -> None:
    """The discovery document has some 10 kB."""
    broker = a_mosquitto("max_packet_size 4000\n")
    config = MqttConfig("127.0.0.1", broker.port, discovery_prefix="homeassistant")
    async with a_running_site(config), asking(broker.port) as asker:
        await asker.until(STATE, mode="RUNNING")
        await asker.client.publish("homeassistant/status", "online", qos=1)
        assert (await asker.asked("stop", "a"))["result"] == "applied"
    assert len(said(caplog, "takes no more than 4000 bytes")) == 1
    assert not said(caplog, "no connection")


async def test_who_is_not_let_in_is_told_where_the_login_stands(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Mosquitto(tmp_path, "allow_anonymous false\n")
    broker.start()
    try:
        async with a_running_site(MqttConfig("127.0.0.1", broker.port)):
            for _ in range(400):
                if said(caplog, "Not authorized; see username and password_file in [mqtt]; trying again"):
                    return
                await asyncio.sleep(0.05)
            raise AssertionError(caplog.text)
    finally:
        broker.stop()


async def test_what_the_access_list_of_the_broker_forbids_is_said_once_for_each_topic(
    a_mosquitto: Callable[[str], Mosquitto], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rights = "topic read #\ntopic write penstock/+/availability\ntopic write penstock/+/command/+\n"
    (tmp_path / "acl").write_text(f"{rights}topic write {STATE}\n", encoding="utf-8")
    broker = a_mosquitto(f"acl_file {tmp_path / 'acl'}\nuser root\n")
    async with a_running_site(MqttConfig("127.0.0.1", broker.port)), asking(broker.port) as asker:
        await asker.until(STATE, mode="RUNNING")
        for number in range(3):
            await asker.client.publish("penstock/house-7/command/start", f'{{"id": "n{number}"}}', qos=1)
            await asyncio.sleep(0.3)
    refused = said(caplog, "refuses it with reason 135: see its access list")
    assert len([one for one in refused if "/orders" in one]) == 1
    assert len([one for one in refused if "/reply/" in one]) == 1
    assert not [one for one in refused if one.startswith(STATE)]


@asynccontextmanager
async def a_link(port: int, asker: Asker, *hearings: Hearing) -> AsyncIterator[MqttLink]:
    outbox = Outbox("house-7")
    link = MqttLink("house-7", MqttConfig("127.0.0.1", port), outbox, hearings)
    task = asyncio.create_task(link.run())
    try:
        await asker.until("penstock/house-7/availability", _is="online")
        yield link
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=10.0)
    assert task.cancelled()


async def test_a_hearer_that_fails_ends_neither_link_nor_site(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    came = asyncio.Event()

    def fails(inbound: Inbound) -> None:
        raise ZeroDivisionError("of the hearer")

    hearings = (Hearing("prices", fails), Hearing("forecast", lambda inbound: came.set()))
    async with asking(mosquitto.port) as asker, a_link(mosquitto.port, asker, *hearings) as link:
        await asker.client.publish("prices", "x", qos=1)
        await asker.client.publish("forecast", "x", qos=1)
        async with asyncio.timeout(20.0):
            await came.wait()
        assert link.connected
    assert "of the hearer" in caplog.text


async def test_the_link_ends_whenever_it_is_told_to(mosquitto: Mosquitto) -> None:
    """At forty instants of a session that publishes as fast as the broker confirms."""
    async with asking(mosquitto.port) as asker:
        for number in range(40):
            async with a_link(mosquitto.port, asker) as link:
                for value in range(number):
                    link._outbox.put_at(STATE, b"%d" % value)
                    await asyncio.sleep(0.0005)


async def sends_away(reason: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As brokers of MQTT v5 do it once a session has begun, Mosquitto from 2.0.15 on."""
    with closing(writer), suppress(asyncio.IncompleteReadError):
        while not writer.is_closing():
            kind, size = await reader.readexactly(2)
            body = await reader.readexactly(size)
            if kind == 0x10:
                writer.write(b"\x20\x03\x00\x00\x00")
            elif kind == 0x82:
                writer.write(b"\x90\x04" + body[:2] + b"\x00\x01")
            else:
                writer.write(bytes((0xE0, 2, reason, 0)))
                writer.close()


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (0x8E, "it has another client penstock-house-7: is there a second controller of this site?"),
        (0x8B, "it sent us away: Server shutting down"),
    ],
)
async def test_why_a_broker_ends_a_session_is_in_the_log(
    reason: int, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    again, connections = asyncio.Event(), 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            again.set()
        await sends_away(reason, reader, writer)

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        config = MqttConfig("127.0.0.1", server.sockets[0].getsockname()[1])
        task = asyncio.create_task(MqttLink("house-7", config, Outbox("house-7")).run())
        try:
            async with asyncio.timeout(20.0):
                await again.wait()
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=10.0)
    (line,) = said(caplog, "no connection")
    assert line.endswith(f"{told}; trying again")
