"""From what was heard (`Snapshot`) to what can be trusted (`Site`), or why it can not (`Missing`)."""

from __future__ import annotations

from controller.dispatch.derating import derated
from controller.dispatch.plausible import Doubt, judge, nonsense
from controller.dispatch.response import Response, follow, with_pv
from controller.dispatch.settings import BatterySettings, DispatchConfig
from controller.dispatch.site import BatterySite, Missing, Site, Snapshot
from drivers.device import BatteryReading


def observe(
    config: DispatchConfig, response: Response, doubt: Doubt, snapshot: Snapshot
) -> tuple[Site | Missing, Response, Doubt]:
    """The site as it was when the meter was read last, if that and a battery are fresh and to be believed.

    With it what is remembered of battery and meter, and what speaks against the meter.
    """
    meter = snapshot.meter
    now_s = snapshot.now_s
    if meter is None:
        return Missing("no reading of the meter at the PCC yet", lost=True), response, doubt
    age_s = now_s - meter.taken_at_s
    if age_s > config.stale_after_s:
        return _too_old(config, "the meter at the PCC", age_s), response, doubt
    batteries, taken_at_s, newest_age_s = _fresh(config, snapshot)
    if not batteries:
        if newest_age_s is None:
            return Missing("no reading of any battery yet", lost=True), response, doubt
        return _too_old(config, "every battery", newest_age_s), response, doubt
    wrong = nonsense(config, meter)
    if wrong:
        return Missing(wrong, lost=False), response, doubt
    discharge_w = rated_w = 0.0
    for battery in batteries:
        discharge_w += battery.battery_discharge_w
        rated_w += _rated_w(config.batteries[battery.index], battery)
    pv_generation_w = _pv_generation_w(config, snapshot)
    before = with_pv(response, pv_generation_w)
    pv_w = before.pv_w if pv_generation_w is None else pv_generation_w
    response, news = (
        follow(config.meter, before, meter, (taken_at_s, discharge_w + pv_w), rated_w, pv_w)
        if meter.taken_at_s > before.polled_at_s
        else (before, False)
    )
    doubt, wrong = judge(config, doubt, before, response, news, rated_w)
    if wrong:
        return Missing(wrong, lost=True), response, doubt
    load_w = response.net_load_w
    return _site(config, snapshot, (load_w - pv_w, pv_generation_w), batteries, news), response, doubt


def _site(
    config: DispatchConfig,
    snapshot: Snapshot,
    net_load_and_pv_w: tuple[float, float | None],
    batteries: tuple[BatterySite, ...],
    news: bool,
) -> Site:
    meter = snapshot.meter
    assert meter is not None, "asked for only with a meter"
    return Site(
        snapshot.now_s,
        meter.taken_at_s,
        news,
        meter.pcc_import_w,
        net_load_and_pv_w[0],
        batteries,
        net_load_and_pv_w[1],
        tuple([None if pv is None else pv.rated_w for pv in snapshot.pvs]) if snapshot.pvs else (),
        meter.phase_import_w,
        meter.phase_voltage_v,
        meter.frequency_hz,
        _soc_pct(config, batteries),
        snapshot.orders,
        snapshot.prices,
        snapshot.plan,
        snapshot.local,
    )


def _fresh(config: DispatchConfig, snapshot: Snapshot) -> tuple[tuple[BatterySite, ...], float, float | None]:
    """The batteries that can be used, when the newest was read, and the newest age of all."""
    found: list[BatterySite] = []
    taken_at_s = float("-inf")
    newest_age_s: float | None = None
    for index, reading in enumerate(snapshot.batteries):
        if reading is None:
            continue
        age_s = snapshot.now_s - reading.taken_at_s
        if newest_age_s is None or age_s < newest_age_s:
            newest_age_s = age_s
        if age_s > config.stale_after_s:
            continue
        if reading.taken_at_s > taken_at_s:
            taken_at_s = reading.taken_at_s
        found.append(allowed_now(config.batteries[index], index, reading))
    return tuple(found), taken_at_s, newest_age_s


def allowed_now(settings: BatterySettings, index: int, reading: BatteryReading) -> BatterySite:
    """What site file and device let a battery do at its temperature and SoC."""
    site = BatterySite(
        index,
        reading.battery_discharge_w,
        reading.soc_pct,
        _smaller(settings.max_charge_w, reading.max_charge_w),
        _smaller(settings.max_discharge_w, reading.max_discharge_w),
        reading.temperature_c,
    )
    charge_w, discharge_w = derated(settings, site)
    if charge_w == site.max_charge_w and discharge_w == site.max_discharge_w:
        return site
    return BatterySite(
        index, site.battery_discharge_w, site.soc_pct, charge_w, discharge_w, site.temperature_c
    )


def _smaller(configured_w: float | None, allowed_w: float | None) -> float:
    """The tighter of two limits; a battery of which neither is known is given nothing to do."""
    if configured_w is None:
        return 0.0 if allowed_w is None else allowed_w
    return configured_w if allowed_w is None or configured_w < allowed_w else allowed_w


def _rated_w(settings: BatterySettings, battery: BatterySite) -> float:
    """The scale for "a small part of the rating": of the nameplate, not of what a full battery allows now."""
    charge_w = battery.max_charge_w if settings.max_charge_w is None else settings.max_charge_w
    discharge_w = battery.max_discharge_w if settings.max_discharge_w is None else settings.max_discharge_w
    return charge_w if charge_w > discharge_w else discharge_w


def _soc_pct(config: DispatchConfig, batteries: tuple[BatterySite, ...]) -> float | None:
    stored = capacity_wh = 0.0
    for battery in batteries:
        if battery.soc_pct is not None:
            one_wh = config.batteries[battery.index].capacity_wh
            stored += battery.soc_pct * one_wh
            capacity_wh += one_wh
    return stored / capacity_wh if capacity_wh > 0.0 else None


def _pv_generation_w(config: DispatchConfig, snapshot: Snapshot) -> float | None:
    generation_w = 0.0
    for pv in snapshot.pvs:
        if pv is None or snapshot.now_s - pv.taken_at_s > config.stale_after_s:
            return None
        generation_w += pv.pv_generation_w
    return generation_w


def _too_old(config: DispatchConfig, what: str, age_s: float) -> Missing:
    return Missing(
        f"the last reading of {what} is {age_s:.1f} s old, allowed are {config.stale_after_s:.1f} s",
        lost=age_s > config.lost_after_s,
    )
