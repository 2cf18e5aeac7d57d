"""Virtual time: waiting costs nothing, and order and instants are those of real time."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from simulators.virtual_time import new_event_loop, run


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_a_year_of_sleep_is_over_at_once() -> None:
    async def sleep() -> float:
        await asyncio.sleep(365 * 86_400.0)
        return now_s()

    assert run(sleep()) == 365 * 86_400.0


def test_time_starts_at_zero_and_stands_still_while_anything_runs() -> None:
    async def work() -> tuple[float, float]:
        first = now_s()
        for _ in range(1000):
            await asyncio.sleep(0)
        return first, now_s()

    assert run(work()) == (0.0, 0.0)


def test_a_sleep_until_a_whole_second_wakes_at_exactly_that_second() -> None:
    async def beats() -> list[float]:
        woken_s = []
        for second in range(1, 2000):
            await asyncio.sleep(0.1 + second % 7 / 11)  # the work of a cycle
            await asyncio.sleep(second - now_s())
            woken_s.append(now_s())
        return woken_s

    assert run(beats()) == [float(second) for second in range(1, 2000)]


def test_late_in_a_long_run_timers_are_still_exact() -> None:
    async def beats() -> float:
        await asyncio.sleep(40_000_000.0)  # more than a year: here a nanosecond vanishes beside the time
        for _ in range(1000):
            await asyncio.sleep(0.1)
        await asyncio.sleep(40_000_200.0 - now_s())
        return now_s()

    assert run(beats()) == 40_000_200.0


def test_tasks_wake_in_the_order_of_their_timers() -> None:
    woken: list[tuple[float, str]] = []

    async def sleeper(name: str, period_s: float) -> None:
        for _ in range(3):
            await asyncio.sleep(period_s)
            woken.append((now_s(), name))

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("slow", 2.0))
            group.create_task(sleeper("fast", 1.5))

    run(both())
    assert woken == [(1.5, "fast"), (2.0, "slow"), (3.0, "fast"), (4.0, "slow"), (4.5, "fast"), (6.0, "slow")]


def test_a_timeout_strikes_at_its_instant() -> None:
    async def wait() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.sleep(60.0)
        return now_s()

    assert run(wait()) == 0.5


def test_cancelled_timers_do_not_stop_the_clock() -> None:
    async def cycles() -> float:
        for _ in range(100):
            async with asyncio.timeout(0.3):
                await asyncio.sleep(0.01)
        await asyncio.sleep(5.0 - now_s())
        return now_s()

    assert run(cycles()) == 5.0


def test_waiting_for_what_never_comes_is_an_error_and_no_hang() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="deadlock in virtual time: every task waits"):
        run(wait())


@pytest.mark.parametrize("quiesce_s", [0.0, 0.0005])
def test_sockets_between_tasks_of_the_loop_lose_no_byte_to_the_jumps(quiesce_s: float) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            await asyncio.sleep(0.05)
            writer.write(data)
        writer.close()

    async def talk() -> tuple[list[float], bytes]:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        times_s, heard = [], b""
        for number in range(20):
            writer.write(bytes([number]))
            async with asyncio.timeout(0.5):
                heard += await reader.readexactly(1)
            times_s.append(now_s())
            await asyncio.sleep(number + 1 - now_s())
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return times_s, heard

    times_s, heard = run(talk(), quiesce_s=quiesce_s)
    assert heard == bytes(range(20))
    assert times_s == pytest.approx([number + 0.05 for number in range(20)])


def test_the_clock_waits_for_small_writes_that_the_kernel_gathers() -> None:
    """Nagle's algorithm sends the second only when the first is acknowledged, which takes its time."""
    heard: list[tuple[float, bytes]] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        late = writer.get_extra_info("socket")
        late.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        while data := await reader.read(100):
            heard.append((now_s(), data))
        writer.close()
        await writer.wait_closed()

    async def talk() -> None:
        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        with socket.socket() as one:
            one.setblocking(False)
            await loop.sock_connect(one, server.sockets[0].getsockname())
            loop.add_reader(one, one.recv, 1)  # as whoever uses a socket of its own does
            await asyncio.sleep(1.0)
            for letter in (b"a", b"b"):
                await loop.sock_sendall(one, letter)
            await asyncio.sleep(5.0)
            loop.remove_reader(one)
        await asyncio.sleep(1.0)
        server.close()

    run(talk(), quiesce_s=0.001)
    assert b"".join(data for _, data in heard) == b"ab"
    assert {at_s for at_s, _ in heard} == {1.0}


def test_the_clock_stands_still_while_a_thread_works() -> None:
    done = threading.Event()

    async def work() -> float:
        asyncio.get_running_loop().call_later(3600.0, done.set)  # virtual: must not come first
        await asyncio.to_thread(time.sleep, 0.02)
        assert not done.is_set()
        return now_s()

    assert run(work()) == 0.0


def test_names_are_resolved() -> None:
    async def resolve() -> int:
        return len(await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80))

    assert run(resolve()) >= 1


def test_an_error_in_the_program_comes_out_as_it_is() -> None:
    async def fail() -> None:
        await asyncio.sleep(1.0)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run(fail())


def test_a_loop_can_be_had_for_a_runner_of_ones_own() -> None:
    async def sleep() -> float:
        await asyncio.sleep(9.0)
        return now_s()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(sleep()) == 9.0
        assert runner.run(sleep()) == 18.0
