"""libmodbus and our answering half: random requests of many clients at once, each reply and refusal exact."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable
from functools import partial

import pytest

from drivers.profile import load_profile
from drivers.wire import ModbusTcpServer, serve
from simulators.emulator import emulated_unit
from simulators.serial_pair import pty_pair
from tests.contract.libmodbus import Client, RefusedError, client_of
from tests.contract.plants import METERED, RATING, Meter, Obeying
from tests.unit.raw_modbus import PlainUnit
from tests.unit.storm import rounds

ROUNDS = rounds(300, 20_000)
REGISTERS = 200
CLIENTS = 6
OWN = REGISTERS // CLIENTS


def one_round(client: Client, chance: random.Random, model: list[int], first: int) -> None:
    """A request of any kind within the client's own registers, or a read of what does not exist."""
    address = first + chance.randrange(OWN)
    count = chance.randint(1, first + OWN - address)
    words = [chance.choice([0, 1, 0x7FFF, 0x8000, 0xFFFF, chance.getrandbits(16)]) for _ in range(count)]
    words = [word if word != 666 else 0 for word in words]  # what this unit refuses
    match chance.randrange(8):
        case 0 | 1:
            assert client.read("holding", address, count) == model[address : address + count]
        case 2:
            client.unit(2)  # where nobody writes
            assert client.read("input", address, count) == [
                1000 + at for at in range(address, address + count)
            ]
            client.unit(1)
        case 3:
            client.write(address, words)
            model[address : address + count] = words
        case 4:
            client.write_one(address, words[0])
            model[address] = words[0]
        case 5:
            and_mask, or_mask = chance.getrandbits(16), chance.getrandbits(16)
            new = (model[address] & and_mask) | (or_mask & ~and_mask & 0xFFFF)
            if new != 666:
                client.mask(address, and_mask, or_mask)
                model[address] = new
        case 6:
            model[address : address + count] = words
            assert client.exchange(address, words, first, OWN) == model[first : first + OWN]
        case _:
            with pytest.raises(RefusedError) as refused:
                client.read("holding", REGISTERS - 1 + chance.randrange(300), 2)
            assert refused.value.code == 2


def converse(port: int, seed: int) -> None:
    chance, model, first = random.Random(seed), list(range(REGISTERS)), OWN * (seed % CLIENTS)
    with client_of(port) as client:
        for _ in range(ROUNDS):
            one_round(client, chance, model, first)


async def test_many_clients_of_libmodbus_at_once_each_get_their_own_answers() -> None:
    """As its own random-test-client does, but against a model of the registers, and six of them together."""
    server = ModbusTcpServer({1: PlainUnit(), 2: PlainUnit()})
    port = await server.start("127.0.0.1", 0)
    try:
        await asyncio.gather(*(asyncio.to_thread(converse, port, seed) for seed in range(CLIENTS)))
    finally:
        await server.stop()


def refusals(port: int) -> dict[str, int]:
    found: dict[str, int] = {}
    with client_of(port) as client:
        for what, unit, ask in (
            ("bits", 1, partial(client.read_bits, 0, 1)),
            ("a register that is not there", 1, partial(client.read, "holding", 199, 2)),
            ("a value that is none", 1, partial(client.write_one, 0, 666)),
            ("a write beyond the end", 1, partial(client.write, 199, [1, 2])),
            ("a unit that is not there", 77, partial(client.read, "holding", 0, 1)),
        ):
            client.unit(unit)
            found[what] = code_of(ask)
    return found


def code_of(ask: Callable[[], object]) -> int:
    with pytest.raises(RefusedError) as refused:
        ask()
    return refused.value.code


async def test_libmodbus_names_each_refusal_by_its_exact_code() -> None:
    server = ModbusTcpServer({1: PlainUnit()})
    port = await server.start("127.0.0.1", 0)
    try:
        assert await asyncio.to_thread(refusals, port) == {
            "bits": 1,
            "a register that is not there": 2,
            "a value that is none": 3,
            "a write beyond the end": 2,
            "a unit that is not there": 11,
        }
    finally:
        await server.stop()


async def test_libmodbus_reads_an_emulated_meter_over_a_serial_line() -> None:
    def floats(line: str) -> tuple[float, ...]:
        with client_of(line=line) as client:
            words = [client.read("input", address, 2) for address in (0x34, 0x0C, 0x46)]
        return tuple(struct.unpack(">f", struct.pack(">HH", *pair))[0] for pair in words)

    with pty_pair() as (near, far):
        meter = emulated_unit(load_profile("eastron-sdm630"), Meter())
        server = await serve(f"rtu://{far}?baud=38400&parity=N", {1: meter})
        try:
            shown = await asyncio.to_thread(floats, near)
        finally:
            await server.stop()
    assert shown == (METERED.pcc_import_w, METERED.phase_import_w[0], METERED.frequency_hz)


async def test_libmodbus_orders_an_emulated_battery_and_is_refused_as_by_a_device() -> None:
    """The sequence of docs/devices.md for a Sungrow by hand: no driver of ours has a part in it."""
    plant = Obeying()
    device = emulated_unit(load_profile("sungrow-sh"), plant, rating=RATING)
    server = ModbusTcpServer({1: device})
    port = await server.start("127.0.0.1", 0)

    def order() -> list[int]:
        with client_of(port) as client:
            for address, word in ((13049, 2), (13051, 1500), (13050, 0xAA)):
                client.write_one(address, word)
            low, high = client.read("input", 5213, 2)
            assert low | high << 16 == 0x1_0000_0000 - 1500
            # Read only; beyond the nameplate; not there.
            return [
                code_of(partial(client.write_one, *one)) for one in ((13022, 1), (13051, 5001), (13052, 0))
            ]

    try:
        assert await asyncio.to_thread(order) == [2, 3, 2]
    finally:
        await server.stop()
    assert plant.diary[-1] is not None
