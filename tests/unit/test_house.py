"""The house: what its meter and books show for loads, PV and batteries worked out by hand."""

from __future__ import annotations

from dataclasses import astuple
from math import inf, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.battery import LithiumParams
from simulators.inverter import InverterParams
from simulators.site import BatteryUnit, Energies, House, PvUnit
from simulators.traces import StepTrace, SyntheticHouse


def held(*values_w: float) -> StepTrace:
    """Each value for a quarter of an hour."""
    return StepTrace(900.0, values_w)


def a_battery(soc_pct: float = 50.0, phase: int | None = None, **changes: float) -> BatteryUnit:
    usual = {
        "charge_efficiency": 0.95,
        "discharge_efficiency": 0.95,
        "standby_w": 0.0,
        "dead_time_s": 0.0,
        "time_constant_s": 0.0,
    }
    cells = LithiumParams(10_000.0, charge_efficiency=1.0, discharge_efficiency=1.0)
    return BatteryUnit(cells, InverterParams(5000.0, 5000.0, **(usual | changes)), soc_pct, phase)


def imbalance(house: House, stored_before_wh: float) -> float:
    """How far the books are from closing, as a share of what went through."""
    books = house.energies
    bus_wh = (
        books.import_wh
        + books.pv_wh
        + books.discharged_wh
        - books.load_wh
        - books.export_wh
        - books.charged_wh
    )
    stored_wh = books.charged_wh - books.discharged_wh - books.lost_wh - (books.stored_wh - stored_before_wh)
    through_wh = books.load_wh + books.pv_wh + books.charged_wh + books.discharged_wh + stored_before_wh
    return max(abs(bus_wh), abs(stored_wh)) / max(through_wh, 1e-9)


def test_the_meter_shows_load_minus_pv_minus_battery() -> None:
    house = House(held(2000.0), [PvUnit(held(500.0), rated_w=4000.0)], [a_battery()])
    house.battery(0).order(0.0, 800.0, inf)
    reading = house.meter().reading(1.0)
    assert reading.pcc_import_w == 700.0
    assert reading.phase_import_w == (700.0,)
    assert reading.frequency_hz == 50.0


def test_a_quarter_of_an_hour_at_700_w_imports_175_wh() -> None:
    house = House(held(700.0, 0.0))
    reading = house.meter().reading(900.0)
    assert reading.import_wh == pytest.approx(175.0)
    assert reading.export_wh == 0.0
    assert reading.pcc_import_w == 0.0  # from the edge on, the new load


def test_import_and_export_are_counted_each_by_itself() -> None:
    house = House(held(1000.0, 0.0), [PvUnit(held(0.0, 3000.0), rated_w=4000.0)])
    house.advance(1800.0)
    assert house.import_wh == pytest.approx(250.0)
    assert house.export_wh == pytest.approx(750.0)


def test_a_meter_that_turns_while_the_battery_is_on_its_way_counts_both_sides() -> None:
    # From +500 W at 1000 W/s to -500 W: triangles of 0.5 s and 500 W, 125 Ws on each side.
    house = House(held(500.0), (), [a_battery(ramp_w_per_s=1000.0)])
    house.battery(0).order(0.0, 1000.0, inf)
    house.advance(1.0)
    assert house.import_wh == pytest.approx(125.0 / 3600)
    assert house.export_wh == pytest.approx(125.0 / 3600)


def test_a_lag_that_overshoots_zero_exports_exactly_what_lies_beyond() -> None:
    # 1000 W asked for 500 W of load, 2 s lag: zero is passed after 2 s * ln 2.
    house = House(held(500.0), (), [a_battery(time_constant_s=2.0)])
    house.battery(0).order(0.0, 1000.0, inf)
    house.advance(60.0)
    # Import: 1000 * exp(-t/2) - 500 from 0 to 2 ln 2 = 2000 * 0.5 - 500 * 2 ln 2 Ws.
    imported_ws = 1000.0 - 1000.0 * log(2.0)
    assert house.import_wh == pytest.approx(imported_ws / 3600, abs=1e-9)
    # Net: 2000 Ws of lag short of 500 W * 60 s of export.
    assert house.export_wh == pytest.approx((30_000.0 - 2000.0 + imported_ws) / 3600)


