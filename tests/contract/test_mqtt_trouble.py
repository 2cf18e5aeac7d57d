"""Brokers that die, freeze, flap, refuse or are full: the beat does not notice, and all comes back."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import thread_time

import pytest

from controller import mqtt
from controller.backfill import MinuteFile
from controller.mqtt import MqttLink
from controller.outbox import MOST_ANSWERS, MOST_EVENTS, Outbox
from controller.site_mqtt import MqttConfig
from drivers.address import Address
from simulators.broker_gate import BrokerGate
from simulators.faults import Active, make_fault
from tests.contract.running_site import BROKERS, RunningSite, a_broker, a_running_site, asking
from tests.mosquitto import Mosquitto

STATE = "penstock/house-7/state"
LONGEST_S = 0.005
"""What p99 of the cycle may change by, so also the longest that one step of the link may take."""


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same waits, five times as short: from 0.2 s to 5 s, and 1 s for an answer."""
    monkeypatch.setattr(mqtt, "ANSWER_WITHIN_S", 1.0)
    monkeypatch.setattr(mqtt, "BACK_OFF_S", (0.2, 5.0))
    monkeypatch.setattr(mqtt, "SETTLED_AFTER_S", 2.0)


class Steps:
    """CPU time of every step of the event loop, and which took longest."""

    def __init__(self) -> None:
        self.took_s: list[float] = []

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Measured is work and not waiting, so that a busy machine changes nothing."""
        run = asyncio.Handle._run

        def measured(handle: asyncio.Handle) -> None:
            begin_s = thread_time()
            run(handle)
            self.took_s.append(thread_time() - begin_s)

        asyncio.Handle._run = measured  # type: ignore[method-assign]  # there is no other way to see a step
        try:
            yield
        finally:
            asyncio.Handle._run = run  # type: ignore[method-assign]  # and back

    @property
    def p99_s(self) -> float:
        return sorted(self.took_s)[int(len(self.took_s) * 0.99)]


async def killed(broker: Mosquitto) -> None:
    broker.stop()
    await asyncio.sleep(1.5)
    broker.start()


async def frozen(broker: Mosquitto) -> None:
    broker.freeze()
    await asyncio.sleep(2.5)
    broker.thaw()


async def flapping(broker: Mosquitto) -> None:
    for _ in range(3):
        broker.stop()
        await asyncio.sleep(0.5)
        broker.start()
        await asyncio.sleep(0.5)


@pytest.mark.parametrize("trouble", [killed, frozen, flapping])
async def test_a_broker_in_trouble_does_not_hold_the_beat_and_is_found_again(
    mosquitto: Mosquitto, trouble: Callable[[Mosquitto], Awaitable[None]]
) -> None:
    quiet, troubled = Steps(), Steps()
    async with a_running_site(MqttConfig("127.0.0.1", mosquitto.port)) as site:
        async with asking(mosquitto.port) as asker:
            await asker.until(STATE, mode="RUNNING")
        async with quiet.watched():
            await asyncio.sleep(1.0)
        cycles, before = site.control.timing.cycles, _in_use()
        async with troubled.watched():
            await trouble(mosquitto)
        assert site.control.timing.cycles > cycles + 5
        assert troubled.p99_s - quiet.p99_s < LONGEST_S
        # 35 s for the real waits; here they are five times as short.
        async with asking(mosquitto.port) as asker:
            await asker.until(STATE, within_s=7.0 + 13.0, mode="RUNNING")
            await asker.until("penstock/house-7/availability", within_s=20.0, _is="online")
        await asyncio.sleep(1.5)  # until what an earlier run has left was looked for
        assert _in_use() <= before
    _bounded(site)


@pytest.mark.parametrize("kind", BROKERS[:2])
async def test_of_ten_thousand_setpoints_at_once_the_newest_counts_and_the_beat_goes_on(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "ANSWER_WITHIN_S", 60.0)  # an answer comes behind all that came before it
    steps, active = Steps(), Active()
    async with a_broker(kind, tmp_path) as (config, protocol):
        gate = BrokerGate(Address("127.0.0.1", 0), Address("127.0.0.1", config.port), active)
        port = await gate.start()
        async with (
            a_running_site(replace(config, port=port)) as site,
            asking(config.port, protocol) as asker,
        ):
            await asker.until(STATE, within_s=60.0, mode="RUNNING")
            cycles = site.control.timing.cycles
            gc.collect()
            gc.freeze()  # what other tests have left is not looked through in the middle of a step
            async with steps.watched():
                values = {"messages": 10_000, "power_w": 1500.0, "site": "house-7"}
                active.add(make_fault("broker_backlog", values), asyncio.get_running_loop().time())
                last = await asker.until("penstock/house-7/reply/backlog-10000", within_s=60.0)
            assert (last["result"], last["in_force"]["battery_discharge_w"]) == ("applied", 1500.0)
            modes = {body["mode"] for topic, body in asker.all if topic == STATE}
            assert modes <= {"RUNNING", "STARTING"}
            assert site.control.timing.cycles > cycles
            assert len([topic for topic, _ in asker.all if "/reply/backlog" in topic]) < 200, "not an echo"
        await gate.stop()
    gc.unfreeze()
    assert max(steps.took_s) < 0.2
    _bounded(site)


async def _served(
    site_work: Callable[[RunningSite], Awaitable[None]],
    speak: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> list[float]:
    """A site on a server that is no proper broker; when each connection came."""
    came_s: list[float] = []
    open_now: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came_s.append(asyncio.get_running_loop().time())
        open_now.append(writer)
        await speak(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        config = MqttConfig("127.0.0.1", server.sockets[0].getsockname()[1], only_v311=True)
        async with a_running_site(config) as site:
            await site_work(site)
    finally:
        server.close()
        for writer in open_now:
            writer.close()
    return came_s


async def test_a_broker_that_refuses_is_asked_ever_more_seldom() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(b"\x20\x02\x00\x05")  # CONNACK: not authorised
        writer.close()

    async def work(site: RunningSite) -> None:
        await asyncio.sleep(3.5)
        assert not site.link.connected
        _bounded(site)

    came_s = await _served(work, refuse)
    gaps = [after - before for before, after in pairwise(came_s)]
    # 0.2 s, 0.4 s, 0.8 s, 1.6 s at least, each up to a fifth longer.
    assert 3 <= len(came_s) <= 5
    assert all(gap >= wait for gap, wait in zip(gaps, (0.2, 0.4, 0.8, 1.6), strict=False))


async def test_a_broker_that_is_full_and_reads_nothing_more_ends_the_session_and_nothing_grows() -> None:
    async def accept_and_fall_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(b"\x20\x02\x00\x00")  # CONNACK: welcome
        await asyncio.sleep(60.0)

    async def work(site: RunningSite) -> None:
        await asyncio.sleep(3.5)
        assert site.control.timing.cycles > 20
        _bounded(site)

    came_s = await _served(work, accept_and_fall_silent)
    assert len(came_s) >= 2


async def test_a_connection_closed_before_it_could_be_written_to_leaves_the_loop_alone() -> None:
    """Its number may be somebody else's by then: a device's, or that of the next connection."""
    link = MqttLink("house-7", MqttConfig("127.0.0.1", 1), Outbox("house-7"))
    client = link._client()
    ours, theirs = socket.socketpair()
    client._client.on_socket_register_write(client._client, None, ours)  # type: ignore[misc]  # it was set
    number = ours.fileno()
    ours.close()
    other = socket.fromfd(theirs.fileno(), socket.AF_UNIX, socket.SOCK_STREAM)
    assert other.fileno() == number
    with theirs, other:
        await asyncio.sleep(0.01)
        assert not asyncio.get_running_loop().remove_writer(number)


async def test_a_connection_that_has_nothing_to_write_any_more_does_not_wait_for_it() -> None:
    """What stayed would keep the loop busy, and from watching whoever gets the number next."""
    link = MqttLink("house-7", MqttConfig("127.0.0.1", 1), Outbox("house-7"))
    client = link._client()._client
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client._sock = ours
        client._call_socket_register_write()
        client._call_socket_unregister_write()
        await asyncio.sleep(0.01)
        assert not asyncio.get_running_loop().remove_writer(ours.fileno())
        client._sock = None


def _in_use() -> int:
    """Open files and sockets, and tasks."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")) + len(asyncio.all_tasks())


