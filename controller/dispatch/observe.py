"""From what was heard (`Snapshot`) to what can be trusted (`Site`), or why it can not (`Missing`)."""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.derating import derated
from controller.dispatch.limits import total
from controller.dispatch.plausible import Doubt, judge, nonsense
from controller.dispatch.response import Response, follow, with_pv
from controller.dispatch.settings import BatterySettings, DispatchConfig
from controller.dispatch.site import BatterySite, Missing, Site, Snapshot
from drivers.device import BatteryReading, MeterReading

NEVER_S = float("-inf")
ASLEEP_PART, ASLEEP_W = 0.01, 50.0
"""A PV inverter that gave no more than this part of its rating, or so little, before its silence sleeps."""
UNSEEN_CYCLES = 0.5
"""A battery that was read so much earlier than the meter measured may have moved since."""


def observe(
    config: DispatchConfig,
    response: Response,
    doubt: Doubt,
    snapshot: Snapshot,
    meant_w: tuple[float, ...] = (),
) -> tuple[Site | Missing, Response, Doubt]:
    """The site as it was when the meter was read last, if that and a battery are fresh and to be believed.

    With it what is remembered of battery and meter, and what speaks against the meter. `meant_w` is what
    the batteries were meant to do last.
    """
    meter, now_s = snapshot.meter, snapshot.now_s
    if meter is None:
        return Missing("no reading of the meter at the PCC yet", lost=True), response, doubt
    age_s = now_s - meter.taken_at_s
    if age_s > config.stale_after_s:
        return _too_old(config, "the meter at the PCC", age_s), response, doubt
    batteries, taken_at_s, discharge_w, rated_w = fresh(config, snapshot)
    if not batteries:
        if taken_at_s == NEVER_S:
            return Missing("no reading of any battery yet", lost=True), response, doubt
        return _too_old(config, "every battery", now_s - taken_at_s), response, doubt
    wrong = nonsense(config, meter)
    if wrong:
        return Missing(wrong, lost=False), response, doubt
    pv_each_w, pv_silent, before = _pv(config, response, snapshot)
    pv_w = total(pv_each_w)
    given = (taken_at_s, discharge_w + pv_w, pv_w)
    response, news = _followed(config, before, snapshot, meter, given, rated_w, meant_w)
    doubt, wrong = judge(config, doubt, before, response, news, rated_w)
    if wrong:
        return Missing(wrong, lost=True), response, doubt
    site = Site(
        now_s,
        meter.taken_at_s,
        news,
        meter.pcc_import_w,
        response.net_load_w - pv_w,
        batteries,
        pv_w,
        tuple([None if pv is None else pv.rated_w for pv in snapshot.pvs]),
        meter.phase_import_w,
        meter.phase_voltage_v,
        meter.frequency_hz,
        batteries[0].soc_pct if len(batteries) == 1 else _soc_pct(config, batteries),
        snapshot.orders,
        snapshot.prices,
        snapshot.plan,
        snapshot.local,
        meter.import_wh if config.meter.counts_exactly else None,
        pv_each_w,
        pv_silent,
    )
    return site, response, doubt


def _followed(
    config: DispatchConfig,
    before: Response,
    snapshot: Snapshot,
    meter: MeterReading,
    given: tuple[float, float, float],
    rated_w: float,
    meant_w: tuple[float, ...],
) -> tuple[Response, bool]:
    """The response after this meter reading, unless it was there before, and whether it was news.

    `given` is when the batteries were read, what they and PV give, and the PV in it.
    """
    if meter.taken_at_s <= before.polled_at_s:
        return before, False
    taken_at_s, given_w, pv_w = given
    unseen_w = _unseen_w(config, snapshot, meter.taken_at_s, meant_w)
    read = (snapshot.batteries, snapshot.pvs)
    return follow(config.meter, before, meter, (taken_at_s, given_w), rated_w, pv_w, unseen_w, read)


def fresh(config: DispatchConfig, snapshot: Snapshot) -> tuple[tuple[BatterySite, ...], float, float, float]:
    """The batteries that can be used, when the newest of all was read, what they give, and their rating.

    That is the scale for "a small part of the rating": of the nameplate, not of what a full one allows now.
    """
    found: list[BatterySite] = []
    taken_at_s = NEVER_S
    discharge_w = rated_w = 0.0
    now_s, oldest_s = snapshot.now_s, config.stale_after_s
    for index, reading in enumerate(snapshot.batteries):
        if reading is None:
            continue
        read_at_s = reading.taken_at_s
        if read_at_s > taken_at_s:
            taken_at_s = read_at_s
        if now_s - read_at_s <= oldest_s:
            settings = config.batteries[index]
            one = allowed_now(settings, index, reading)
            found.append(one)
            discharge_w += reading.battery_discharge_w
            charges_w = one.max_charge_w if settings.max_charge_w is None else settings.max_charge_w
            gives_w = one.max_discharge_w if settings.max_discharge_w is None else settings.max_discharge_w
            rated_w += charges_w if charges_w > gives_w else gives_w
    return tuple(found), taken_at_s, discharge_w, rated_w