def test_two_batteries_with_different_lags_are_counted_together() -> None:
    house = House(
        held(500.0), (), [a_battery(time_constant_s=2.0), a_battery(time_constant_s=1.0, dead_time_s=1.0)]
    )
    house.battery(0).order(0.0, 400.0, inf)
    house.battery(1).order(0.0, 400.0, inf)
    house.advance(60.0)
    # 300 W of export at the end; 400 * 2 s + 400 * (1 + 1) s of lag missing from 800 W * 60 s.
    assert house.pcc_import_w == pytest.approx(-300.0)
    assert house.export_wh - house.import_wh == pytest.approx((18_000.0 - 1600.0) / 3600)
    assert imbalance(house, 10_000.0) < 1e-12


def test_a_full_battery_leaves_the_surplus_to_the_grid_from_that_instant_on() -> None:
    cells = LithiumParams(10_000.0, charge_efficiency=1.0, taper_from_pct=100.0)
    inverter = InverterParams(5000.0, 5000.0, charge_efficiency=0.95, standby_w=0.0, dead_time_s=0.0)
    unit = BatteryUnit(cells, inverter, soc_pct=98.1)
    house = House(held(0.0), [PvUnit(held(1000.0), rated_w=4000.0)], [unit])
    house.battery(0).order(0.0, -1000.0, inf)
    house.advance(3600.0)  # 190 Wh of room take 200 Wh of 1000 Wh
    assert house.battery(0).reading(3600.0).soc_pct == 100.0
    assert house.export_wh - house.import_wh == pytest.approx(800.0)


def test_a_capped_pv_inverter_gives_no_more_and_the_books_say_what_was_lost() -> None:
    house = House(held(0.0), [PvUnit(held(3000.0), rated_w=4000.0, dead_time_s=0.0)])
    house.pv(0).cap(0.0, 1000.0, expires_at_s=1800.0)
    assert house.pv(0).reading(900.0).pv_generation_w == 1000.0
    house.advance(3600.0)  # half an hour capped, half an hour free
    assert house.energies.pv_wh == pytest.approx(2000.0)
    assert house.energies.curtailed_wh == pytest.approx(1000.0)
    assert house.pv(0).reading(3600.0).cap_w is None


def test_a_released_pv_inverter_gives_everything_again() -> None:
    house = House(held(0.0), [PvUnit(held(3000.0), rated_w=4000.0, dead_time_s=0.5)])
    house.pv(0).cap(0.0, 0.0, inf)
    house.pv(0).release(10.0)
    assert house.pv(0).reading(10.4).pv_generation_w == 0.0
    assert house.pv(0).reading(10.5).pv_generation_w == 3000.0


def test_a_battery_reading_says_what_the_battery_is_and_does() -> None:
    house = House(held(0.0), (), [a_battery(soc_pct=50.0)])
    house.battery(0).order(0.0, -2000.0, expires_at_s=30.0)
    reading = house.battery(0).reading(9.0)  # 2000 W * 0.95 * 9 s = 4.75 Wh
    assert reading.battery_discharge_w == -2000.0
    assert reading.setpoint_w == -2000.0
    assert reading.soc_pct == pytest.approx(50.0475)
    assert (reading.max_charge_w, reading.max_discharge_w) == (5000.0, 5000.0)
    assert reading.capacity_wh == 10_000.0
    house.battery(0).release(10.0)
    assert house.battery(0).reading(11.0).setpoint_w is None


def test_three_phases_share_what_is_even_and_carry_what_is_theirs() -> None:
    house = House(
        held(3000.0), [PvUnit(held(900.0), 4000.0, phase=2)], [a_battery(phase=3)], phases=3, load_phase=None
    )
    house.battery(0).order(0.0, 400.0, inf)
    reading = house.meter().reading(1.0)
    assert reading.phase_import_w == pytest.approx((1000.0, 100.0, 600.0))
    assert reading.pcc_import_w == pytest.approx(1700.0)
    assert reading.phase_voltage_v[0] == pytest.approx(230.0 - 0.25 * 1000.0 / 230.0)
    assert reading.phase_current_a[0] == pytest.approx(1000.0 / reading.phase_voltage_v[0])