def _bounded(site: RunningSite) -> None:
    outbox = site.outside.outbox
    assert len(outbox.topics) < 20
    assert len(outbox._events) <= MOST_EVENTS
    assert len(outbox._answers) <= MOST_ANSWERS


async def test_a_broker_that_is_not_there_at_the_start_delays_nothing(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    broker.stop()
    config = MqttConfig("127.0.0.1", broker.port)
    try:
        async with a_running_site(config) as site:
            await asyncio.sleep(0.45)
            assert site.control.timing.cycles >= 3
            broker.start()
            async with asking(config.port) as asker:
                await asker.until(STATE, mode="RUNNING")
    finally:
        broker.stop()


async def test_what_happened_while_the_broker_was_away_is_told_afterwards(mosquitto: Mosquitto) -> None:
    async with a_running_site(MqttConfig("127.0.0.1", mosquitto.port)) as site:
        async with asking(mosquitto.port) as asker:
            await asker.until(STATE, mode="RUNNING")
        mosquitto.stop()
        site.control.fault = "bat1: tried out"
        await asyncio.sleep(0.5)
        mosquitto.start()
        async with asking(mosquitto.port) as asker:
            await asker.until(STATE, mode="FAULT")
        # Its log begins with its start: the event of before came to it afterwards.
        assert "'penstock/house-7/event'" in mosquitto.log()


@pytest.mark.parametrize("kind", BROKERS)
async def test_minutes_of_an_outage_come_afterwards_in_their_order_and_once(
    kind: str, tmp_path: Path
) -> None:
    """Fifty minutes that an earlier run could not tell, and has left on the disk."""
    file = MinuteFile(tmp_path)
    file.add([(minute, b'{"minute": %d}' % minute) for minute in range(50)])
    async with (
        a_broker(kind, tmp_path) as (config, protocol),
        asking(config.port, protocol) as asker,
        a_running_site(config, folder=tmp_path),
    ):
        told = await asker.heard("penstock/house-7/backfill", 50)
    assert [body["minute"] for body in told] == list(range(50))
