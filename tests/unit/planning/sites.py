"""Small inputs for plans: one hour a slot, a battery of 10 kWh and 4 kW without losses unless said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controller.planning.inputs import Ensemble, PlanInputs, Storage

LOSSLESS = ((1.0, 1.0),)
BATTERY = Storage(10_000.0, 4000.0, 4000.0, LOSSLESS, LOSSLESS, min_soc_pct=0.0)


def known(*net_load_w: float) -> Ensemble:
    """One state: what comes is known."""
    return scenarios(net_load_w)


def scenarios(*net_loads_w: tuple[float, ...]) -> Ensemble:
    """Equally likely courses, each of which stays itself."""
    net_w = np.array(net_loads_w, dtype=float)
    states = len(net_w)
    return Ensemble(
        np.maximum(net_w, 0.0), np.maximum(-net_w, 0.0), np.full(states, 1.0 / states), np.eye(states)
    )


def inputs(
    ensemble: Ensemble,
    import_per_kwh: list[float],
    export_per_kwh: list[float] | float = 0.0,
    **changes: object,
) -> PlanInputs:
    """A plan's inputs with hourly slots from 0 s UTC on, at 50 % SoC."""
    buy = np.array(import_per_kwh, dtype=float)
    sell = np.broadcast_to(np.array(export_per_kwh, dtype=float), buy.shape)
    usual = PlanInputs(0.0, 3600.0, buy, sell, ensemble, BATTERY, 50.0)
    return replace(usual, **changes)
