"""Walking a device's SunSpec models: what is found, and what a device may not do to us."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
import sunspec2.device as reference  # type: ignore[import-untyped]  # it has no annotations
from hypothesis import given
from hypothesis import strategies as st

from drivers.device import DeviceError
from drivers.sunspec import Map, SunSpecError, Walker, definition, walk
from drivers.sunspec.profiles import battery_profile, meter_profile, pv_profile
from drivers.sunspec.walk import MAX_BODY_WORDS, MAX_MODELS, NEEDED, Ask
from tests.unit.storm import rounds
from tests.unit.sunspec_site import (
    COMMON,
    HYBRID_103,
    IDLE_124,
    IDLE_704,
    SOC_713,
    SUNS,
    Bus,
    image,
    in_virtual_time,
    model_words,
    on_a_bus,
    soon,
)

UNKNOWN = [64_999, 3, 1, 2, 3]
MOST_ASKS = 3 + MAX_MODELS * (2 + MAX_BODY_WORDS // 125) + 2


def walked(registers: dict[int, int], asked: list[Ask] | None = None) -> Map:
    """A walk over these registers; what lies elsewhere is refused."""
    steps = walk()
    ask = next(steps)
    while True:
        if asked is not None:
            asked.append(ask)
        words = tuple(registers.get(at, -1) for at in range(ask.address, ask.address + ask.count))
        try:
            ask = steps.send(None if -1 in words else words)
        except StopIteration as end:
            found: Map = end.value
            return found


def ids(found: Map) -> list[int]:
    return [model.id for model in found.models]


@pytest.mark.parametrize("base", [40000, 0, 50000])
def test_the_map_is_found_at_each_of_its_three_addresses(base: int) -> None:
    found = walked(image((1, COMMON), (103, HYBRID_103), base=base))
    assert (found.base, ids(found)) == (base, [1, 103])
    assert (found.models[1].address, found.models[1].length) == (base + 70, 50)
    assert (found.models[1].value("W"), found.models[1].value("Hz")) == (-3200.0, 50.0)


def test_a_model_nobody_knows_is_passed_over_by_its_length() -> None:
    asked: list[Ask] = []
    found = walked(image((1, COMMON), UNKNOWN, (103, HYBRID_103)), asked)
    assert ids(found) == [1, 64_999, 103]
    assert found.models[2].value("W") == -3200.0
    assert not any(ask.address == 40072 for ask in asked), "what nobody needs is not read"


def test_a_published_model_that_has_no_use_here_is_not_read() -> None:
    found = walked(image((1, COMMON), (703, {}), (103, HYBRID_103)))
    assert found.models[1].words == ()


@pytest.mark.parametrize("end", [(0xFFFF, 0), (0xFFFF,), (0xFFFF, 0xFFFF)])
def test_the_end_model_may_lack_its_length(end: tuple[int, ...]) -> None:
    assert ids(walked(image((1, COMMON), (103, HYBRID_103), end=end))) == [1, 103]


def test_no_request_is_longer_than_125_registers() -> None:
    asked: list[Ask] = []
    found = walked(image((1, COMMON), (701, {"W": 1, "W_SF": 0})), asked)
    assert found.models[1].length == 153
    assert max(ask.count for ask in asked) == 125


def test_an_older_shorter_version_of_a_model_has_only_the_points_it_is_long_enough_for() -> None:
    words = list(model_words(120, {"WRtg": 5000, "WRtg_SF": 0, "WHRtg": 7}))[:12]
    found = walked(image((1, COMMON), [120, 10, *words[2:]]))
    ratings = found.models[1]
    assert ratings.value("WRtg") == 5000.0
    assert ratings.point("WHRtg") is None
    assert ratings.value("WHRtg") is None


def test_a_scale_factor_that_is_not_implemented_makes_its_points_absent() -> None:
    found = walked(image((1, COMMON), (103, {"W": 100, "W_SF": -32768})))
    assert found.models[1].value("W") is None


@pytest.mark.parametrize(
    ("registers", "told"),
    [
        ({}, "it has no SunSpec map"),
        ({40000: 1, 40001: 2}, '"SunS" (5375 6E53) does not stand at 40000: 0001 0002, 0: refused'),
        (image(), "begins with its end; model 1 comes first"),
        (image((103, HYBRID_103)), "begins with model 103; model 1 comes first"),
        (image((1, COMMON), end=()), "has no end: 40070 cannot be read"),
        (image((1, COMMON), end=(0, 0)), "at 40070 stands model 0"),
        (image((1, COMMON), end=(9, 0xFFFF)), "model 9 at 40070 claims 65535 registers"),
        (image((1, COMMON), end=[7, 0] * 200), "100 models up to 40268"),
        (image((1, COMMON), end=(103, 50)), "model 103: reading 50 registers at 40072 is refused"),
    ],
)
def test_a_map_that_makes_no_sense_is_refused_in_words(registers: dict[int, int], told: str) -> None:
    with pytest.raises(SunSpecError) as refused:
        walked(registers)
    assert told in str(refused.value)


def test_a_chain_to_the_very_last_register_ends_there() -> None:
    registers = image((1, COMMON), base=50000)
    rest = 0x10000 - 50070 - 3
    registers |= {50070: 7, 50071: rest} | dict.fromkeys(range(50072, 0xFFFF), 0) | {0xFFFF: 0xFFFF}
    with pytest.raises(SunSpecError, match="no end: it runs to the last register"):
        walked(registers)


@pytest.mark.parametrize("model_id", sorted(NEEDED))
def test_offsets_types_and_scales_are_those_of_the_reference_library(model_id: int) -> None:
    known = definition(model_id)
    assert known is not None
    model = reference.Model(model_id)
    theirs = {
        name: (point.offset, point.len, point.pdef.get("sf"), point.pdef.get("access") == "RW")
        for name, point in model.points.items()
        if point.pdef["type"] != "pad"
    }
    ours = {
        point.name: (point.offset, point.encoding.words, point.scale_name, point.writable)
        for point in known.points.values()
    }
    assert ours == theirs
    assert known.words == model.len


def test_an_id_that_sunspec_has_not_published_has_no_definition() -> None:
    assert definition(64_999) is None
    assert definition(0) is None


def test_repeating_groups_are_read_where_the_reference_library_writes_them() -> None:
    modules = [{"IDStr": "MPPT 1", "DCW": 1200}, {"IDStr": "StCha 3", "DCW": 345}]
    found = walked(image((1, COMMON), (160, {"N": 2, "DCW_SF": -1, "module": modules})))
    groups = found.models[1].groups()
    assert [group["IDStr"][2] for group in groups] == ["MPPT 1", "StCha 3"]
    assert [group["DCW"][2] for group in groups] == [120.0, 34.5]
    assert groups[1]["DCW"][0] == 40070 + 10 + 20 + 11


async def test_a_walk_over_a_socket_is_a_few_requests() -> None:
    async with on_a_bus(image((1, COMMON), (103, HYBRID_103), (713, SOC_713))) as bus:
        found = await Walker(bus.link, 1).walk(soon())
        assert ids(found) == [1, 103, 713]
        assert len(bus.device.reads) == 1 + 4 + 3  # marker, headers with the end, bodies


def test_a_walk_takes_as_long_as_it_takes_and_its_readers_are_told_so() -> None:
    async def scenario(bus: Bus) -> None:
        bus.device.delay_s = 0.2
        walker = Walker(bus.link, 1)
        for _ in range(3):
            with pytest.raises(DeviceError, match="still being looked for"):
                await walker.walk(soon())
        assert ids(await walker.walk(soon())) == [1, 103, 713]
        assert len(bus.device.reads) == 8, "nothing was asked twice"
        assert bus.link.discarded == 0

    in_virtual_time(image((1, COMMON), (103, HYBRID_103), (713, SOC_713)), scenario)


def test_a_request_that_failed_is_asked_again_and_the_walk_goes_on_from_there() -> None:
    async def scenario(bus: Bus) -> None:
        walker = Walker(bus.link, 1)
        bus.device.delays_s = {40072: 0.7}
        with pytest.raises(DeviceError, match="looking for its SunSpec models"):
            await walker.walk(soon() + 5.0)
        bus.device.delays_s = {}
        assert ids(await walker.walk(soon() + 5.0)) == [1, 103]
        assert bus.device.reads.count((40000, 2)) == 1

    in_virtual_time(image((1, COMMON), (103, HYBRID_103)), scenario)


def test_a_walk_that_a_reconnect_interrupts_begins_anew() -> None:
    async def scenario(bus: Bus) -> None:
        bus.device.delay_s = 0.2
        walker = Walker(bus.link, 1)
        with pytest.raises(DeviceError):
            await walker.walk(soon())
        await bus.hang_up()
        bus.device.delay_s = 0.0
        bus.device.reads.clear()
        assert ids(await walker.walk(soon())) == [1, 103]
        assert (40000, 2) in bus.device.reads
        assert walker.connects == bus.link.connects == 2

    in_virtual_time(image((1, COMMON), (103, HYBRID_103)), scenario)


def test_a_device_without_a_sensible_map_is_left_alone_for_a_while() -> None:
    async def scenario(bus: Bus) -> None:
        walker = Walker(bus.link, 1)
        for _ in range(3):
            with pytest.raises(SunSpecError, match="no SunSpec map"):
                await walker.walk(soon())
        assert len(bus.device.reads) == 3

    in_virtual_time({1: 1}, scenario)


# --- whatever a device says ---------------------------------------------------------------------------

SENSIBLE = [
    model_words(1, COMMON),
    model_words(103, HYBRID_103),
    model_words(113, {"W": 5.0}),
    model_words(124, IDLE_124),
    model_words(704, IDLE_704),
    model_words(713, SOC_713),
    model_words(203, {"W": 5, "W_SF": 0}),
    model_words(160, {"N": 1, "module": [{"IDStr": "StCha 3", "DCW": 1}]}),
]
ODD = (0, 1, 2, 103, 160, 704, 0x8000, 0xFFFE, 0xFFFF, *SUNS)


def broken_map(chance: Random) -> dict[int, int]:
    """A map of sensible models and nonsense, with some registers changed and perhaps one taken out."""

    def word() -> int:
        return chance.choice(ODD) if chance.random() < 0.7 else chance.randrange(0x10000)

    chain = list(SENSIBLE[0])
    for _ in range(chance.randrange(5)):
        sensible = chance.random() < 0.6
        chain += chance.choice(SENSIBLE) if sensible else [word() for _ in range(chance.randrange(1, 6))]
    registers = image(base=chance.choice((40000, 0, 50000)), end=[*chain, 0xFFFF])
    places = list(registers)
    for _ in range(chance.randrange(6)):
        registers[chance.choice(places)] = word()
    if chance.random() < 0.3:
        del registers[chance.choice(places)]
    return registers


def survives(registers: dict[int, int]) -> None:
    asked: list[Ask] = []
    try:
        found = walked(registers, asked)
    except SunSpecError:
        return
    finally:
        assert len(asked) <= MOST_ASKS
        assert all(1 <= ask.count <= 125 and 0 <= ask.address <= 0x10000 - ask.count for ask in asked)
    for make in (meter_profile, battery_profile, pv_profile):
        try:
            profile = make(found)
        except SunSpecError:
            continue
        assert all(0 <= point.address < point.end <= 0x10000 for point in profile.points.values())


def test_whatever_a_map_says_the_walk_ends_with_models_or_a_reason() -> None:
    chance = Random(2026)
    for _ in range(rounds(quick=500, soak=1_000_000)):
        survives(broken_map(chance))


@given(st.randoms(use_true_random=False))
def test_a_map_that_hypothesis_breaks_ends_the_same_way(chance: Random) -> None:
    survives(broken_map(chance))


@given(st.lists(st.sampled_from(ODD), min_size=2, max_size=40))
def test_a_device_that_answers_everything_with_the_same_registers_cannot_keep_us(pattern: list[int]) -> None:
    survives(Endless(pattern))


class Endless(dict[int, int]):
    """Every register there is, filled with a pattern that repeats, behind a good beginning."""

    def __init__(self, pattern: Iterable[int]) -> None:
        super().__init__(image((1, COMMON), end=()))
        self._pattern = list(pattern)

    def get(self, at: int, default: int = -1) -> int:  # type: ignore[override]  # only ever asked this way
        return self[at] if at in self else self._pattern[at % len(self._pattern)]
