"""Rates of the OpenEI database: what they cost, against NREL's own figures, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from controller.planning.bills import bill
from controller.planning.urdb import UrdbError, urdb_tariff
from tests.reference.rates import RATES, e19, gs2, load_kw, made_up, schedule_rd, sun_kw

SAM = {
    "PG&E E-19": (358021.72, 258273.27, 7195.07, 623490.06),
    "SCE GS-2 TOU-B": (59226.52, 35503.91, 3110.40, 97840.84),
    "Xcel RD": (2043.88, 987.75, 190.92, 3222.55),
    "made up": (29049.14, 2550.04, 120.00, 31719.19),
}
"""Energy, demand, fixed, total of a year by `utilityrate5` of nrel-pysam 7.1.1; live in `make reference`."""


@pytest.mark.parametrize("name", SAM)
def test_a_year_costs_what_nrel_says_it_costs(name: str) -> None:
    found = bill(
        urdb_tariff(RATES[name]()),
        1000.0 * np.array(load_kw(name)),
        datetime(2018, 1, 1, tzinfo=UTC).timestamp(),
        900.0,
        lambda utc_s: 0.0,
    )
    figures = (found.energy_cost, found.demand_cost, found.fixed_cost, found.total)
    assert figures == pytest.approx(SAM[name], rel=1e-3)


def test_with_a_selling_rate_exports_earn_it() -> None:
    net_w = 1000.0 * (np.array(load_kw("made up")) - np.array(sun_kw("made up")))
    found = bill(
        urdb_tariff(made_up()), net_w, datetime(2018, 1, 1, tzinfo=UTC).timestamp(), 900.0, lambda utc_s: 0.0
    )
    assert found.total == pytest.approx(19870.05, rel=1e-3)


def test_it_says_what_it_cannot_read() -> None:
    said = " | ".join(urdb_tariff({**e19(), "coincidentratestructure": [[{"rate": 3}]], "xyz": 5}).unread)
    for part in ("net metering", "Power-Factor", "windows of 15 minutes", "own peak", "xyz: not known here"):
        assert part in said
    assert "California Climate credit" in " ".join(urdb_tariff(gs2()).unread)
    tiers = schedule_rd()
    tiers["energyratestructure"] = [[{"rate": 0.1, "max": 10, "unit": "kWh daily"}, {"rate": 0.2}]]
    read = urdb_tariff(tiers)
    assert any('in "kwh daily"' in one for one in read.unread)
    assert read.energy.rates is not None
    assert [tier.rate for tier in read.energy.rates.tiers[0]] == [0.1]


def changed(key: str, value: Any) -> dict[str, Any]:
    return {**e19(), key: value}


@pytest.mark.parametrize(
    ("rate", "says"),
    [
        (dict, "energyratestructure is missing"),
        (lambda: changed("energyratestructure", "x"), "not a list of periods"),
        (lambda: changed("energyratestructure", [[{"rate": float("nan")}]]), "not a number"),
        (lambda: changed("energyratestructure", [[{"rate": True}]]), "not a number"),
        (lambda: changed("energyweekdayschedule", [[0] * 24] * 11), "12 months of 24 hours"),
        (lambda: changed("energyweekdayschedule", [[9] * 24] * 12), "names period 9"),
        (lambda: changed("flatdemandmonths", [0] * 11), "one period for each of 12 months"),
        (lambda: changed("flatdemandmonths", [7] * 12), "names period 7"),
        (
            lambda: changed(
                "flatdemandstructure", [[{"rate": 1, "max": 5}, {"rate": 2, "max": 4}, {"rate": 3}]] * 2
            ),
            "each tier ends above",
        ),
    ],
)
def test_a_broken_rate_is_refused_with_the_field_that_is_wrong(rate: Callable[[], Any], says: str) -> None:
    with pytest.raises(UrdbError, match=says):
        urdb_tariff(rate())