def with_batteries(
    config: DispatchConfig, before: Response, heard: tuple[tuple[float, float], ...], snapshot: Snapshot
) -> Response:
    """The response when batteries have fallen silent or are heard again since the last decision.

    A silent one goes on as it was, as far as anybody knows: what it gives is taken off the load of the others
    until it is heard again. `heard` has the time at which each was heard, as in `Memory`.
    """
    last_s = max([at_s for _, at_s in heard], default=NEVER_S)
    more_w, left = 0.0, False
    for reading, (_, at_s) in zip(snapshot.batteries, heard, strict=False):
        if reading is None:
            continue
        is_heard, was_heard = snapshot.now_s - reading.taken_at_s <= config.stale_after_s, at_s == last_s
        left = left or is_heard
        if is_heard and not was_heard:
            more_w += reading.battery_discharge_w
        elif was_heard and not is_heard:
            more_w -= reading.battery_discharge_w
    if not left or not more_w:
        return before
    return replace(
        before,
        net_load_w=before.net_load_w + more_w,
        battery_then_w=before.battery_then_w + more_w,
        samples=tuple([(at_s, power_w + more_w) for at_s, power_w in before.samples]),
    )


def _unseen_w(
    config: DispatchConfig, snapshot: Snapshot, metered_at_s: float, meant_w: tuple[float, ...]
) -> tuple[float, float]:
    """By how much less and more the batteries may have given when the meter measured than was read of them.

    One that was not read since, as when it is spared or an answer was lost, may be where it was ordered to.
    """
    less_w = more_w = 0.0
    latest_s = metered_at_s - config.meter.delay_s - UNSEEN_CYCLES * config.cycle_s
    for index, reading in enumerate(snapshot.batteries):
        if reading is None or reading.taken_at_s >= latest_s or index >= len(meant_w):
            continue
        if snapshot.now_s - reading.taken_at_s <= config.stale_after_s:
            on_its_way_w = meant_w[index] - reading.battery_discharge_w
            less_w += min(on_its_way_w, 0.0)
            more_w += max(on_its_way_w, 0.0)
    return less_w, more_w


def allowed_now(settings: BatterySettings, index: int, reading: BatteryReading) -> BatterySite:
    """What site file and device let a battery do at its temperature and SoC."""
    # The tighter of two limits; a battery of which neither is known is given nothing to do.
    charge_w, told_w = settings.max_charge_w, reading.max_charge_w
    if charge_w is None or (told_w is not None and told_w <= charge_w):
        charge_w = told_w or 0.0
    discharge_w, told_w = settings.max_discharge_w, reading.max_discharge_w
    if discharge_w is None or (told_w is not None and told_w <= discharge_w):
        discharge_w = told_w or 0.0
    given_w, soc_pct, temperature_c = reading.battery_discharge_w, reading.soc_pct, reading.temperature_c
    site = BatterySite(index, given_w, soc_pct, charge_w, discharge_w, temperature_c)
    if (
        settings.charge_by_temperature
        or settings.charge_by_soc
        or settings.discharge_by_temperature
        or settings.discharge_by_soc
    ):
        charge_w, discharge_w = derated(settings, site)
        return BatterySite(index, given_w, soc_pct, charge_w, discharge_w, temperature_c)
    return site


def _soc_pct(config: DispatchConfig, batteries: tuple[BatterySite, ...]) -> float | None:
    stored = capacity_wh = 0.0
    for battery in batteries:
        if battery.soc_pct is not None:
            one_wh = config.batteries[battery.index].capacity_wh
            stored += battery.soc_pct * one_wh
            capacity_wh += one_wh
    return stored / capacity_wh if capacity_wh > 0.0 else None


def _pv(
    config: DispatchConfig, response: Response, snapshot: Snapshot
) -> tuple[tuple[float, ...], tuple[bool, ...], Response]:
    """What each PV inverter gives, 0 W one that does not answer; which are silent; the response with that.

    One that had all but ended when it fell silent sleeps, as at night: it gives nothing. Should it wake
    unheard, the meter shows it as less load.
    """
    each_w: list[float] = []
    heard: list[bool] = []
    silent: list[bool] = []
    for pv in snapshot.pvs:
        is_heard = pv is not None and snapshot.now_s - pv.taken_at_s <= config.lost_after_s
        last_w = 0.0 if pv is None else pv.pv_generation_w
        awake = pv is None or last_w > max(ASLEEP_PART * (pv.rated_w or 0.0), ASLEEP_W)
        each_w.append(last_w if is_heard else 0.0)
        heard.append(is_heard)
        silent.append(awake and not is_heard)
    return (
        tuple(each_w),
        tuple(silent) if True in silent else (),
        with_pv(response, snapshot.pvs, tuple(heard)),
    )


def _too_old(config: DispatchConfig, what: str, age_s: float) -> Missing:
    return Missing(
        f"the last reading of {what} is {age_s:.1f} s old, allowed are {config.stale_after_s:.1f} s",
        lost=age_s > config.lost_after_s,
    )
