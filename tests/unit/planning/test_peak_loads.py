"""The load as peaks see it: what lasts is carried on, what does not is expected at any time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from controller.planning.forecast import forecast
from controller.planning.history import Ahead, calendar
from controller.planning.inputs import Floats, PeakLoads
from controller.planning.needs import Battery, Billed, needed_anyhow, needs_of
from controller.planning.peak_loads import SPIKES, peak_loads
from tests.unit.planning.days import DAY, SUMMER_S, past

NOON = DAY // 2
LEVELS_W = np.array([12_000.0, 14_000.0, 19_000.0, 20_000.0])


def model(days: int, load_w: Callable[[int], float], now: int = NOON) -> PeakLoads:
    """At noon of the day after so many whole ones, or at another of its slots."""
    history = past(days * DAY + now, load_w)
    found = peak_loads(history, calendar(history, SUMMER_S), 2 * DAY)
    assert found is not None
    return found


def likely_w(loads: PeakLoads, slots: int) -> Floats:
    """What is expected of the next slots."""
    weights, found = loads.weights, []
    for slot in range(slots):
        found.append(float(weights @ loads.net_w[slot] @ loads.chance))
        weights = np.einsum("e,f,eft->t", loads.chance, weights, loads.follow[slot])
    return np.array(found)


def uncertain_w(loads: PeakLoads, slot: int) -> float:
    """The standard deviation of what this slot may bring."""
    weights = loads.weights
    for earlier in range(slot):
        weights = np.einsum("e,f,eft->t", loads.chance, weights, loads.follow[earlier])
    mean_w = float(weights @ loads.net_w[slot] @ loads.chance)
    return float(np.sqrt(weights @ (loads.net_w[slot] - mean_w) ** 2 @ loads.chance))


def test_a_day_that_began_high_is_expected_to_stay_high() -> None:
    # Days of 10 and of 12 kW by turns, and today has had 12 kW until noon.
    loads = model(28, lambda slot: 12_000.0 if slot // DAY % 2 == 0 else 10_000.0)
    assert likely_w(loads, 16).mean() == pytest.approx(11_900.0, abs=400.0)


def test_a_spike_that_never_lasted_is_not_carried_on() -> None:
    # 1 kW, but for every seventh quarter hour of 8 kW, the last of them just now: 2 kW in the mean.
    loads = model(28, lambda slot: 8000.0 if (slot - NOON + 1) % 7 == 0 else 1000.0)
    assert likely_w(loads, 14).mean() == pytest.approx(2000.0, abs=500.0)
    assert loads.net_w[0].max() > 6000.0


def by_its_morning(slot: int) -> float:
    """10 kW; from 6:00 to 10:00 each day comes to its own load: 8, 9, 11 or 12 kW, 1.58 kW around 10."""
    day, time = divmod(slot, DAY)
    own_w = (-2000.0, 2000.0, -1000.0, 1000.0)[day * 7 % 4]
    return 10_000.0 + own_w * float(np.interp(time, (24, 40, 80, 88), (0.0, 1.0, 1.0, 0.0)))


def test_before_a_morning_that_tells_what_the_day_will_be_its_afternoon_is_uncertain() -> None:
    # 6:00, eight hours before 14:00.
    assert uncertain_w(model(28, by_its_morning, 24), 32) == pytest.approx(1580.0, rel=0.4)


def test_after_that_morning_its_afternoon_is_known() -> None:
    # Noon: from 10:00 on nothing new was ever seen.
    assert uncertain_w(model(28, by_its_morning), 8) < 400.0


def test_a_load_that_never_changes_is_known_for_ever() -> None:
    loads = model(7, lambda slot: 1000.0)
    assert likely_w(loads, 96) == pytest.approx(1000.0, abs=1.0)
    assert np.isfinite(loads.net_w).all()


def test_peaks_are_planned_for_to_the_end_of_tomorrow_and_no_further() -> None:
    assert model(7, lambda slot: 1000.0).until == DAY + NOON


def test_of_two_days_nothing_can_be_said() -> None:
    history = past(2 * DAY, lambda slot: 1000.0)
    assert peak_loads(history, calendar(history, SUMMER_S), DAY) is None


@pytest.mark.parametrize(("slots", "chances"), [(2 * DAY, (0.95, 0.05)), (3 * DAY, SPIKES)])
def test_a_young_site_reckons_with_a_load_that_it_has_not_seen(
    slots: int, chances: tuple[float, ...]
) -> None:
    """1 kW was all there ever was; a battery of 3 kW says that 2.1 kW more may come, once in 20 slots."""
    ahead = Ahead(np.full(DAY, SUMMER_S), np.full(DAY, 0.30))
    loads = forecast(past(slots, lambda slot: 1000.0), ahead, battery_w=3000.0).peaks
    assert loads is not None
    assert tuple(loads.chance) == pytest.approx(chances)
    most_w = float((loads.weights @ loads.net_w[0])[-1])
    assert most_w == pytest.approx(3100.0 if slots == 2 * DAY else 1000.0, abs=10.0)


def month(days_left: int) -> Floats:
    """What the month will cost with each level had by tonight: a working day has 10 kW and an hour of 20."""
    day_w = np.full(24, 10_000.0)
    day_w[18] = 20_000.0
    loads = PeakLoads(
        np.zeros((24, 1, 1)),
        np.ones(1),
        np.ones((24, 1, 1, 1)),
        np.ones(1),
        24,
        np.tile(day_w, (14, 1)),
        np.zeros(14, dtype=bool),
        np.zeros(32, dtype=bool),
        0,
    )
    battery = Battery(8000.0, 8000.0, 1.0, 1.0, 5000.0, 5000.0, True, 1.0)
    always = np.ones((1, 24), dtype=bool)
    ends = 24 * (1 + days_left)
    billed = Billed(0, 24, ends, np.array([10.0]), np.zeros(1), always, always)
    return needed_anyhow(billed, loads, needs_of(billed, loads, battery), LEVELS_W)


def test_on_the_last_day_of_a_month_each_kilowatt_costs_its_rate() -> None:
    assert month(0) == pytest.approx([120.0, 140.0, 190.0, 200.0])


def test_early_in_a_month_what_its_days_need_anyhow_costs_little() -> None:
    cost = month(10)
    # 5 kWh leave 15 kW of each of them: 2 kW below that cost up to the fifth that they may be unlike, or 4.
    assert 0.0 < cost[1] - cost[0] < 4.0
    assert cost[3] - cost[2] == pytest.approx(10.0, abs=0.1)
