"""Load and PV over time: from a CSV file (`measured.py`), or invented from a seed (`synthetic.py`).

A trace is piecewise constant. Its time is seconds from its own beginning, never wall-clock.
"""

from simulators.traces.measured import CsvTraces, TraceError, read_csv
from simulators.traces.shape import StepTrace, Trace
from simulators.traces.synthetic import SyntheticHouse

__all__ = ["CsvTraces", "StepTrace", "SyntheticHouse", "Trace", "TraceError", "read_csv"]
