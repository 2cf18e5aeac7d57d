"""Programs that other people wrote understand our answering half, and our asking half understands theirs.

Our own link answering our own server would prove nothing: both could share a mistake.
"""

from __future__ import annotations

import asyncio
import shutil
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer as PymodbusServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.link import LinkTiming, open_link
from drivers.wire import ModbusTcpServer, serve
from simulators.serial_pair import pty_pair
from tests.unit.raw_modbus import PlainUnit, frame, read_frame, read_pdu, words_pdu


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[PlainUnit, int]]:
    unit = PlainUnit()
    server = ModbusTcpServer({1: unit, 2: PlainUnit()})
    port = await server.start("127.0.0.1", 0)
    try:
        yield unit, port
    finally:
        await server.stop()


async def mbpoll(port: int, *options: str, write: tuple[int, ...] = ()) -> str:
    """Ask a TCP port with mbpoll."""
    return await run_mbpoll("-m", "tcp", "-p", str(port), *options, "127.0.0.1", write=write)


async def run_mbpoll(*options: str, write: tuple[int, ...] = ()) -> str:
    """Run mbpoll once (addresses from 0) and give what it printed."""
    program = shutil.which("mbpoll")
    assert program, "mbpoll is not installed: apt-get install -y mbpoll (the test set-up does it)"
    words = [str(word) for word in write]
    process = await asyncio.create_subprocess_exec(
        *(program, "-0", "-1", "-q", *options, *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return printed.decode()


def polled(printed: str) -> list[int]:
    """The values that mbpoll printed, each as "[address]: value"."""
    lines = [line for line in printed.splitlines() if line.startswith("[")]
    return [int(line.split(":")[1].split()[0]) for line in lines]


async def test_mbpoll_reads_holding_and_input_registers() -> None:
    async with serving() as (_, port):
        assert polled(await mbpoll(port, "-a", "1", "-t", "4", "-r", "5", "-c", "3")) == [5, 6, 7]
        assert polled(await mbpoll(port, "-a", "2", "-t", "3", "-r", "0", "-c", "2")) == [1000, 1001]
        whole = await mbpoll(port, "-a", "1", "-t", "4", "-r", "0", "-c", "125")
        assert polled(whole) == list(range(125))


async def test_mbpoll_writes_one_register_and_several() -> None:
    async with serving() as (unit, port):
        assert "Written 1 references" in await mbpoll(port, "-t", "4", "-r", "8", write=(4711,))
        assert "Written 3 references" in await mbpoll(port, "-t", "4", "-r", "10", write=(1, 2, 65535))
        assert unit.holding[8:14] == [4711, 9, 1, 2, 65535, 13]


async def test_mbpoll_names_the_exceptions_as_the_standard_does() -> None:
    async with serving() as (_, port):
        assert "Illegal data address" in await mbpoll(port, "-t", "4", "-r", "199", "-c", "2")
        assert "Illegal data value" in await mbpoll(port, "-t", "4", "-r", "0", write=(666,))
        assert "Illegal function" in await mbpoll(port, "-t", "0", "-r", "0")
        assert "Target device failed to respond" in await mbpoll(port, "-a", "9", "-t", "4", "-r", "0")


async def test_mbpoll_reads_and_writes_over_a_serial_line_that_two_units_share() -> None:
    with pty_pair() as (near, far):
        unit = PlainUnit()
        server = await serve(f"rtu://{far}?baud=38400", {1: unit, 7: PlainUnit()})
        line = ("-m", "rtu", "-b", "38400", "-P", "none")
        assert polled(await run_mbpoll(*line, "-a", "1", "-t", "4", "-r", "5", "-c", "3", near)) == [5, 6, 7]
        whole = await run_mbpoll(*line, "-a", "7", "-t", "3", "-r", "0", "-c", "125", near)
        assert polled(whole) == list(range(1000, 1125))
        written = await run_mbpoll(*line, "-a", "1", "-t", "4", "-r", "10", near, write=(1, 2, 65535))
        assert "Written 3 references" in written
        assert unit.holding[10:14] == [1, 2, 65535, 13]
        assert "Illegal data address" in await run_mbpoll(
            *line, "-a", "1", "-t", "4", "-r", "199", "-c", "2", near
        )
        silent = await run_mbpoll(*line, "-a", "9", "-o", "0.2", "-t", "4", "-r", "0", near)
        assert "timed out" in silent
        await server.stop()


async def test_the_client_of_pymodbus_can_use_every_function() -> None:
    async with serving() as (unit, port):
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0, reconnect_delay=0)
        assert await client.connect()
        assert (await client.read_holding_registers(7, count=2, device_id=1)).registers == [7, 8]
        assert (await client.read_input_registers(7, count=2, device_id=2)).registers == [1007, 1008]
        assert not (await client.write_register(20, 0xABCD, device_id=1)).isError()
        assert not (await client.write_registers(21, [1, 2, 3], device_id=1)).isError()
        masked = await client.mask_write_register(address=20, and_mask=0xFF00, or_mask=0x0011, device_id=1)
        assert not masked.isError()
        both = await client.readwrite_registers(
            read_address=20, read_count=3, write_address=21, values=[9, 8], device_id=1
        )
        assert both.registers == [0xAB11, 9, 8]
        assert unit.holding[20:24] == [0xAB11, 9, 8, 3]
        refusals = {
            2: client.read_holding_registers(65535, count=2, device_id=1),
            1: client.read_coils(0, count=1, device_id=1),
            11: client.read_holding_registers(0, count=1, device_id=77),
        }
        for code, request in refusals.items():
            assert (await request).exception_code == code
        client.close()


async def test_pipelined_requests_of_many_connections_at_once_are_each_answered_in_order() -> None:
    async def converse(port: int, unit: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for burst in range(10):
            requests = [frame(100 * burst + item, unit, read_pdu(4, item, 3)) for item in range(100)]
            writer.write(b"".join(requests))
            for item in range(100):
                words = words_pdu(4, [1000 + item, 1001 + item, 1002 + item])
                assert await read_frame(reader) == (100 * burst + item, unit, words)
        writer.close()
        await writer.wait_closed()

    async with serving() as (_, port):
        await asyncio.gather(*(converse(port, 1 + index % 2) for index in range(12)))


async def test_our_link_reads_and_writes_a_server_of_pymodbus() -> None:
    block = SimData(0, count=130, values=7, datatype=DataType.REGISTERS)
    theirs = PymodbusServer(SimDevice(1, [block]), address=("127.0.0.1", 0))
    await theirs.serve_forever(background=True)
    port = theirs.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]  # it is a server
    link = open_link(f"tcp://127.0.0.1:{port}", LinkTiming(timeout_s=5.0))
    deadline_s = asyncio.get_running_loop().time() + 30.0
    await link.write(1, 3, [0xFFFF, 2], deadline_s)
    await link.write(1, 5, [3], deadline_s, single=True)
    assert (await link.read(1, "holding", 2, 5, deadline_s)).words == (7, 0xFFFF, 2, 3, 7)
    assert (await link.read(1, "input", 0, 125, deadline_s)).words[0] == 7
    await link.close()
    await theirs.shutdown()  # type: ignore[no-untyped-call]  # their signature has no types


async def test_our_link_reads_and_writes_serial_frames_of_pymodbus_over_tcp() -> None:
    block = SimData(0, count=130, values=7, datatype=DataType.REGISTERS)
    theirs = PymodbusServer(SimDevice(1, [block]), address=("127.0.0.1", 0), framer=FramerType.RTU)
    await theirs.serve_forever(background=True)
    port = theirs.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]  # it is a server
    link = open_link(f"rtu+tcp://127.0.0.1:{port}", LinkTiming(timeout_s=5.0))
    deadline_s = asyncio.get_running_loop().time() + 30.0
    await link.write(1, 3, [0xFFFF, 2], deadline_s)
    await link.write(1, 5, [3], deadline_s, single=True)
    assert (await link.read(1, "holding", 2, 5, deadline_s)).words == (7, 0xFFFF, 2, 3, 7)
    assert (await link.read(1, "input", 0, 125, deadline_s)).words[0] == 7
    await link.close()
    await theirs.shutdown()  # type: ignore[no-untyped-call]  # their signature has no types


async def test_a_float_that_another_client_wrote_is_the_float_we_hold() -> None:
    async with serving() as (unit, port):
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0, reconnect_delay=0)
        await client.connect()
        await client.write_registers(
            0, client.convert_to_registers(-1234.5, client.DATATYPE.FLOAT32), device_id=1
        )
        assert struct.unpack(">f", struct.pack(">HH", *unit.holding[:2])) == (pytest.approx(-1234.5),)
        client.close()
