"""Faults on a serial line: what a client hears there, and an adapter that is pulled out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from os.path import exists
from pathlib import Path
from typing import Any

import pytest

from controller.lab.lines import laid
from drivers import rtu
from drivers.address import SerialAddress
from drivers.serial_port import PortError, open_port
from simulators.faults import Active, Board, FaultError, make_fault
from simulators.faults.link import FaultyLine, FaultyLink, FaultyServer
from simulators.virtual_time import run
from tests.penstock import PATIENCE_S
from tests.unit.raw_modbus import PlainUnit, read_pdu, words_pdu

QUIESCE_S = 0.001
QUESTION = rtu.framed(1, read_pdu(3, 10, 2))
HONEST = rtu.framed(1, words_pdu(3, [10, 11]))
ON_THE_LINE: dict[str, tuple[dict[str, Any], bytes]] = {
    "silent": ({}, b""),
    "drip": ({}, HONEST),
    "late": ({"by_s": 0.7}, HONEST),
    "wrong_unit": ({}, rtu.framed(2, words_pdu(3, [10, 11]))),
    "wrong_function": ({}, rtu.framed(1, words_pdu(4, [10, 11]))),
    "wrong_count": ({"by": -1}, rtu.framed(1, words_pdu(3, [10]))),
    "truncated": ({"bytes": 3}, HONEST[:-3]),
    "duplicate": ({}, HONEST + HONEST),
    "exception": ({"code": 4}, rtu.framed(1, bytes((0x83, 4)))),
    "backlog": ({"behind": 1}, b""),
    "echo": ({}, QUESTION + HONEST),
    "split": ({}, HONEST),
}
"""What a client hears within 2 s of a read of two registers at 10 of unit 1."""


@asynccontextmanager
async def gateway(active: Active) -> AsyncIterator[int]:
    """A unit among serial frames, without the serial line: no byte is ever late there."""
    server = FaultyServer({1: PlainUnit()}, FaultyLink([(None, active)]), serial=True)
    port = await server.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        await server.stop()


async def answers(fault: str, values: dict[str, Any], count: int = 1) -> list[bytes]:
    """What comes within 2 s of each of so many questions."""
    active, found = Active(), []
    active.add(make_fault(fault, values), 0.0)
    async with gateway(active) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(count):
            writer.write(QUESTION)
            await asyncio.sleep(2.0)
            heard = b""
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    while data := await reader.read(100):
                        heard += data
            found.append(heard)
        writer.close()
    return found


@pytest.mark.parametrize("name", ON_THE_LINE)
def test_a_fault_of_serial_frames_is_what_a_client_hears(name: str) -> None:
    values, expected = ON_THE_LINE[name]
    assert run(answers(name, values), QUIESCE_S) == [expected]


def test_a_flipped_bit_never_leaves_a_whole_frame() -> None:
    flipped = run(answers("flipped", {}, 8), QUIESCE_S)
    assert len({*flipped, HONEST}) == 9, "another bit each time, and never none"
    assert not any(rtu.is_whole(one) for one in flipped)


def test_noise_comes_before_a_whole_frame() -> None:
    (noisy,) = run(answers("noise", {"bytes": 3}), QUIESCE_S)
    assert (len(noisy), noisy[3:]) == (len(HONEST) + 3, HONEST)


class Ear(asyncio.Protocol):
    """Whether the line has ended, and all that came."""

    def __init__(self) -> None:
        self.heard, self.lost = b"", False

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if done():
                return
            await asyncio.sleep(0.01)


async def test_an_adapter_that_is_pulled_out_ends_the_line_and_is_back_under_its_name(tmp_path: Path) -> None:
    active, address = Active(), SerialAddress(str(tmp_path / "bus1"), 115200, "N")
    connection = f"rtu://{address.path}?baud=115200&parity=N"
    line = FaultyLine({1: PlainUnit()}, FaultyLink([(None, active)]), partial(laid, connection))
    await line.start()
    ear, again = Ear(), Ear()
    port = open_port(address, ear)
    port.write(QUESTION)
    await until(lambda: ear.heard == HONEST)
    active.add(make_fault("unplugged", {}), asyncio.get_running_loop().time())
    await until(lambda: ear.lost)
    with pytest.raises(PortError, match="is the adapter plugged in"):
        open_port(address, Ear())
    active.clear()
    await until(lambda: exists(address.path))
    port = open_port(address, again)
    port.write(QUESTION)
    await until(lambda: again.heard == HONEST)
    port.close()
    await line.stop()
    await until(lambda: not exists(address.path))


def test_a_fault_is_refused_on_a_wire_that_cannot_have_it() -> None:
    board = Board({"grid": "meter", "bat1": "battery"}, {"grid": "serial", "bat1": "tcp"})
    with pytest.raises(
        FaultError, match="reset is a fault of a TCP or TLS connection; grid is on a serial line"
    ):
        board.add("grid", make_fault("reset", {}), 0.0)
    with pytest.raises(FaultError, match="flipped is a fault of a serial line; bat1 is on a TCP connection"):
        board.add("bat1", make_fault("flipped", {}), 0.0)
    board.add("grid", make_fault("flipped", {}), 0.0)
    board.add("bat1", make_fault("reset", {}), 0.0)
