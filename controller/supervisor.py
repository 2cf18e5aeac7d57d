"""Starts the tasks of a running site, watches them, feeds the systemd watchdog, stops in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from math import inf
from typing import Any

from controller.black_box import BlackBox, black_box
from controller.broker import embedded
from controller.certificates import Certificates
from controller.clock import system_clock, zone
from controller.config import Config
from controller.devices import open_devices
from controller.errors import RunError
from controller.loop import ControlLoop, Cycle, Listener, nothing_told
from controller.mqtt import MqttLink
from controller.orderbook import Injector
from controller.outbox import Outbox
from controller.outside import Outside, policies_of
from controller.planner_beside import Rehearsal, beside, planner_of
from controller.shortage import Shortage

log = logging.getLogger("penstock")

GOODBYE_WITHIN_S = 2.0


async def run_site(
    config: Config,
    listeners: tuple[Listener, ...] = (),
    stop: asyncio.Event | None = None,
    rehearsal: Rehearsal | None = None,
    inject: Injector | None = None,
    most_bytes: float = inf,
) -> None:
    """Control the site until SIGINT, SIGTERM, SIGHUP or `stop`, then release the devices and say goodbye.

    A `rehearsal` brings its own clock and past, `inject` the faults of a simulation. A program that holds
    more than `most_bytes` ends in order. BrokerError when an embedded broker cannot be had, RunError when
    memory is short or a device that never forgets was not released. An error in the core ends the program:
    what can be reached is released, the rest is left to its lease, and systemd starts it again.
    """
    stop = stop or asyncio.Event()
    shortage = Shortage(stop.set, most_bytes)
    async with AsyncExitStack() as stack:
        stack.enter_context(shortage.watching())
        watchdog = stack.enter_context(_Watchdog())
        mqtt = config.mqtt
        if mqtt is not None and mqtt.host is None:
            mqtt = await stack.enter_async_context(embedded(mqtt))
        devices = open_devices(config)
        stack.push_async_callback(devices.close)
        clock = system_clock(zone(config.timezone)) if rehearsal is None else rehearsal.clock
        planner = planner_of(config, clock, rehearsal)
        planners, hearings = ((), ()) if planner is None else ((planner.heard,), planner.hearings)
        box = black_box(config, clock, devices)
        certificates = Certificates(devices.links, clock)
        insecure = ("insecure",) if mqtt is not None and mqtt.insecure else ()
        outside = Outside(
            config.site,
            config.dispatch,
            policies_of(config),
            clock,
            nothing_told if planner is None else planner.told,
            lambda: (*insecure, *box.alarms(), *certificates.alarms()),
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
            (outside.listen, box.heard, watchdog.fed_by, shortage.heard, *listeners, *planners),
            clock,
            outside.told,
            1.0 if rehearsal is None else rehearsal.speed,
        )
        await box.prepare(control)
        outside.remember(box.keeper.orders, box.keeper.command_ids, box.keeper.keep_command)
        await stack.enter_async_context(beside(planner, outside.outbox, rehearsal))
        with _signals(stop.set):
            ids = tuple(one.id for one in config.devices)
            link = None if mqtt is None else outside.link(mqtt, ids, hearings)
            await _together(control, link, outside.outbox, box, stop, shortage, watchdog)


async def _together(
    control: ControlLoop,
    link: MqttLink | None,
    outbox: Outbox,
    box: BlackBox,
    stop: asyncio.Event,
    shortage: Shortage,
    watchdog: _Watchdog,
) -> None:
    """Control until `stop`; the link goes last, so that STOPPED is told before `offline`."""
    control_task = asyncio.create_task(control.run(), name="control")
    link_task = asyncio.create_task(link.run(), name="mqtt") if link is not None else None
    stop_task = asyncio.create_task(stop.wait(), name="stop")
    box_task = asyncio.create_task(box.run(), name="black box")
    beside_it = [task for task in (link_task, box_task) if task is not None]
    try:
        await asyncio.wait({control_task, stop_task, *beside_it}, return_when=asyncio.FIRST_COMPLETED)
        watchdog.ends()
        for task in beside_it:
            if task.done() and not shortage.is_behind(task.exception()):
                log.error("the task %s ended by itself; stopping", task.get_name())
        control.stop()
        await asyncio.wait({control_task})
        if (error := control_task.exception()) is not None:
            shortage.is_behind(error)
            await control.release()
        if link is not None and link.connected:
            await outbox.emptied(GOODBYE_WITHIN_S)
    finally:
        rest: list[asyncio.Task[Any]] = [*beside_it, stop_task, control_task]
        for one in rest:
            one.cancel()
        ended = await asyncio.gather(*rest, return_exceptions=True)
        await box.close(control, orderly=ended[-1] is None)
    for result in ended:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            if shortage.is_behind(result):
                continue
            raise result
    if control.left_behind:
        raise RunError("\n".join(control.left_behind))
    if shortage.why:
        raise RunError(f"{shortage.why}; ended in order")


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP stop the site in order; a second one ends the program at once.

    Not a second SIGHUP: a terminal that closes sends one by the shell and one by the kernel. Whoever started
    the program with SIGHUP ignored (`nohup`) wants it to go on.
    """
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)

    def once(number: signal.Signals) -> None:
        log.info("%s: stopping, releasing the devices", number.name)
        if number is not signal.SIGHUP:
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
    """Tells systemd `READY=1` and then `WATCHDOG=1`: only a completed cycle feeds it (sd_notify(3)).

    A site that the operator has stopped is controlled as ever: `STOPPING=1` comes when the program ends. Its
    socket is opened once: a host that has no file left must not look like a controller that hangs.
    """

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._notify: socket.socket | None = None
        self._ready = False

    def __enter__(self) -> _Watchdog:
        if self._address:
            self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._notify.setblocking(False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._notify is not None:
            self._notify.close()

    def fed_by(self, cycle: Cycle) -> None:
        """One healthy cycle."""
        self._tell("WATCHDOG=1" if self._ready else "READY=1\nWATCHDOG=1")
        self._ready = True

    def ends(self) -> None:
        """The program ends, in order or not."""
        self._tell("STOPPING=1")

    def _tell(self, text: str) -> None:
        if self._notify is None:
            return
        try:
            self._notify.sendto(text.encode(), self._address)
        except OSError as error:
            log.debug("systemd not told: %s", error)