def test_a_load_on_one_phase_leaves_the_others_empty() -> None:
    house = House(held(3000.0), phases=3, load_phase=1)
    assert house.meter().reading(1.0).phase_import_w == (3000.0, 0.0, 0.0)


def test_at_speed_288_a_day_passes_in_five_minutes() -> None:
    house = House(StepTrace(43_200.0, [1000.0, 0.0]), speed=288.0, begin_s=777.0)
    assert house.meter().reading(777.0 + 149.9).pcc_import_w == 1000.0
    assert house.meter().reading(777.0 + 150.0).pcc_import_w == 0.0
    assert house.meter().reading(777.0 + 300.0).import_wh == pytest.approx(12_000.0)


def test_a_house_can_start_in_the_middle_of_its_traces() -> None:
    house = House(held(100.0, 200.0), trace_begin_s=800.0)
    assert house.meter().reading(99.0).pcc_import_w == 100.0
    assert house.meter().reading(100.0).pcc_import_w == 200.0


def test_asking_twice_for_the_same_instant_changes_nothing() -> None:
    house = House(held(500.0), (), [a_battery(time_constant_s=1.0)])
    house.battery(0).order(0.0, 300.0, inf)
    first = house.meter().reading(0.7)
    assert house.meter().reading(0.7) == first


def test_a_house_does_not_go_back_in_time() -> None:
    house = House(held(500.0))
    house.advance(10.0)
    with pytest.raises(ValueError, match="cannot go back"):
        house.advance(9.0)


def test_the_time_to_the_next_limit_is_that_of_the_battery_that_gets_there_first() -> None:
    house = House(held(0.0), (), [a_battery(soc_pct=50.0), a_battery(soc_pct=10.0)])
    assert house.time_to_limit_s(0.0) == inf
    house.battery(0).order(0.0, 950.0, inf)
    house.battery(1).order(0.0, 950.0, inf)
    assert house.time_to_limit_s(0.0) == pytest.approx(3600.0)


