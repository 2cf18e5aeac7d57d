"""What a house is made of, and the books it keeps."""

from __future__ import annotations

from dataclasses import dataclass

from simulators.cells.contract import CellsParams
from simulators.converter import InverterParams
from simulators.traces import Trace


@dataclass(frozen=True, slots=True)
class BatteryUnit:
    """A battery with its inverter; `phase` 1 to 3, or None for an equal part on each.

    One that `forms_grid` carries the house when the grid is gone; one that does not rests then.
    """

    cells: CellsParams
    inverter: InverterParams
    soc_pct: float = 50.0
    phase: int | None = None
    forms_grid: bool = True


@dataclass(frozen=True, slots=True)
class PvUnit:
    """A PV inverter and what the sun offers it, W; `phase` as for a battery."""

    sun: Trace
    rated_w: float
    dead_time_s: float = 0.5
    phase: int | None = None


@dataclass(frozen=True, slots=True)
class Energies:
    """The books since the start, Wh, all >= 0; `charged_wh` and `discharged_wh` at the AC terminals.

    import + pv + discharged = load + export + charged
    stored = stored at the start + charged - discharged - lost

    `load_wh` is what was served; `unserved_wh` was wanted too, while the house was dark.
    """

    load_wh: float
    unserved_wh: float
    pv_wh: float
    curtailed_wh: float
    import_wh: float
    export_wh: float
    charged_wh: float
    discharged_wh: float
    lost_wh: float
    stored_wh: float
