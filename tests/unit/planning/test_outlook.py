"""What a plan goes through: quarter hours, then hours; load and sun as two chains that lead on apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controller.planning.chain import Chain
from controller.planning.inputs import Ensemble, PlanError, PlanInputs, check
from controller.planning.outlook import outlook
from controller.planning.plan import make_plan
from controller.planning.water_values import water_values
from tests.unit.planning.sites import BATTERY, inputs, known

QUARTER_S = 900.0
LOAD = np.array([[0.9, 0.1], [0.3, 0.7]])
SUN = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.0, 0.4, 0.6]])
FIRST = np.array([0.1, 0.2, 0.1, 0.3, 0.1, 0.2])


def quarters(slots: int, begin_utc_s: float = 0.0, levels: int = 11) -> PlanInputs:
    """Prices that change at full hours; two loads and three suns that follow each other by chance."""
    hour = (begin_utc_s + QUARTER_S * np.arange(slots)) // 3600.0
    buy = 0.25 + 0.1 * np.sin(hour * 2.0)
    load_w = np.repeat(np.array([[300.0], [2500.0]]) + 50.0 * (hour % 3), 3, axis=0)
    pv_w = np.tile(np.array([[0.0], [1500.0], [4000.0]]) * (hour % 24 > 9), (2, 1))
    pairs = Ensemble(load_w, pv_w, FIRST, LOAD, sun_transition=SUN)
    return PlanInputs(begin_utc_s, QUARTER_S, buy, buy - 0.15, pairs, BATTERY, 50.0, levels=levels)


def ahead(given: PlanInputs) -> list[tuple[int, int]]:
    found = outlook(given, np.full(given.slots, np.inf))
    return list(zip(found.begin.tolist(), found.lasts.tolist(), strict=True))


def test_a_plan_goes_by_quarter_hours_for_six_hours_and_then_by_hours() -> None:
    assert ahead(quarters(32)) == [(slot, 1) for slot in range(24)] + [(24, 4), (28, 4)]


def test_the_hours_are_those_of_the_clock_whenever_a_plan_begins() -> None:
    # From 00:15 on quarter hours up to 06:00; the one that begins there reaches to 07:00.
    assert ahead(quarters(32, QUARTER_S))[22:] == [(22, 1), (23, 4), (27, 4), (31, 1)]


def test_an_hour_has_the_mean_of_its_quarters_and_the_least_of_their_targets() -> None:
    given = replace(quarters(28), import_per_kwh=np.append(np.zeros(24), [0.1, 0.2, 0.3, 0.4]))
    target_w = np.append(np.full(24, np.inf), [4000.0, 2000.0, np.inf, 3000.0])
    found = outlook(given, target_w)
    assert found.import_per_kwh[-1] == pytest.approx(0.25)
    assert (found.target_w[-1], found.target_w[0]) == (2000.0, np.inf)
    assert (found.hours[0], found.hours[-1]) == (0.25, 1.0)


def test_four_quarters_lead_on_as_one_after_the_other_does() -> None:
    chain = outlook(quarters(32), np.full(32, np.inf)).chain
    assert np.allclose(chain.load[-1], np.linalg.matrix_power(LOAD, 4))
    assert np.allclose(chain.sun[-1], np.linalg.matrix_power(SUN, 4))
    assert np.allclose(chain.sun[0], SUN)


def test_two_chains_are_one_of_all_their_pairs() -> None:
    pairs = quarters(8)
    together = Ensemble(pairs.ensemble.load_w, pairs.ensemble.pv_w, FIRST, np.kron(LOAD, SUN))
    apart, one = Chain.of(pairs.ensemble), Chain.of(together)
    assert np.allclose(apart.likely(FIRST), one.likely(FIRST))
    worth = np.arange(12.0).reshape(6, 2)
    by_both, by_one = np.empty((6, 2)), np.empty((6, 2))
    apart.before(3, worth, by_both)
    one.before(3, worth, by_one)
    assert np.allclose(by_both, by_one)
    plans = [make_plan(given) for given in (pairs, replace(pairs, ensemble=together))]
    assert np.allclose(plans[0].water_values, plans[1].water_values)


def dawn_at(dawn: int, slots: int) -> PlanInputs:
    """Dark before slot `dawn`; then any state of the sun may follow, whatever the day before was like."""
    given = quarters(slots)
    pv_w = np.tile([[0.0], [1500.0], [4000.0]], (2, slots))
    pv_w[:, :dawn] = 0.0
    follow = np.tile(np.eye(3), (slots, 1, 1))
    follow[dawn - 1] = [0.2, 0.3, 0.5]
    follow[dawn:] = SUN
    return replace(given, ensemble=replace(given.ensemble, pv_w=pv_w, sun_transition=follow))


def test_at_night_the_state_of_the_sun_makes_no_difference() -> None:
    given = dawn_at(12, 20)
    assert given.ensemble.transition is not None
    assert given.ensemble.sun_transition is not None
    each = np.stack([np.kron(given.ensemble.transition, one) for one in given.ensemble.sun_transition])
    together = replace(given.ensemble, transition=each, sun_transition=None)
    tail, never = np.linspace(0.2, 0.1, given.levels), np.full(given.slots, np.inf)
    after, by_one = (
        water_values(one, never, tail).after for one in (given, replace(given, ensemble=together))
    )
    assert np.allclose(after, by_one, rtol=0.0, atol=1e-12)
    by_sun = after.reshape(20, 2, 3, given.levels)
    assert (by_sun[:11] == by_sun[:11, :, :1]).all()
    assert not np.allclose(by_sun[14], by_sun[14, :, :1])


def test_an_hour_in_which_day_breaks_knows_nothing_of_the_day_before() -> None:
    # Two of its quarters are dark; at its end 0.2, 0.3 and 0.5 have become these chances by three of SUN.
    given = dawn_at(26, 32)
    chances = np.array([0.2, 0.3, 0.5]) @ SUN @ SUN
    pv_w = chances @ [0.0, 1500.0, 4000.0] * 2.0 / 4.0
    hour = outlook(given, np.full(32, np.inf)).net_w[24]
    assert hour == pytest.approx(given.ensemble.load_w[:, 24] - pv_w)


def test_by_hours_or_by_quarters_it_is_the_same_plan_where_nothing_changes_within_an_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One state, so that an hour's mean is what each of its quarters is; levels too fine to matter.
    given = replace(quarters(192, levels=81), ensemble=known(*quarters(192).ensemble.net_load_w[4]))
    by_hours = make_plan(given)
    monkeypatch.setattr("controller.planning.outlook.FINE_S", np.inf)
    by_quarters = make_plan(given)
    hourly = np.abs(by_hours.water_values[:24] - by_quarters.water_values[:24])
    # Half an hour of charging less or more within a price of an hour: what a level is worth moves a little.
    assert hourly.mean() < 0.005
    assert np.abs(by_hours.soc_pct[:24, 1] - by_quarters.soc_pct[:24, 1]).max() < 2.0


def test_courses_are_drawn_as_often_as_their_states_are_likely() -> None:
    chain = outlook(quarters(192), np.full(192, np.inf)).chain
    likely, drawn = chain.likely(FIRST), chain.drawn(FIRST)
    loads, suns = (
        [(one == state).mean() for state in range(count)] for one, count in ((drawn // 3, 2), (drawn % 3, 3))
    )
    mean = likely.mean(axis=0).reshape(2, 3)
    assert loads == pytest.approx(mean.sum(axis=1), abs=0.08)
    assert suns == pytest.approx(mean.sum(axis=0), abs=0.08)
    follows = [drawn[step + 1][drawn[step] // 3 == 0] // 3 for step in range(23)]
    assert np.concatenate(follows).mean() == pytest.approx(0.1, abs=0.05)


def test_what_is_expected_after_the_time_that_people_are_told_of_stays_as_it_is_then() -> None:
    whole, told = (make_plan(replace(quarters(32), told_s=one)) for one in (None, 7200.0))
    assert np.array_equal(whole.water_values, told.water_values)
    assert np.array_equal(whole.soc_pct[:8], told.soc_pct[:8])
    assert (told.soc_pct[8:] == told.soc_pct[7]).all()
    assert not told.battery_discharge_w[8:].any()
    assert whole.battery_discharge_w[8:].any()


@pytest.mark.parametrize("load", [None, LOAD])
def test_states_that_are_no_pairs_of_loads_and_suns_are_refused(load: np.ndarray | None) -> None:
    states = 5 if load is not None else 6
    ensemble = Ensemble(
        np.zeros((states, 2)), np.zeros((states, 2)), np.full(states, 1.0 / states), load, sun_transition=SUN
    )
    with pytest.raises(PlanError, match="no pairs with 3 suns"):
        check(inputs(ensemble, [0.2, 0.2]))
