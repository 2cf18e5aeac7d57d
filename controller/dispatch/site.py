"""From what was heard (`Snapshot`) to what can be trusted (`Site`), or why it can not (`Missing`)."""

from __future__ import annotations

from dataclasses import dataclass

from controller.dispatch.settings import DispatchConfig
from drivers.device import BatteryReading, MeterReading, PvReading


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The newest readings and orders at one instant; tuples follow the order of the config.

    `fault` is a sentence when the shell saw something that must latch (a refused order), else empty.
    """

    now_s: float
    meter: MeterReading | None
    batteries: tuple[BatteryReading | None, ...]
    pvs: tuple[PvReading | None, ...] = ()
    utc_s: float | None = None
    utc_trusted: bool = False
    stop: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True)
class BatterySite:
    """One battery that answered: what it does and what its device allows now (both limits >= 0)."""

    index: int
    battery_discharge_w: float
    soc_pct: float | None
    max_charge_w: float
    max_discharge_w: float


@dataclass(frozen=True, slots=True)
class Site:
    """Fresh readings of one site, all taken at about the same instant.

    `net_load_w` is what the batteries face, load minus PV: `pcc_import_w + battery_discharge_w` of the
    batteries that answered; one that did not answer is inside what the meter shows.
    `pv_generation_w` is None when a PV inverter did not answer; `is_news` is False when nothing has
    been measured since the last decision, and then there is nothing new to decide.
    """

    now_s: float
    taken_at_s: float
    is_news: bool
    pcc_import_w: float
    net_load_w: float
    batteries: tuple[BatterySite, ...]
    pv_generation_w: float | None
    pv_rated_w: tuple[float | None, ...]

    @property
    def load_w(self) -> float | None:
        """What the house uses; None while a PV inverter is silent."""
        return None if self.pv_generation_w is None else self.net_load_w + self.pv_generation_w


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no `Site`: `reason` is shown to the operator as it stands."""

    reason: str
    lost: bool


def observe(config: DispatchConfig, last_taken_at_s: float, snapshot: Snapshot) -> Site | Missing:
    """The site as it was when the meter was read last, if that and a battery are fresh.

    Meter and battery readings more than half a cycle apart do not describe one instant: adding them
    would feed the battery's own movement back as load (protocols.md; peers.md, pain 1). They are not news.
    """
    meter = snapshot.meter
    now_s = snapshot.now_s
    if meter is None:
        return Missing("no reading of the meter at the PCC yet", lost=True)
    age_s = now_s - meter.taken_at_s
    if age_s > config.stale_after_s:
        return Missing(
            _too_old("the meter at the PCC", age_s, config.stale_after_s), age_s > config.lost_after_s
        )
    batteries, same_instant, newest_age_s = _fresh_batteries(config, snapshot, meter.taken_at_s)
    if not batteries:
        if newest_age_s is None:
            return Missing("no reading of any battery yet", lost=True)
        return Missing(
            _too_old("every battery", newest_age_s, config.stale_after_s), newest_age_s > config.lost_after_s
        )
    discharge_w = 0.0
    for battery in batteries:
        discharge_w += battery.battery_discharge_w
    return Site(
        now_s,
        meter.taken_at_s,
        same_instant and meter.taken_at_s > last_taken_at_s,
        meter.pcc_import_w,
        meter.pcc_import_w + discharge_w,
        batteries,
        _pv_generation_w(config, snapshot),
        tuple(None if pv is None else pv.rated_w for pv in snapshot.pvs),
    )


def _fresh_batteries(
    config: DispatchConfig, snapshot: Snapshot, meter_taken_at_s: float
) -> tuple[tuple[BatterySite, ...], bool, float | None]:
    """The batteries that can be used, whether they were read with the meter, and the newest age of all."""
    found: list[BatterySite] = []
    same_instant = True
    newest_age_s: float | None = None
    for index, reading in enumerate(snapshot.batteries):
        if reading is None:
            continue
        age_s = snapshot.now_s - reading.taken_at_s
        if newest_age_s is None or age_s < newest_age_s:
            newest_age_s = age_s
        if age_s > config.stale_after_s:
            continue
        if abs(reading.taken_at_s - meter_taken_at_s) > 0.5 * config.cycle_s:
            same_instant = False
        settings = config.batteries[index]
        found.append(
            BatterySite(
                index,
                reading.battery_discharge_w,
                reading.soc_pct,
                _smaller(settings.max_charge_w, reading.max_charge_w),
                _smaller(settings.max_discharge_w, reading.max_discharge_w),
            )
        )
    return tuple(found), same_instant, newest_age_s


def _smaller(configured_w: float | None, allowed_w: float | None) -> float:
    """The tighter of two limits; a battery of which neither is known is given nothing to do."""
    if configured_w is None:
        return 0.0 if allowed_w is None else allowed_w
    return configured_w if allowed_w is None or configured_w < allowed_w else allowed_w


def _pv_generation_w(config: DispatchConfig, snapshot: Snapshot) -> float | None:
    total_w = 0.0
    for pv in snapshot.pvs:
        if pv is None or snapshot.now_s - pv.taken_at_s > config.stale_after_s:
            return None
        total_w += pv.pv_generation_w
    return total_w


def _too_old(what: str, age_s: float, allowed_s: float) -> str:
    return f"the last reading of {what} is {age_s:.1f} s old, allowed are {allowed_s:.1f} s"
