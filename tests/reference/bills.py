"""Bills against `utilityrate5` of NREL's System Advisor Model, by way of NREL's own reader of URDB rates."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import PySAM.Utilityrate5
from PySAM.UtilityRateTools import URDBv8_to_ElectricityRates

from controller.planning.bills import Bill, bill
from controller.planning.urdb import urdb_tariff
from tests.reference.matched import Found
from tests.reference.rates import RATES, Rate, load_kw, sun_kw

ALLOWED_PCT = 0.1


def run(folder: Path) -> list[Found]:
    """Every rate over a year of load, part by part; the figures themselves stand in `test_urdb.py`."""
    found = []
    for name, rate in RATES.items():
        generation = sun_kw(name) if rate().get("dgrules") == "Net Billing Instantaneous" else None
        reference = sam(rate(), load_kw(name), generation)
        for what, figure in ours(rate(), load_kw(name), generation).items():
            apart_pct = 100.0 * abs(figure - reference[what]) / abs(reference[what])
            found.append(Found(f"bill of a year, {name}: {what}", apart_pct, ALLOWED_PCT, "%"))
    return found


def ours(rate: Rate, kw: list[float], generation_kw: list[float] | None) -> dict[str, float]:
    """Our bill, by parts."""
    found: Bill = bill(
        urdb_tariff(rate),
        1000.0 * (np.array(kw) - np.array(generation_kw or [0.0] * len(kw))),
        datetime(2018, 1, 1, tzinfo=UTC).timestamp(),
        900.0,
        lambda utc_s: 0.0,
    )
    net = (
        {"energy": found.energy_cost - found.export_credit}
        if generation_kw
        else {"energy": found.energy_cost}
    )
    return {**net, "demand": found.demand_cost, "fixed": found.fixed_cost, "total": found.total}


def sam(rate: Rate, kw: list[float], generation_kw: list[float] | None) -> dict[str, float]:
    """The same bill by `utilityrate5`, by parts."""
    model = PySAM.Utilityrate5.new()
    for key, value in sam_inputs(rate).items():
        setattr(model.ElectricityRates, key, value)
    model.Lifetime.analysis_period = 1
    model.Lifetime.system_use_lifetime_output = 0
    model.Lifetime.inflation_rate = 0
    model.ElectricityRates.rate_escalation = [0]
    model.SystemOutput.degradation = [0]
    model.SystemOutput.gen = generation_kw or [0.0] * len(kw)
    model.Load.load = kw
    model.execute()
    out = model.Outputs
    side = "with" if generation_kw else "without"
    monthly = {
        "demand": ("dc_fixed", "dc_tou"),
        "fixed": ("fixed",),
    }
    parts = {
        what: sum(sum(getattr(out, f"year1_monthly_{one}_{side}_system")) for one in names)
        for what, names in monthly.items()
    }
    total = out.utility_bill_w_sys[1] if generation_kw else out.utility_bill_wo_sys[1]
    return {**parts, "energy": total - sum(parts.values()), "total": total}


def sam_inputs(rate: Rate) -> dict[str, Any]:
    """NREL's reader, and what it leaves open: the old fixed charge, the ratchet's own month."""
    found: dict[str, Any] = {
        "ur_monthly_fixed_charge": 0,
        **URDBv8_to_ElectricityRates(deepcopy(rate)),
        "ur_en_ts_sell_rate": 0,
        "ur_en_ts_buy_rate": 0,
        "ur_nm_yearend_sell_rate": 0,
        "ur_monthly_min_charge": 0,
        "ur_annual_min_charge": 0,
    }
    if "fixedmonthlycharge" in rate:
        found["ur_monthly_fixed_charge"] = rate["fixedmonthlycharge"]
    found["ur_enable_billing_demand"] = int(bool(found["ur_enable_billing_demand"]))
    if found["ur_enable_billing_demand"]:
        # Percent of the highest month before, and whether the present month counts in full.
        found["ur_billing_demand_lookback_percentages"] = [[100.0 * rate["lookbackpercent"], 1]] * 12
        found["ur_yearzero_usage_peaks"] = [0] * 12
    return found
