"""Batteries from the inside: what is stored, at which voltage, how warm, how old, what the BMS shows.

`contract.py` is what an inverter and a house ask of any battery; `simulators/battery.py` answers it with
fixed efficiencies, `lithium.py` and `lead_acid.py` with physics. `presets.py` has numbers for the usual
chemistries.
"""

from simulators.cells.contract import Cells, CellsParams
from simulators.cells.presets import KINDS, Kind, chemistry

__all__ = ["KINDS", "Cells", "CellsParams", "Kind", "chemistry"]
