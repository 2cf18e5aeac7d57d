"""Which columns of a measured CSV are read, and in what units: their names say it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

HOUR_S = 3600.0
UNITS = {"w": "watts", "kw": "kilowatts", "wh": "Wh of each step", "kwh": "kWh of each step"}
"""By the end of a name; what is energy is that of its own step."""
PAIRS = (("load", "pv"), ("import", "export"))
"""What the house takes and what the sun gives; where nobody measured these, what passed the grid's meter."""
STAMPS = ("timestamp", "timestamp_end")
"""Of the begin of each step, or of its end."""
SEPARATORS = (",", ";", "\t")
RULE = (
    "line 1 has to name timestamp (date and time in one column; timestamp_end if it is the end of a step), "
    "load_w and pv_w, or import_w and export_w at the grid, with _kw, _wh or _kwh for other units; "
    "docs/studies.md has commands for the files of grid operators"
)
_DAY_FIRST = re.compile(r"\d{2}[./-]\d{2}[./-]\d{4}")
_TURNED = r"sed -E 's#([0-9]{2})[./-]([0-9]{2})[./-]([0-9]{4})#\3-\2-\1#g' FILE > NEW.csv"


def unit_of(name: str) -> str:
    """What the values of a column of this name are, in words."""
    return UNITS[name.rpartition("_")[2]]


def watts_of(name: str, step_s: float) -> float:
    """How many watts, over a step, one unit of a column of this name is."""
    unit = name.rpartition("_")[2]
    kilo = 1000.0 if unit.startswith("k") else 1.0
    return kilo * (HOUR_S / step_s if unit.endswith("h") else 1.0)


@dataclass(frozen=True, slots=True)
class Header:
    """What is read, by place."""

    names: tuple[str, ...]
    stamp_at: int
    house_at: int
    sun_at: int | None
    """None where there is none."""
    prices_at: tuple[int, ...]

    @property
    def stamps_end(self) -> bool:
        """Whether stamps are those of the ends of steps."""
        return self.names[self.stamp_at] == STAMPS[1]

    @property
    def at_the_grid(self) -> bool:
        """Whether import and export stand for load and sun."""
        return self.names[self.house_at].startswith(PAIRS[1][0])


class HeaderError(ValueError):
    """A header that cannot be used; the text says what is wrong with it and what would be right."""


def separator_of(line: str) -> str:
    """The sign between the columns of this line."""
    return max(SEPARATORS, key=line.count)


def header_of(names: Sequence[str]) -> Header:
    """Which column is where; HeaderError when one that is needed is not there."""
    for name in names:
        if name and names.count(name) > 1:
            raise HeaderError(f"two columns are named {name!r}")
    places = {name: place for place, name in enumerate(names)}
    stamp = next((places[name] for name in STAMPS if name in places), None)
    if stamp is None:
        raise _missing("timestamp", names)
    for pair in PAIRS:
        load, pv = (
            next((places[f"{one}_{unit}"] for unit in UNITS if f"{one}_{unit}" in places), None)
            for one in pair
        )
        if load is not None:
            prices = tuple(place for name, place in places.items() if "price" in name)
            return Header(tuple(names), stamp, load, pv, prices)
    raise _missing("load_w", names)


def _missing(wanted: str, names: Sequence[str]) -> HeaderError:
    near = get_close_matches(wanted, names, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else RULE
    return HeaderError(f"no column {wanted!r} among {', '.join(names)[:200]}; {hint}")


def no_stamp(text: str) -> str:
    """Why a text is no time, and what would be right."""
    turned = ""
    if _DAY_FIRST.match(text):
        turned = rf"; for all rows, where the day comes first: {_TURNED} (else \3-\1-\2)"
    return f"{text[:40]!r} is not ISO 8601; write 2024-01-31T16:45:00+01:00{turned}"