def test_a_battery_that_stops_where_it_was_foretold_stops_there() -> None:
    house = House(held(0.0), (), [a_battery(soc_pct=10.0)])
    house.battery(0).order(0.0, 950.0, inf)
    at_s = house.time_to_limit_s(0.0)
    assert house.battery(0).reading(at_s - 0.01).battery_discharge_w == 950.0
    assert house.battery(0).reading(at_s + 0.01).battery_discharge_w == 0.0


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"phases": 2}, "phases is 2"), ({"speed": 0.0}, "speed is 0"), ({"load_phase": 2}, "phase is 2")],
)
def test_a_house_that_cannot_exist_is_refused(wrong: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        House(held(0.0), **wrong)  # type: ignore[arg-type]  # the very point


# --- For any orders and any steps ---------------------------------------------------------------------

powers_w = st.floats(-8000.0, 8000.0)
moves = st.lists(
    st.tuples(
        st.floats(0.01, 2000.0),  # step, s
        st.sampled_from(["order 0", "order 1", "release", "cap", "uncap", "wait"]),
        powers_w,
        st.floats(0.1, 3000.0),  # lease, s
    ),
    max_size=25,
)
dynamics = st.fixed_dictionaries(
    {
        "dead_time_s": st.sampled_from([0.0, 0.5, 3.0]),
        "time_constant_s": st.sampled_from([0.0, 0.3, 5.0]),
        "ramp_w_per_s": st.sampled_from([inf, 300.0, 3000.0]),
        "standby_w": st.sampled_from([0.0, 7.0]),
    }
)


def a_random_house(
    first: dict[str, float], second: dict[str, float], soc_pct: float, speed: float, phases: int = 1
) -> House:
    tapering = LithiumParams(3000.0, max_charge_w=3500.0, max_discharge_w=4000.0, min_soc_pct=10.0)
    return House(
        held(300.0, 2500.0, 900.0, 4100.0),
        [PvUnit(held(0.0, 3300.0, 5000.0), 4600.0, dead_time_s=first["dead_time_s"])],
        [
            BatteryUnit(tapering, InverterParams(3680.0, 4600.0, **first), soc_pct),
            a_battery(100.0 - soc_pct, phases if phases > 1 else None, **second),
        ],
        phases=phases,
        speed=speed,
    )


def act(house: House, now_s: float, kind: str, power_w: float, lease_s: float) -> None:
    if kind == "order 0":
        house.battery(0).order(now_s, power_w, now_s + lease_s)
    elif kind == "order 1":
        house.battery(1).order(now_s, power_w, inf)
    elif kind == "release":
        house.battery(0).release(now_s)
    elif kind == "cap":
        house.pv(0).cap(now_s, abs(power_w), now_s + lease_s)
    elif kind == "uncap":
        house.pv(0).release(now_s)


@settings(deadline=None)
@given(
    steps=moves,
    first=dynamics,
    second=dynamics,
    soc_pct=st.floats(0, 100),
    speed=st.sampled_from([1.0, 60.0]),
)
def test_the_books_close_after_every_step_whatever_is_ordered(
    steps: list[tuple[float, str, float, float]],
    first: dict[str, float],
    second: dict[str, float],
    soc_pct: float,
    speed: float,
) -> None:
    house = a_random_house(first, second, soc_pct, speed)
    stored_wh = house.energies.stored_wh
    before = house.energies
    now_s = 0.0
    for step_s, kind, power_w, lease_s in steps:
        act(house, now_s, kind, power_w, lease_s)
        now_s += step_s
        house.advance(now_s)
        after = house.energies
        assert imbalance(house, stored_wh) < 1e-9
        counters = zip(astuple(after)[:-1], astuple(before)[:-1], strict=True)
        assert all(now >= then - 1e-9 for now, then in counters)
        assert after.import_wh >= before.import_wh
        assert after.export_wh >= before.export_wh
        for battery in house.batteries:
            assert -1e-9 <= battery.cells.stored_wh <= battery.cells.capacity_wh + 1e-9
        before = after


@settings(deadline=None)
@given(
    steps=moves,
    first=dynamics,
    second=dynamics,
    soc_pct=st.floats(0, 100),
    cuts=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6),
)
def test_one_long_step_comes_to_the_same_as_many_short_ones(
    steps: list[tuple[float, str, float, float]],
    first: dict[str, float],
    second: dict[str, float],
    soc_pct: float,
    cuts: list[float],
) -> None:
    long, short = (a_random_house(first, second, soc_pct, 1.0) for _ in range(2))
    now_s = 0.0
    for step_s, kind, power_w, lease_s in steps:
        for house in (long, short):
            act(house, now_s, kind, power_w, lease_s)
        for cut in sorted(cuts):
            short.advance(now_s + cut * step_s)
        now_s += step_s
        for house in (long, short):
            house.advance(now_s)
    assert astuple(short.energies) == pytest.approx(astuple(long.energies), rel=1e-9, abs=0.02)
    assert stored(short) == pytest.approx(stored(long), abs=1e-4)


def stored(house: House) -> list[float]:
    return [battery.cells.stored_wh for battery in house.batteries]


def test_the_same_calls_give_the_same_bits() -> None:
    def a_day() -> Energies:
        traces = SyntheticHouse(5, resolution_s=60)
        house = House(
            traces.load, [PvUnit(traces.pv, 6000.0)], [a_battery(dead_time_s=0.5, time_constant_s=0.3)]
        )
        for minute in range(1440):
            reading = house.meter().reading(minute * 60.0)
            battery_w = house.battery(0).reading(minute * 60.0).battery_discharge_w
            house.battery(0).order(minute * 60.0, reading.pcc_import_w + battery_w, inf)
        return house.energies

    assert a_day() == a_day()
