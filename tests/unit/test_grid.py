"""The grid by itself: outages and other traces, and the main fuse."""

from __future__ import annotations

from math import inf

import pytest

from simulators.fuse import Fuse, melting_s
from simulators.grid import GridTraces, OutageTrace
from simulators.island import Supply
from simulators.site import House
from simulators.traces import StepTrace
from tests.unit.test_house import a_battery, held

# IEC 60269-1, gates of gG: rating, least at 10 s, most at 5 s, least and most at 0.1 s, all in A.
GATES = (
    (16, 33, 65, 85, 150),
    (20, 42, 85, 110, 200),
    (25, 52, 110, 150, 260),
    (32, 75, 150, 200, 350),
    (40, 95, 190, 260, 450),
    (50, 125, 250, 350, 610),
    (63, 160, 320, 450, 820),
    (80, 215, 425, 610, 1100),
    (100, 290, 580, 820, 1450),
)


@pytest.mark.parametrize("gates", GATES)
def test_the_fuse_goes_through_the_gates_of_its_standard(gates: tuple[int, ...]) -> None:
    rated_a, least_10s, most_5s, least_100ms, most_100ms = gates
    assert melting_s(least_10s / rated_a) > 10.0
    assert melting_s(most_5s / rated_a) < 5.0
    assert melting_s(least_100ms / rated_a) > 0.1
    assert melting_s(most_100ms / rated_a) < 0.1


def test_a_fuse_carries_a_quarter_more_for_ever_and_six_tenths_more_for_no_hour() -> None:
    assert melting_s(1.25) == inf
    assert 60.0 < melting_s(1.6) < 3600.0


def test_parts_of_the_time_to_melt_add_up_and_cool_down() -> None:
    fuse = Fuse(25.0, 1)
    fuse.carry([40.0], 900.0)  # 1.6 times: half of its 1800 s
    assert fuse.melts_in_s([40.0]) == pytest.approx(900.0)
    fuse.carry([10.0], 600.0)  # 0.5 / e
    assert fuse.melts_in_s([40.0]) == pytest.approx(1800.0 * (1 - 0.5 * 0.36788), rel=1e-4)
    assert not fuse.blown


def test_an_overloaded_house_loses_its_grid_when_the_fuse_has_melted() -> None:
    # 16 A and 230 V less 9.9 V: 9120 W are 41.4 A, 2.6 times the rating.
    house = House(held(9120.0), (), [a_battery()], fuse_a=16.0)
    voltage_v = house.meter().reading(0.0).phase_voltage_v[0]
    melts_s = melting_s(9120.0 / voltage_v / 16.0)
    assert 8.0 < melts_s < 60.0
    house.advance(melts_s - 0.01)
    assert house.grid.present
    house.advance(melts_s + 0.01)
    assert (house.supply, house.grid.present, house.grid.supplied) == (Supply.DARK, False, True)
    house.set_grid(present=True)
    assert not house.grid.present


def test_a_battery_that_helps_keeps_the_fuse() -> None:
    house = House(held(9120.0), (), [a_battery(time_constant_s=0.3)], fuse_a=16.0)
    house.battery(0).order(0.0, 5000.0, inf)
    house.advance(899.0)
    assert house.grid.present


def test_outages_come_and_go_by_themselves() -> None:
    outages = OutageTrace([(5000.0, 100.0), (1000.0, 600.0), (1500.0, 200.0)])
    assert [outages.at(t) for t in (0.0, 1000.0, 1600.0, 1700.0, 5050.0)] == [1.0, 0.0, 0.0, 1.0, 0.0]
    assert (outages.next_edge_s(0.0), outages.next_edge_s(1000.0)) == (1000.0, 1700.0)
    assert outages.next_edge_s(5100.0) == inf
    house = House(held(500.0), (), [a_battery()], grid=GridTraces(present=outages), trace_begin_s=900.0)
    house.advance(99.0)
    assert house.supply is Supply.GRID
    house.advance(101.0)
    assert house.supply is Supply.ISLAND
    house.advance(861.0)  # 800 s and a minute to join
    assert house.supply is Supply.GRID
    assert house.energies.import_wh == pytest.approx(500.0 * 101.0 / 3600, rel=0.01)


def test_frequency_and_voltage_may_come_from_traces() -> None:
    traces = GridTraces(frequency_hz=StepTrace(10.0, [50.0, 49.9]), voltage_v=StepTrace(20.0, [230.0, 236.0]))
    house = House(held(0.0), grid=traces)
    assert house.meter().reading(15.0).frequency_hz == 49.9
    reading = house.meter().reading(25.0)
    assert (reading.frequency_hz, reading.phase_voltage_v) == (50.0, (236.0,))


def test_a_fuse_needs_a_rating() -> None:
    with pytest.raises(ValueError, match="rated_a is 0"):
        Fuse(0.0, 1)
