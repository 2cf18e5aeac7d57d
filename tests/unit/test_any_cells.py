"""Any kind of battery behind an inverter in a house: the books close, losses follow their curve."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.cells import KINDS, CellsParams, Kind, chemistry
from simulators.converter import InverterParams, LossCurve
from simulators.inverter import BatteryInverter
from simulators.meters import MeterParams
from simulators.site import BatteryUnit, House, PvUnit
from simulators.traces import SyntheticHouse
from tests.unit.test_house import held, imbalance


def a_kind(kind: Kind, capacity_wh: float = 6000.0) -> CellsParams:
    return chemistry(kind, capacity_wh, max_charge_w=4000.0, max_discharge_w=4000.0)


def test_every_kind_can_be_had_by_name() -> None:
    for kind in KINDS:
        assert a_kind(kind).new(50.0).capacity_wh == 6000.0


@pytest.mark.parametrize("wrong", [{"soc_pct": 101.0}, {"capacity_wh": 0.0}])
def test_a_battery_that_cannot_exist_is_refused(wrong: dict[str, float]) -> None:
    for kind in ("lfp", "agm"):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            a_kind(kind, wrong.get("capacity_wh", 6000.0)).new(wrong.get("soc_pct", 50.0))


LOSSES = LossCurve(4600.0, 150.0, 30.0, 40.0)
CURVED = InverterParams(
    4600.0, 4600.0, charge_loss=LOSSES, discharge_loss=LOSSES, min_power_w=60.0, resolution_w=10.0
)
events = st.lists(
    st.tuples(
        st.floats(0.01, 7200.0),
        st.sampled_from(["order 0", "order 1", "release", "gone", "back", "cap", ""]),
        st.floats(-6000.0, 6000.0),
    ),
    max_size=20,
)


@settings(deadline=None)
@given(
    steps=events,
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    soc_pct=st.floats(0.0, 100.0),
    speed=st.sampled_from([1.0, 60.0]),
    ramp_w_per_s=st.sampled_from([inf, 400.0]),
)
def test_the_books_close_with_every_kind_of_battery_whatever_happens(
    steps: list[tuple[float, str, float]],
    kinds: tuple[Kind, Kind],
    soc_pct: float,
    speed: float,
    ramp_w_per_s: float,
) -> None:
    curved = replace(CURVED, ramp_w_per_s=ramp_w_per_s)
    units = [
        BatteryUnit(a_kind(kinds[0]), curved, soc_pct),
        BatteryUnit(a_kind(kinds[1]), InverterParams(3000.0, 3000.0), 100.0 - soc_pct, 3, forms_grid=False),
    ]
    house = House(
        held(300.0, 2500.0, 900.0), [PvUnit(held(0.0, 5000.0), 4600.0)], units, phases=3, speed=speed
    )
    stored_wh, now_s = house.energies.stored_wh, 0.0
    for step_s, event, power_w in steps:
        if event.startswith("order"):
            house.battery(int(event[-1])).order(now_s, power_w, now_s + 900.0)
        elif event == "release":
            house.battery(0).release(now_s)
        elif event in ("gone", "back"):
            house.set_grid(present=event == "back")
        elif event == "cap":
            house.pv(0).cap(now_s, abs(power_w), now_s + 600.0)
        before = house.energies
        now_s += step_s / speed
        house.advance(now_s)
        assert imbalance(house, stored_wh) < 1e-9
        assert house.energies.lost_wh >= before.lost_wh - 1e-6
        for battery in house.batteries:
            assert -0.5 <= battery.cells.true_soc_pct <= 100.5
            assert 0.0 <= battery.cells.soc_pct <= 100.0


def test_an_output_that_runs_after_a_limit_that_tapers_as_fast_gets_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was followed in steps of 1e-11 s, and a simulation of two days did not end; so did seed 33 here."""
    chance = Random(33)
    cells = chemistry("nmc", 25_000.0, max_charge_w=inf, max_discharge_w=inf, efficiency=1.0)
    inverter = InverterParams(12_500.0, 12_500.0, time_constant_s=0.6, dead_time_s=0.2)
    house = House(held(0.0), [], [BatteryUnit(cells, inverter, 94.0)], begin_s=36_000.0)
    battery, port, moves, now_s = house.batteries[0], house.battery(0), 0, 36_000.0
    move_to = BatteryInverter.move_to

    def counted(self: BatteryInverter, now_s: float) -> float:
        nonlocal moves
        moves += 1
        assert moves < 1000
        return move_to(self, now_s)

    monkeypatch.setattr(BatteryInverter, "move_to", counted)
    for _ in range(300):
        moves = 0
        port.order(now_s, -(battery.max_charge_w + chance.uniform(-60.0, 60.0)), inf)
        now_s += 1.0
        house.advance(now_s)
    assert battery.cells.soc_pct > 97.0


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_bits_with_every_kind_of_battery(kind: Kind) -> None:
    def two_days() -> list[float]:
        traces = SyntheticHouse(11, resolution_s=60)
        house = House(traces.load, [PvUnit(traces.pv, 6000.0)], [BatteryUnit(a_kind(kind), CURVED, 40.0)])
        meter = house.meter(MeterParams(60.0, noise_w=9.0, seed=4))
        seen = []
        for minute in range(2880):
            import_w = meter.reading(minute * 60.0).pcc_import_w
            reading = house.battery(0).reading(minute * 60.0)
            house.battery(0).order(minute * 60.0, import_w + reading.battery_discharge_w, inf)
            seen += [import_w, reading.battery_discharge_w, reading.soc_pct or 0.0]
        return seen

    assert two_days() == two_days()


def test_losses_over_power_come_back_as_the_power_they_were() -> None:
    # 4600 W: 150 + 30 + 40 W lost. 2300 W: 37.5 + 15 + 40.
    assert LOSSES.charging_dc_w(4600.0) == 4380.0
    assert LOSSES.discharging_dc_w(2300.0) == 2392.5
    assert LOSSES.charging_ac_w(4380.0) == pytest.approx(4600.0)
    assert LOSSES.discharging_ac_w(2392.5) == pytest.approx(2300.0)


def test_an_inverter_takes_orders_in_its_steps_and_from_its_least_power_on() -> None:
    params = InverterParams(4000.0, 5000.0, min_power_w=75.0, resolution_w=50.0)
    assert [params.taken_w(w) for w in (60.0, 80.0, -120.0, 9000.0, -9000.0)] == [
        0.0,
        100.0,
        -100.0,
        5000.0,
        -4000.0,
    ]


def test_a_loss_curve_empties_the_battery_by_what_it_says() -> None:
    cells = chemistry("simple", 10_000.0, max_charge_w=inf, max_discharge_w=inf, efficiency=1.0)
    params = InverterParams(
        4600.0, 4600.0, discharge_loss=LOSSES, standby_w=0.0, dead_time_s=0.0, time_constant_s=0.0
    )
    house = House(held(0.0), (), [BatteryUnit(cells, params, 50.0)])
    house.battery(0).order(0.0, 2300.0, inf)
    house.advance(3600.0)
    assert house.energies.stored_wh == pytest.approx(5000.0 - 2392.5)
    assert house.energies.lost_wh == pytest.approx(92.5)
