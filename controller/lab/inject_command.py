"""`penstock inject` and `penstock proxy`: faults by name, in a running emulator or between two programs."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Sequence
from math import inf

from controller.errors import RunError
from controller.lab.live import HOST_SEAMS, send
from drivers.address import Address, parse_connection
from simulators.broker_gate import BrokerGate
from simulators.faults import INJECTORS, Active, Fault, FaultError, make_fault, parameters, says
from simulators.faults.host import FilesGone, MemoryGone
from simulators.faults.model import DEVICES
from simulators.proxy import ModbusProxy

log = logging.getLogger("penstock")
STATUS_EVERY_S = 10.0
MQTT = "mqtt://"
PROXIED = {"link": "Modbus TCP link", "broker": "way to a broker"}


def listed() -> list[str]:
    """Every fault with what it does, its parameters and its IDs, as lines."""
    lines = []
    for name, kind in INJECTORS.items():
        if kind.seam in HOST_SEAMS and kind not in (FilesGone, MemoryGone):
            continue
        given = ", ".join(f"{one.name}={one.default}" for one in parameters(kind) if not one.kw_only)
        where = "any device" if set(kind.roles) >= set(DEVICES) else ", ".join(kind.roles)
        lines.append(
            f"{name:15} {says(kind)} ({', '.join(kind.ids)}; {where}{'; ' + given if given else ''})"
        )
    return lines


def values_of(words: Sequence[str]) -> dict[str, str]:
    """`factor=10` and so on; FaultError for what is not of that form."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise FaultError(f"{word!r} is no parameter; write them as name=value, such as factor=10")
        found[key] = value
    return found


def inject(site: str | None, device: str, fault: str, words: Sequence[str], for_s: float | None) -> str:
    """Let a running emulator have a fault; RunError with what to do when that cannot be."""
    request: dict[str, object] = {"device": device}
    if fault == "clear":
        request["clear"] = True
    else:
        try:
            values = values_of(words)
            make_fault(fault, values)
        except FaultError as error:
            raise RunError(str(error)) from None
        request |= {"fault": fault, "values": values}
    if for_s is not None:
        request["for_s"] = for_s
    return send(site, request)


def proxy_fault(text: str, seam: str) -> Fault:
    """`late:by_s=0.4,share=0.1` as a fault of a link or of a broker; FaultError for anything else."""
    name, _, rest = text.partition(":")
    fault = make_fault(name, values_of(rest.split(",") if rest else []))
    if not _passes(type(fault), seam):
        known = ", ".join(one for one, kind in INJECTORS.items() if _passes(kind, seam))
        raise FaultError(f"{name} does not happen on a {PROXIED[seam]}; there a proxy knows {known}")
    return fault


def _passes(kind: type[Fault], seam: str) -> bool:
    return kind.seam == seam and "tcp" in getattr(kind, "wires", ("tcp",))


def proxied(listen: str, target: str) -> tuple[Address, Address, str]:
    """Both addresses, and whose faults are to be had there; ValueError for what a proxy cannot pass on."""
    ends = [text.partition("://")[2] if text.startswith(MQTT) else text for text in (listen, target)]
    seam = "broker" if target.startswith(MQTT) else "link"
    found = [parse_connection(text if "://" in text else f"tcp://{text}") for text in ends]
    if listen.startswith(MQTT) and seam == "link":
        raise ValueError(f"{target} is not mqtt://; a proxy passes on what comes, and translates nothing")
    for text, end in zip(ends, found, strict=True):
        if not isinstance(end, Address):
            raise ValueError(f"{text} is neither tcp:// nor mqtt://; a proxy passes Modbus TCP or MQTT on")
    return found[0], found[1], seam  # type: ignore[return-value]  # checked above


async def run_proxy(
    listen: Address, target: Address, seam: str, faults: Sequence[Fault], for_s: float | None
) -> None:
    """Pass on until SIGINT or SIGTERM; RunError when the port cannot be had."""
    loop = asyncio.get_running_loop()
    active = Active()
    now_s = loop.time()
    for fault in faults:
        active.add(fault, now_s, inf if for_s is None else now_s + for_s)
    proxy: ModbusProxy | BrokerGate = (BrokerGate if seam == "broker" else ModbusProxy)(
        listen, target, active
    )
    try:
        port = await proxy.start()
    except OSError as error:
        raise RunError(f"{listen.host}:{listen.port}: cannot listen: {error.strerror or error}") from None
    what = ", ".join(str(one) for one in faults) or "no faults"
    log.info("%s:%d -> %s:%d, %s; Ctrl-C ends it", listen.host, port, target.host, target.port, what)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await _until(stop, proxy)
    finally:
        await proxy.stop()
    log.info("%s", _passed(proxy))


def _passed(proxy: ModbusProxy | BrokerGate) -> str:
    if isinstance(proxy, BrokerGate):
        return f"{proxy.connections} connections"
    return f"{proxy.requests} requests, {proxy.replies} replies"


async def _until(stop: asyncio.Event, proxy: ModbusProxy | BrokerGate) -> None:
    """Say now and again how much has passed."""
    said = ""
    while not stop.is_set():
        try:
            async with asyncio.timeout(STATUS_EVERY_S):
                await stop.wait()
        except TimeoutError:
            if (passed := _passed(proxy)) != said:
                said = passed
                log.info("%s", passed)
