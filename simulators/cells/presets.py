"""Numbers for the usual chemistries: typical data sheets, no product.

Lithium: 3.3 V (LFP) and 3.7 V (NMC) cells with the usual shape of their open-circuit curves. Lead-acid: AGM
and flooded blocks of the solar trade, OPzS tubular plates (DIN 40736-1); charge voltages as their makers give
them. Heat: 1 kJ/kgK for cells and case.
"""

from __future__ import annotations

from math import exp, inf, log
from typing import Literal, get_args

from simulators.battery import LithiumParams
from simulators.cells.contract import CellsParams
from simulators.cells.fade import LeadLife, LfpFade, NmcFade
from simulators.cells.gauge import GaugeParams
from simulators.cells.lead_acid import LeadAcidParams
from simulators.cells.lithium import LithiumCellParams

Kind = Literal["simple", "lfp", "nmc", "agm", "flooded", "opzs"]
KINDS: tuple[Kind, ...] = get_args(Kind)

LFP_V = (
    (0.0, 2.50),
    (0.01, 2.85),
    (0.03, 3.05),
    (0.07, 3.18),
    (0.12, 3.215),
    (0.20, 3.25),
    (0.30, 3.285),
    (0.40, 3.295),
    (0.60, 3.305),
    (0.70, 3.33),
    (0.95, 3.335),
    (0.985, 3.36),
    (1.0, 3.50),
)
NMC_V = (
    (0.0, 3.00),
    (0.02, 3.28),
    (0.05, 3.43),
    (0.10, 3.51),
    (0.20, 3.58),
    (0.30, 3.62),
    (0.40, 3.66),
    (0.50, 3.72),
    (0.60, 3.81),
    (0.70, 3.91),
    (0.80, 4.00),
    (0.90, 4.09),
    (1.0, 4.18),
)
_SENSOR = GaugeParams(gain_error=0.005, offset_per_h=-1e-4)
"""A half per cent of the current, and a hundredth of the capacity in four days: it shows too much."""
_COUNTER = GaugeParams(gain_error=0.005, offset_per_h=-1e-4, charge_efficiency=0.95)


HALF_A_YEAR_H = 4383.0


def chemistry(
    kind: Kind,
    capacity_wh: float,
    *,
    max_charge_w: float,
    max_discharge_w: float,
    efficiency: float = 0.975,
    ambient_c: float = 20.0,
) -> CellsParams:
    """A battery of this kind and size; `efficiency`, one way, is for the simple one only."""
    if not 0 < capacity_wh < inf:
        raise ValueError(f"capacity_wh is {capacity_wh:g}; give a number above 0")
    if kind == "simple":
        return LithiumParams(
            capacity_wh,
            max_charge_w=max_charge_w,
            charge_efficiency=efficiency,
            discharge_efficiency=efficiency,
        )
    if kind in ("lfp", "nmc"):
        kg = capacity_wh / (110.0 if kind == "lfp" else 150.0)
        return LithiumCellParams(
            capacity_wh,
            ocv=LFP_V if kind == "lfp" else NMC_V,
            lowest_v=2.5 if kind == "lfp" else 3.0,
            highest_v=3.6 if kind == "lfp" else 4.2,
            fade=LfpFade if kind == "lfp" else NmcFade,
            max_charge_w=max_charge_w,
            max_discharge_w=max_discharge_w,
            resistance=0.035 if kind == "lfp" else 0.03,
            coulombic_efficiency=0.998,
            shelf_h=HALF_A_YEAR_H,
            heat_j_per_k=1000.0 * kg,
            cooling_w_per_k=_cooling_w_per_k(kg),
            ambient_c=ambient_c,
            gauge=_SENSOR,
        )
    capacities, life, resistance, gas = _LEAD[kind]
    kg = capacity_wh / 32.0
    return LeadAcidParams(
        capacity_wh,
        capacities,
        life,
        max_charge_w=max_charge_w,
        max_discharge_w=max_discharge_w,
        resistance=resistance,
        absorption_v=2.40 if kind == "agm" else 2.45,
        float_v=2.27 if kind == "agm" else 2.25,
        gas_per_h=gas,
        heat_j_per_k=900.0 * kg,
        cooling_w_per_k=_cooling_w_per_k(kg),
        ambient_c=ambient_c,
        gauge=_COUNTER,
    )


def _cooling_w_per_k(kg: float) -> float:
    """Still air, 8 W/m2K, over twice the surface of a cube of this weight at 2 kg a litre."""
    return 8.0 * 12.0 * exp(2 / 3 * log(kg / 2000.0))


# Capacities in 20, 10 and 1 h; life; resistance, V at one capacity an hour; gas at 2.23 V, 20 C.
_LEAD = {
    "agm": ((1.06, 1.0, 0.65), LeadLife(900.0, 1.2, 10.0), 0.045, 1.0e-4),
    "flooded": ((1.09, 1.0, 0.58), LeadLife(700.0, 1.1, 8.0), 0.06, 2.5e-4),
    "opzs": ((1.09, 1.0, 0.55), LeadLife(2800.0, 1.15, 18.0), 0.07, 2.0e-4),
}
