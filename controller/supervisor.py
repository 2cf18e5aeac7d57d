"""Starts the tasks of a running site, watches them, feeds the systemd watchdog, stops in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from controller.broker import embedded_broker
from controller.clock import WallClock, system_clock, zone
from controller.config import Config
from controller.devices import open_devices
from controller.dispatch.modes import Mode
from controller.loop import ControlLoop, Cycle, Listener
from controller.mqtt import Hearing, MqttLink
from controller.outbox import Outbox
from controller.reporting import Reporter
from controller.site_mqtt import MqttConfig

if TYPE_CHECKING:
    from controller.past import Past
    from controller.planner import Planner

log = logging.getLogger("penstock")

GOODBYE_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A clock of its own, such as one that passes faster, and the past of a site that has none.

    `gap_s` is how long a reading may stand for, on that clock; `prices` are told on the MQTT topic that the
    site file names for them, and `told` hears each plan in words.
    """

    clock: WallClock
    past: Past
    gap_s: float
    prices: bytes
    told: Callable[[str], None]


async def run_site(
    config: Config,
    listeners: tuple[Listener, ...] = (),
    stop: asyncio.Event | None = None,
    rehearsal: Rehearsal | None = None,
) -> None:
    """Control the site until SIGINT, SIGTERM or `stop`, then release the devices and say goodbye.

    A `rehearsal` brings its own clock and past in place of the host's.
    Raises BrokerError when an embedded broker is asked for and cannot be had; an error in the core ends
    the program, the orders then expire in the devices, and systemd starts it again.
    """
    stop = stop or asyncio.Event()
    async with AsyncExitStack() as stack:
        mqtt = config.mqtt
        if mqtt is not None and mqtt.host is None:
            mqtt = replace(
                mqtt, host="127.0.0.1", port=await stack.enter_async_context(embedded_broker(mqtt.port))
            )
        devices = open_devices(config)
        stack.push_async_callback(devices.close)
        outbox = Outbox(config.site)
        clock = system_clock(zone(config.timezone)) if rehearsal is None else rehearsal.clock
        planner = _planner(config, clock, outbox, rehearsal)
        control = ControlLoop(
            config.dispatch,
            devices.meter,
            devices.batteries,
            devices.pvs,
            devices.switches,
            (Reporter(config.dispatch, outbox).report, _Watchdog().fed_by, *listeners),
            clock,
        )
        hearings: tuple[Hearing, ...] = ()
        if planner is not None:
            control.listeners = (*control.listeners, planner.heard)
            control.told = planner.over(control.told)
            hearings = planner.hearings
            await stack.enter_async_context(_beside(planner))
        with _signals(stop.set):
            await _together(control, _link(config, mqtt, outbox, hearings), outbox, stop)


def _link(
    config: Config, mqtt: MqttConfig | None, outbox: Outbox, hearings: tuple[Hearing, ...]
) -> MqttLink | None:
    return None if mqtt is None else MqttLink(config.site, mqtt, outbox, hearings)


def _planner(config: Config, clock: WallClock, outbox: Outbox, rehearsal: Rehearsal | None) -> Planner | None:
    """Only where there is a tariff: numpy and what stands on it are not loaded for other sites."""
    if config.tariff is None:
        return None
    from controller.planner import Planner

    if rehearsal is None:
        return Planner(config, config.tariff, clock, outbox)
    source = config.tariff.source
    if source is not None and source.topic is not None:
        outbox.put_at(source.topic, rehearsal.prices)
    return Planner(
        config,
        config.tariff,
        clock,
        outbox,
        past=rehearsal.past,
        gap_s=rehearsal.gap_s,
        told=rehearsal.told,
    )


@asynccontextmanager
async def _beside(planner: Planner) -> AsyncIterator[None]:
    """Its task beside the loop: an error in it ends planning, which is logged, and never the control."""
    task = asyncio.create_task(planner.run(), name="planner")
    task.add_done_callback(_ended)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("planning ended; the policy's fallback decides from now on", exc_info=error)


async def _together(control: ControlLoop, link: MqttLink | None, outbox: Outbox, stop: asyncio.Event) -> None:
    """Control until `stop`; the link goes last, so that STOPPED is told before `offline`."""
    control_task = asyncio.create_task(control.run(), name="control")
    link_task = asyncio.create_task(link.run(), name="mqtt") if link is not None else None
    stop_task = asyncio.create_task(stop.wait(), name="stop")
    watched = {control_task, stop_task} | ({link_task} if link_task is not None else set())
    try:
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if link_task is not None and link_task.done():
            log.error("the MQTT link ended by itself; stopping")
        control.stop()
        await control_task
        if link is not None and link.connected:
            await outbox.emptied(GOODBYE_WITHIN_S)
    finally:
        rest = [task for task in (link_task, stop_task, control_task) if task is not None]
        for task in rest:
            task.cancel()
        ended = await asyncio.gather(*rest, return_exceptions=True)
    for result in ended:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM stop the site in order; a second one ends the program at once."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def once(number: signal.Signals) -> None:
        log.info("%s: stopping, releasing the devices", number.name)
        loop.remove_signal_handler(number)
        stop()

    for number in numbers:
        loop.add_signal_handler(number, once, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


class _Watchdog:
    """Tells systemd `READY=1` and then `WATCHDOG=1`: only a completed cycle feeds it (sd_notify(3))."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._ready = False

    def fed_by(self, cycle: Cycle) -> None:
        """One healthy cycle."""
        if not self._address:
            return
        text = "WATCHDOG=1" if self._ready else "READY=1\nWATCHDOG=1"
        self._ready = True
        if cycle.decision.mode is Mode.STOPPED:
            text = "STOPPING=1"
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.setblocking(False)
            try:
                notify.sendto(text.encode(), address)
            except OSError as error:
                log.debug("systemd not told: %s", error)
