"""Starts the tasks of a running site, watches them, feeds the systemd watchdog, stops in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

from controller.black_box import BlackBox, black_box
from controller.broker import embedded
from controller.clock import system_clock, zone
from controller.config import Config
from controller.devices import open_devices
from controller.dispatch.modes import Mode
from controller.loop import ControlLoop, Cycle, Listener, nothing_told
from controller.mqtt import MqttLink
from controller.orderbook import Injector
from controller.outbox import Outbox
from controller.outside import Outside, policies_of
from controller.planner_beside import Rehearsal, beside, planner_of

log = logging.getLogger("penstock")

GOODBYE_WITHIN_S = 2.0


async def run_site(
    config: Config,
    listeners: tuple[Listener, ...] = (),
    stop: asyncio.Event | None = None,
    rehearsal: Rehearsal | None = None,
    inject: Injector | None = None,
) -> None:
    """Control the site until SIGINT, SIGTERM or `stop`, then release the devices and say goodbye.

    A `rehearsal` brings its own clock and past in place of the host's; a simulation hands in what `inject`
    brings faults about with.
    Raises BrokerError when an embedded broker is asked for and cannot be had; an error in the core ends
    the program, the orders then expire in the devices, and systemd starts it again.
    """
    stop = stop or asyncio.Event()
    async with AsyncExitStack() as stack:
        mqtt = config.mqtt
        if mqtt is not None and mqtt.host is None:
            mqtt = await stack.enter_async_context(embedded(mqtt))
        devices = open_devices(config)
        stack.push_async_callback(devices.close)
        clock = system_clock(zone(config.timezone)) if rehearsal is None else rehearsal.clock
        planner = planner_of(config, clock, rehearsal)
        planners, hearings = ((), ()) if planner is None else ((planner.heard,), planner.hearings)
        box = black_box(config, clock, devices)
        insecure = ("insecure",) if mqtt is not None and mqtt.insecure else ()
        outside = Outside(
            config.site,
            config.dispatch,
            policies_of(config),
            clock,
            nothing_told if planner is None else planner.told,
            lambda: (*insecure, *box.alarms()),
            folder=config.state.folder,
            inject=inject,
        )
        stack.push_async_callback(outside.close)
        control = ControlLoop(
            config.dispatch,
            devices.meter,
            devices.batteries,
            devices.pvs,
            devices.switches,
            (outside.listen, box.heard, _Watchdog().fed_by, *listeners, *planners),
            clock,
            outside.told,
        )
        await box.prepare(control)
        outside.remember(box.keeper.orders, box.keeper.command_ids, box.keeper.keep_command)
        await stack.enter_async_context(beside(planner, outside.outbox, rehearsal))
        with _signals(stop.set):
            ids = tuple(one.id for one in config.devices)
            link = None if mqtt is None else outside.link(mqtt, ids, hearings)
            await _together(control, link, outside.outbox, box, stop)


async def _together(
    control: ControlLoop, link: MqttLink | None, outbox: Outbox, box: BlackBox, stop: asyncio.Event
) -> None:
    """Control until `stop`; the link goes last, so that STOPPED is told before `offline`."""
    control_task = asyncio.create_task(control.run(), name="control")
    link_task = asyncio.create_task(link.run(), name="mqtt") if link is not None else None
    stop_task = asyncio.create_task(stop.wait(), name="stop")
    box_task = asyncio.create_task(box.run(), name="black box")
    watched = {control_task, stop_task, box_task} | ({link_task} if link_task is not None else set())
    try:
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if link_task is not None and link_task.done():
            log.error("the MQTT link ended by itself; stopping")
        if box_task.done():
            log.error("the black box ended by itself; stopping")
        control.stop()
        await control_task
        if link is not None and link.connected:
            await outbox.emptied(GOODBYE_WITHIN_S)
    finally:
        rest = [task for task in (link_task, stop_task, box_task, control_task) if task is not None]
        for task in rest:
            task.cancel()
        ended = await asyncio.gather(*rest, return_exceptions=True)
        await box.close(control, orderly=ended[-1] is None)
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
