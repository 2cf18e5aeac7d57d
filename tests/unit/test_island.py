"""The house without its grid: who carries it, when it goes dark, what meters and inverters say."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.island import IslandParams, Supply
from simulators.site import House, PvUnit
from simulators.traces import StepTrace
from tests.unit.test_house import a_battery, a_random_house, act, dynamics, held, imbalance, moves

AT_ONCE = IslandParams(transfer_s=0.0, restart_s=10.0, resync_s=0.0)


def test_on_an_island_the_battery_carries_what_the_pv_does_not() -> None:
    house = House(held(2000.0), [PvUnit(held(500.0), 4000.0)], [a_battery()], island=AT_ONCE)
    house.battery(0).order(0.0, -3000.0, inf)
    house.set_grid(present=False)
    assert house.battery(0).reading(3600.0).battery_discharge_w == 1500.0  # whatever was ordered
    assert house.energies.import_wh == 0.0
    assert house.energies.discharged_wh == pytest.approx(1500.0)
    assert house.energies.unserved_wh == 0.0


def test_a_dead_grid_is_seen_by_meter_and_inverter() -> None:
    house = House(held(2000.0), (), [a_battery()], phases=3)
    house.set_grid(present=False)
    reading = house.meter().reading(1.0)
    assert reading.phase_voltage_v == (0.0, 0.0, 0.0)
    assert (reading.pcc_import_w, reading.frequency_hz) == (0.0, 0.0)
    assert reading.phase_import_w == reading.phase_current_a == (0.0, 0.0, 0.0)
    assert house.battery(0).reading(1.0).grid_present is False


def test_pv_that_nobody_can_take_is_curtailed_on_an_island() -> None:
    # The battery takes 5000 W and the load 400 W of 8000 W, shared as the two roofs give it: 5 to 3.
    pvs = [PvUnit(held(5000.0), 6000.0), PvUnit(held(3000.0), 6000.0)]
    house = House(held(400.0), pvs, [a_battery()], island=AT_ONCE)
    house.set_grid(present=False)
    assert house.pv(0).reading(360.0).pv_generation_w == pytest.approx(3375.0)
    assert house.pv(1).reading(360.0).pv_generation_w == pytest.approx(2025.0)
    assert house.battery(0).reading(360.0).battery_discharge_w == -5000.0
    assert house.energies.curtailed_wh == pytest.approx(260.0)


def test_the_transfer_leaves_the_house_dark_for_a_moment() -> None:
    house = House(held(3600.0), (), [a_battery()], island=IslandParams(transfer_s=0.5))
    house.set_grid(present=False)
    assert house.supply is Supply.DARK
    house.advance(10.0)
    assert house.supply is Supply.ISLAND
    assert house.energies.unserved_wh == pytest.approx(0.5)  # 3600 W for half a second
    assert house.energies.load_wh == pytest.approx(9.5)


def test_too_much_load_darkens_an_island_until_there_is_less() -> None:
    # 5000 W of inverter; 6000 W of load in the first quarter of an hour, 1000 W in the second.
    house = House(held(6000.0, 1000.0), (), [a_battery()], island=AT_ONCE)
    house.set_grid(present=False)
    assert house.battery(0).reading(800.0).battery_discharge_w == 0.0
    assert house.supply is Supply.DARK
    assert house.battery(0).reading(1000.0).battery_discharge_w == 1000.0
    assert house.energies.unserved_wh == pytest.approx(1500.0)


def test_shedding_brings_a_dark_house_back_but_not_before_the_inverter_tries_again() -> None:
    house = House(held(6000.0), (), [a_battery()], island=AT_ONCE)
    house.shed(2000.0)
    house.set_grid(present=False)
    assert house.load_w == 4000.0
    house.shed(-2000.0)
    assert (house.supply, house.load_w) == (Supply.DARK, 0.0)
    house.advance(4.0)
    house.shed(2000.0)
    house.advance(9.9)
    assert house.supply is Supply.DARK
    house.advance(10.1)
    assert (house.supply, house.load_w) == (Supply.ISLAND, 4000.0)


def test_an_empty_battery_ends_the_island_and_sun_alone_does_not_start_one() -> None:
    # 10 kWh, 1 % of it left: 100 Wh * 0.95 carry 950 W for 360 s; then 540 s dark, then sun for nobody.
    house = House(
        held(950.0),
        [PvUnit(StepTrace(900.0, [0.0, 3000.0]), 4000.0)],
        [a_battery(soc_pct=1.0)],
        island=AT_ONCE,
    )
    house.set_grid(present=False)
    house.advance(359.0)
    assert house.supply is Supply.ISLAND
    house.advance(1800.0)
    assert house.supply is Supply.DARK
    assert house.energies.unserved_wh == pytest.approx(950.0 * 1440.0 / 3600)
    assert house.energies.curtailed_wh == pytest.approx(750.0)


def test_an_island_lives_on_sun_alone_while_it_is_enough() -> None:
    house = House(held(500.0), [PvUnit(held(2000.0), 4000.0)], [a_battery(soc_pct=0.01)], island=AT_ONCE)
    house.set_grid(present=False)
    assert house.battery(0).reading(60.0).battery_discharge_w == -1500.0


def test_two_batteries_share_an_island_by_what_they_may_give() -> None:
    usual = a_battery()
    small = replace(usual, inverter=replace(usual.inverter, rated_discharge_w=1000.0))
    house = House(held(3000.0), (), [a_battery(), small], island=AT_ONCE)
    house.set_grid(present=False)
    assert house.battery(0).reading(1.0).battery_discharge_w == pytest.approx(2500.0)
    assert house.battery(1).reading(1.0).battery_discharge_w == pytest.approx(500.0)


def test_a_battery_that_cannot_form_a_grid_rests_without_one() -> None:
    follower = replace(a_battery(), forms_grid=False)
    house = House(held(3000.0), (), [a_battery(), follower], island=AT_ONCE)
    house.battery(1).order(0.0, 2000.0, inf)
    house.set_grid(present=False)
    assert house.battery(0).reading(1.0).battery_discharge_w == 3000.0
    assert house.battery(1).reading(1.0).battery_discharge_w == 0.0
    alone = House(held(3000.0), (), [follower])
    alone.set_grid(present=False)
    alone.advance(100.0)
    assert alone.supply is Supply.DARK


def test_the_grid_returns_to_an_island_after_it_has_proved_itself() -> None:
    house = House(held(2000.0), (), [a_battery()], island=IslandParams(resync_s=60.0))
    house.set_grid(present=False)
    house.battery(0).order(100.0, 700.0, inf)
    house.set_grid(present=True)
    assert house.battery(0).reading(159.0).battery_discharge_w == 2000.0
    assert house.battery(0).reading(159.0).grid_present is True
    assert house.meter().reading(159.0).pcc_import_w == 0.0
    assert house.battery(0).reading(161.0).battery_discharge_w == 700.0  # the order given meanwhile
    assert house.meter().reading(161.0).pcc_import_w == 1300.0


def test_a_grid_that_flaps_leaves_the_island_alone() -> None:
    house = House(held(2000.0), (), [a_battery()])
    house.set_grid(present=False)
    house.advance(10.0)
    for at_s in range(20, 600, 20):
        house.advance(float(at_s))
        house.set_grid(present=at_s % 40 == 0)
        assert house.supply is Supply.ISLAND
    assert house.energies.unserved_wh == pytest.approx(2000.0 * 0.02 / 3600)


def test_a_dark_house_has_the_returned_grid_at_once_and_its_inverters_later() -> None:
    house = House(held(6000.0), [PvUnit(held(500.0), 4000.0)], [a_battery()])
    house.battery(0).order(0.0, 800.0, inf)
    house.set_grid(present=False)
    house.advance(30.0)
    house.set_grid(present=True)
    assert house.supply is Supply.RETURNED
    assert house.meter().reading(89.0).pcc_import_w == 6000.0
    assert house.meter().reading(91.0).pcc_import_w == 4700.0


def test_frequency_and_voltage_of_the_grid_are_what_the_meter_shows() -> None:
    house = House(held(0.0))
    house.set_grid(frequency_hz=49.8, voltage_v=240.0)
    reading = house.meter().reading(1.0)
    assert (reading.frequency_hz, reading.phase_voltage_v) == (49.8, (240.0,))
    with pytest.raises(ValueError, match="present=False"):
        house.set_grid(voltage_v=0.0)


def test_an_order_on_an_island_still_ends_with_its_lease() -> None:
    house = House(held(2000.0), (), [a_battery()], island=AT_ONCE)
    house.set_grid(present=False)
    house.battery(0).order(0.0, 700.0, expires_at_s=30.0)
    assert house.battery(0).reading(20.0).setpoint_w == 700.0
    assert house.battery(0).reading(40.0).setpoint_w is None
    house.set_grid(present=True)
    assert house.battery(0).reading(41.0).battery_discharge_w == 0.0


grids = st.lists(st.sampled_from(["gone", "back", "shed", "restore", ""]), min_size=25, max_size=25)


@settings(deadline=None)
@given(
    steps=moves,
    events=grids,
    first=dynamics,
    second=dynamics,
    soc_pct=st.floats(0, 100),
    phases=st.sampled_from([1, 3]),
    load_w=st.sampled_from([0.0, 5000.0]),
)
def test_the_books_close_and_an_island_imports_nothing_whatever_happens(
    steps: list[tuple[float, str, float, float]],
    events: list[str],
    first: dict[str, float],
    second: dict[str, float],
    soc_pct: float,
    phases: int,
    load_w: float,
) -> None:
    house = a_random_house(first, second, soc_pct, 1.0, phases)
    house.shed(-load_w)
    stored_wh, now_s, shed = house.energies.stored_wh, 0.0, 0.0
    for (step_s, kind, power_w, lease_s), event in zip(steps, events, strict=False):
        act(house, now_s, kind, power_w, lease_s)
        if event in ("gone", "back"):
            house.set_grid(present=event == "back")
        elif event in ("shed", "restore"):
            house.shed((800.0 if event == "shed" else 0.0) - shed)
            shed = 800.0 if event == "shed" else 0.0
        before = house.energies
        now_s += step_s
        house.advance(now_s)
        after = house.energies
        assert imbalance(house, stored_wh) < 1e-9
        assert after.unserved_wh >= before.unserved_wh
        if not house.grid.present:
            assert house.pcc_import_w == 0.0
            assert (after.import_wh, after.export_wh) == (before.import_wh, before.export_wh)
            carried_w = house.pv_generation_w + sum(one.power_w for one in house.batteries)
            assert carried_w == pytest.approx(house.load_w, abs=1e-6)
