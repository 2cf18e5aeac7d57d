"""Battery systems as a laboratory has measured them: losses over power, standby, pace.

The numbers are those of the database in bslib (CC BY 4.0; measured for the Energy Storage Inspection of HTW
Berlin), read from the installed package, the optional extra `systems`; nothing of it is copied here. A system
is scaled to the rating it is used at: its losses and its standby grow with it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

from simulators.converter import LossCurve

ATTRIBUTION = "bslib database of measured battery systems, CC BY 4.0"
_AC_W = {"AC2BAT": "P_AC2BAT_in [W]", "BAT2AC": "P_BAT2AC_out [W]"}
_STANDBY_W = ("P_SYS_SOC0_AC [W]", "P_SYS_SOC0_DC [W]", "P_PERI_AC [W]")

Row = dict[str, str]


class UnknownSystemError(ValueError):
    """No such system, or no database; the text says what would be right."""


@dataclass(frozen=True, slots=True)
class MeasuredSystem:
    """A battery inverter of the database; powers and losses as measured, unscaled."""

    id: str
    name: str
    charge_loss: LossCurve
    discharge_loss: LossCurve
    standby_w: float
    dead_time_s: float
    time_constant_s: float

    def charging(self, rated_w: float) -> LossCurve:
        """Its losses while charging, at this rating."""
        return _scaled(self.charge_loss, rated_w)

    def discharging(self, rated_w: float) -> LossCurve:
        """Its losses while discharging, at this rating."""
        return _scaled(self.discharge_loss, rated_w)

    def standby_at_w(self, rated_w: float) -> float:
        """What it draws at rest, at this rating."""
        return self.standby_w * rated_w / self.discharge_loss.rated_w


def measured_systems() -> dict[str, MeasuredSystem]:
    """All that the database knows enough about, by its ids; UnknownSystemError when it is not installed."""
    try:
        database = resources.files("bslib") / "bslib_database.csv"
    except ModuleNotFoundError:
        raise UnknownSystemError('needs the extra "systems": pip install penstock[systems]') from None
    rows = list(csv.DictReader(database.read_text(encoding="utf-8").splitlines()))
    return {row["ID"]: _system(row) for row in rows if row.get("BAT2AC_a_out")}


def measured_system(system_id: str) -> MeasuredSystem:
    """One of them; UnknownSystemError says which there are."""
    systems = measured_systems()
    if system_id not in systems:
        known = ", ".join(f"{one.id} ({one.name})" for one in systems.values())
        raise UnknownSystemError(f'"{system_id}" is none of the measured systems: {known}')
    return systems[system_id]


def _system(row: Row) -> MeasuredSystem:
    """A hybrid that was not measured while charging from AC loses there what it loses the other way."""
    out = _curve(row, "BAT2AC", "out")
    standby_w = 0.0
    for column in _STANDBY_W:
        standby_w += _number(row, column)
    return MeasuredSystem(
        id=row["ID"],
        name=f"{row['Manufacturer (PE)']} {row['Model (PE)']}".strip(),
        charge_loss=_curve(row, "AC2BAT", "in") if row.get("AC2BAT_a_in") else out,
        discharge_loss=out,
        standby_w=standby_w,
        dead_time_s=_number(row, "t_DEAD [s]"),
        time_constant_s=_number(row, "t_CONSTANT"),
    )


def _curve(row: Row, path: str, side: str) -> LossCurve:
    squared_w, linear_w, constant_w = (_number(row, f"{path}_{letter}_{side}") for letter in "abc")
    return LossCurve(_number(row, _AC_W[path]), squared_w, linear_w, constant_w)


def _number(row: Row, column: str) -> float:
    text = (row.get(column) or "").strip()
    return float(text) if text else 0.0


def _scaled(curve: LossCurve, rated_w: float) -> LossCurve:
    by = rated_w / curve.rated_w
    return LossCurve(rated_w, curve.squared_w * by, curve.linear_w * by, curve.constant_w * by)
