"""What the bench says a stored kWh is worth at the end of a month, and what a month then costs."""

from __future__ import annotations

import numpy as np
import pytest

from controller.planning.inputs import Leave, Storage
from tests.bench.money.course import Case, Course
from tests.bench.money.months import months, stored_worth

HOUR_S, JUNE_UTC_S = 3600.0, 1_780_272_000.0
"""1 June 2026, 00:00 UTC."""


def june(pv_w: float) -> Case:
    """A house of 500 W at 30 ct, exports earn nothing, and a battery of 10 kWh, half full on 1 June."""
    hours = 30 * 24
    flat = np.ones(hours)
    return Case(
        "june",
        JUNE_UTC_S + HOUR_S * np.arange(hours),
        0.0 * flat,
        HOUR_S,
        500.0 * flat,
        pv_w * flat,
        0.30 * flat,
        0.0 * flat,
        np.full(hours, hours),
        Storage(10_000.0, 4000.0, 4000.0, wear_per_kwh=0.02, min_soc_pct=0.0),
        Leave(),
    )


def test_what_is_stored_is_worth_what_it_saves_and_nothing_where_the_sun_does_not_end() -> None:
    """24 kWh of load lie ahead, so all 10 kWh find it: each saves 0.95 x (30 - 2) = 26.6 ct."""
    assert stored_worth(june(0.0), 0)[-1] == pytest.approx(2.66, rel=0.01)
    assert stored_worth(june(3000.0), 0)[-1] == pytest.approx(0.0, abs=0.01)


def test_a_month_that_ends_with_more_stored_is_not_called_dear_for_it() -> None:
    """5.26 kWh bought in the last hours, 5 kWh stored: 158 ct spent, of which 133 ct are still there.

    The month without a battery costs 720 h x 0.5 kW x 30 ct = 108 EUR.
    """
    case = june(0.0)
    rested = Course(np.zeros(case.steps), np.full(case.steps, 50.0))
    charged_w, soc_pct = np.zeros(case.steps), np.full(case.steps, 50.0)
    charged_w[-3:-1], soc_pct[-2:] = -5000.0 / 0.95 / 2.0, 100.0
    found = months(case, (rested, Course(charged_w, soc_pct)))
    assert [one.name for one in found] == ["2026-06"]
    assert found[0].costs == pytest.approx((108.0, 108.0 + 1.58 - 1.33), abs=0.02)
    assert found[0].dearer_pct(1, 0) == pytest.approx(0.25 / 108.0 * 100.0, abs=0.02)
