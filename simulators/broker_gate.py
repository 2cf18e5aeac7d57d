"""Between MQTT clients and a broker: passes every byte on, with the faults of the broker on demand.

What passes it does not look into, so it stands before any broker and any kind of session, also an encrypted
one; a backlog it brings to the broker itself, as one more client without a password.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from drivers.address import Address
from simulators.faults.broker import BrokerFault
from simulators.faults.model import Active
from simulators.listener import Listener
from simulators.mqtt_burst import send_at_once

CONNECT_WITHIN_S = 5.0
LARGEST_READ = 65_536
BACKLOG_CLIENT = "was-away"


class BrokerGate:
    """Listens at one address and passes on to another; `active` holds the faults."""

    def __init__(self, listen: Address, target: Address, active: Active) -> None:
        self._target = target
        self._active = active
        self._listener = Listener(listen.host, listen.port, self._pass, LARGEST_READ)
        self._changed, self._turned = asyncio.Event(), asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._sending: list[asyncio.Task[None]] = []
        self.connections = 0

    async def start(self) -> int:
        """Listen unless a fault says otherwise, and give the port; OSError when it cannot."""
        await self._listener.open()
        self._active.watch(self._changed.set)
        await self._turn()
        self._keeping = asyncio.get_running_loop().create_task(self._keep(), name="broker gate")
        return self._listener.port

    async def stop(self) -> None:
        """Hang up on everybody."""
        ending = [*self._sending, *([] if self._keeping is None else [self._keeping])]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await self._listener.close()

    def _faults(self) -> list[BrokerFault]:
        return [one for one in self._active.at(_now_s()) if isinstance(one, BrokerFault)]

    async def _keep(self) -> None:
        """Turn whenever a fault does."""
        while True:
            self._changed.clear()
            now_s = _now_s()
            edges = [edge for one in self._faults() if (edge := one.turns_s(now_s)) > now_s]
            edge_s = self._active.next_edge_s(now_s)
            edges += [] if edge_s is None else [edge_s]
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(edges, default=None)):
                    await self._changed.wait()
            await self._turn()

    async def _turn(self) -> None:
        shut = any(one.shut(_now_s()) for one in self._faults())
        if shut:
            await self._listener.close()
        elif not self._listener.is_open:
            await self._listener.open()
        for fault in self._faults():
            if letters := fault.backlog():
                sending = send_at_once(self._target, BACKLOG_CLIENT, letters)
                self._sending.append(asyncio.create_task(sending, name="backlog"))
        turned, self._turned = self._turned, asyncio.Event()
        turned.set()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until either end hangs up; a broker that cannot be reached is a connection that ends."""
        self.connections += 1
        opened_s = _now_s()
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                to_reader, to_writer = await asyncio.open_connection(self._target.host, self._target.port)
        except OSError:
            writer.transport.abort()
            return
        pumps = [
            asyncio.create_task(self._pump(reader, to_writer, opened_s, of_client=True)),
            asyncio.create_task(self._pump(to_reader, writer, opened_s, of_client=False)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in (to_writer, writer):
                end.transport.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opened_s: float, of_client: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(LARGEST_READ):
                while of_client and any(one.deaf() for one in self._faults()):
                    await self._turned.wait()
                if any(one.swallows(opened_s) for one in self._faults()):
                    continue
                writer.write(data)
                await writer.drain()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
