"""The demand window: the mean import of each clock-aligned billing window, and the month's highest."""

from __future__ import annotations

from datetime import date

from controller.dispatch.limits import INFINITE_W, Bounds
from controller.dispatch.orders import CHARGED_SHARE, SPENT_SHARE, LocalTime
from controller.dispatch.settings import DemandSettings, DispatchConfig
from controller.dispatch.site import Site
from drivers.fact import fact

FASTEST_SHARE = 2.0
"""What a window has left is spent no faster than at this share of its limit. The biller's clock and ours
may differ: at 9 s in 15 min, 1 %, what falls into the neighbour window is then 1 % of its limit."""
WATCHED_GAP_S = 60.0
"""After a longer gap the window's energy is a guess, and a guess never raises the month's peak."""


@fact
class DemandState:
    """What was counted so far.

    `window_begin_utc_s` is None while the clock is not trusted; then a window of the same length runs from
    `window_begin_s` on, which no bill knows. `updated_at_s` and `window_begin_s` are monotonic: after a
    restart they mean nothing, and whoever restores a state leaves them at their defaults. `watched` says
    that the window was counted from its begin without a gap. `month` counts months from year 0, local time.
    `counted_wh` is what a meter had counted that counts exactly. `left_month` is the month that the clock
    left last, with its peak: a clock that was wrong comes back to it.
    """

    window_begin_utc_s: float | None = None
    energy_wh: float = 0.0
    month: int | None = None
    month_peak_w: float = 0.0
    updated_at_s: float | None = None
    window_begin_s: float = 0.0
    watched: bool = False
    counted_wh: float | None = None
    left_month: int | None = None
    left_peak_w: float = 0.0


def update(config: DispatchConfig, state: DemandState | None, site: Site) -> DemandState | None:
    """The state after the time since the last update, all of it at the present import; export is no import.

    Where the meter counts exactly its counter tells. A window whose begin was not seen (start-up, a long gap,
    a clock that has come to be trusted) is taken to have had its even share until now. None without demand
    settings.
    """
    if config.demand is None:
        return None
    if state is None:
        state = DemandState()
    if state.updated_at_s is None:
        return _entered(config.demand, state, site)
    window_s = config.demand.window_s
    begin_utc_s = state.window_begin_utc_s
    if site.local is None:
        within = site.now_s < state.window_begin_s + window_s
    else:
        # A clock that was set back a little stays in the window that it has begun.
        within = begin_utc_s is not None and (
            begin_utc_s - WATCHED_GAP_S <= site.local.utc_s < begin_utc_s + window_s
        )
    if not within:
        return _entered(config.demand, state, site)
    elapsed_s = site.now_s - state.updated_at_s
    import_w, sure = _since(state, site, elapsed_s)
    return DemandState(
        begin_utc_s,
        state.energy_wh + import_w * elapsed_s / 3600.0,
        state.month,
        state.month_peak_w,
        site.now_s,
        state.window_begin_s,
        state.watched and sure,
        site.counted_wh,
        state.left_month,
        state.left_peak_w,
    )


def _since(state: DemandState, site: Site, elapsed_s: float) -> tuple[float, bool]:
    """Mean import since the last update, W, and whether that is no guess."""
    if site.counted_wh is not None and state.counted_wh is not None and elapsed_s > 0.0:
        return (site.counted_wh - state.counted_wh) * 3600.0 / elapsed_s, True
    return (site.pcc_import_w if site.pcc_import_w > 0.0 else 0.0), elapsed_s <= WATCHED_GAP_S


def demand_range(config: DispatchConfig, state: DemandState | None, site: Site) -> Bounds | None:
    """Discharge so much, or charge so little, that the window's mean import makes no new peak.

    The import still allowed is what the window has left, spread evenly over its remaining time: an import
    held there ends exactly at the limit, one held below leaves more for later. Charging is import too, so
    that recharging is bounded alike. A plan in force sets the limit itself; up to there batteries charge only
    once the month's peak is as high (`charged_at_most_w`). Without a trusted clock no
    window is known to be the biller's, and nothing saved in one may be spent in the next: then the import
    never exceeds the limit at all.
    """
    settings = config.demand
    if settings is None or state is None:
        return None
    limit_w = _planned_w(site)
    if limit_w is None:
        limit_w = charge_w = _limit_w(settings, state.month_peak_w)
    else:
        charge_w = charged_at_most_w(limit_w, SPENT_SHARE * state.month_peak_w)
    lower_w = site.net_load_w - _allowed_w(config, settings, state, site, limit_w)
    if lower_w < 0.0 and charge_w < limit_w:
        lower_w = min(site.net_load_w - _allowed_w(config, settings, state, site, charge_w), 0.0)
    return lower_w, INFINITE_W


def charged_at_most_w(planned_w: float, peak_w: float) -> float:
    """The import up to which batteries may charge under a planned limit, `peak_w` being the month's so far.

    The plan expects a load that will reach its limit, and may be wrong. Charging up to there would make it
    true.
    """
    return min(planned_w, max(peak_w, CHARGED_SHARE * planned_w))


def _allowed_w(
    config: DispatchConfig, settings: DemandSettings, state: DemandState, site: Site, limit_w: float
) -> float:
    """The import that is left for now of a window that ends at this limit."""
    left_wh = limit_w * settings.window_s / 3600.0 - state.energy_wh
    # What is decided now stands for a cycle, also when the window ends before.
    allowed_w = left_wh * 3600.0 / max(_remaining_s(settings, state, site), config.cycle_s)
    fastest_w = limit_w if _clock(state, site) is None else limit_w * FASTEST_SHARE
    return min(max(allowed_w, 0.0), fastest_w)


def peak_forecast_w(config: DispatchConfig, state: DemandState | None, site: Site) -> float | None:
    """The mean import this window will have had if things stay as they are."""
    if config.demand is None or state is None:
        return None
    coming_wh = max(site.pcc_import_w, 0.0) * _remaining_s(config.demand, state, site) / 3600.0
    return (state.energy_wh + coming_wh) * 3600.0 / config.demand.window_s


def _limit_w(settings: DemandSettings, month_peak_w: float) -> float:
    return SPENT_SHARE * max(settings.target_w, month_peak_w)


def _planned_w(site: Site) -> float | None:
    """What the plan sets for this instant: it knows every billed peak, also those still to come."""
    if site.plan is None or site.local is None:
        return None
    target_w = site.plan.import_target_w(site.local.utc_s)
    return None if target_w is None else SPENT_SHARE * target_w


def _clock(state: DemandState, site: Site) -> LocalTime | None:
    """The wall clock, if the window is one that the biller knows."""
    return None if state.window_begin_utc_s is None else site.local


def _remaining_s(settings: DemandSettings, state: DemandState, site: Site) -> float:
    local = site.local
    if local is None or state.window_begin_utc_s is None:
        return max(state.window_begin_s + settings.window_s - site.now_s, 0.0)
    return max(state.window_begin_utc_s + settings.window_s - local.utc_s, 0.0)


def _entered(settings: DemandSettings, state: DemandState, site: Site) -> DemandState:
    """The state in a window that is new to us; the one before is closed."""
    local, counted_wh = site.local, site.counted_wh
    if local is None:
        now_s, peak_w = site.now_s, state.month_peak_w
        left_month, left_peak_w = state.left_month, state.left_peak_w
        return DemandState(
            None, 0.0, state.month, peak_w, now_s, now_s, False, counted_wh, left_month, left_peak_w
        )
    window_s = settings.window_s
    begin_utc_s = (local.utc_s + local.offset_s) // window_s * window_s - local.offset_s
    since_s = local.utc_s - begin_utc_s
    # That of the window's first instant: the first window of a month begins at its local midnight.
    month = _month(LocalTime(begin_utc_s, local.offset_s))
    peak_w, left_month, left_peak_w = _turned(state, month)
    gap_s = INFINITE_W if state.updated_at_s is None else site.now_s - state.updated_at_s
    import_w, sure = _since(state, site, gap_s)
    before_utc_s = state.window_begin_utc_s
    if before_utc_s is not None and before_utc_s + window_s == begin_utc_s and sure:
        if state.watched and month == state.month:
            mean_w = (state.energy_wh * 3600.0 + import_w * max(gap_s - since_s, 0.0)) / window_s
            peak_w = max(peak_w, mean_w)
        energy_wh, watched = import_w * since_s / 3600.0, True
    else:
        energy_wh, watched = _limit_w(settings, peak_w) * since_s / 3600.0, False
        if before_utc_s == begin_utc_s:
            energy_wh = max(energy_wh, state.energy_wh)
    window_begin_s = site.now_s - since_s
    return DemandState(
        begin_utc_s,
        energy_wh,
        month,
        peak_w,
        site.now_s,
        window_begin_s,
        watched,
        counted_wh,
        left_month,
        left_peak_w,
    )


def _turned(state: DemandState, month: int) -> tuple[float, int | None, float]:
    """The peak of this month so far, and the month that the clock left last with its peak.

    A month without a peak leaves nothing to come back to.
    """
    if month == state.month:
        return state.month_peak_w, state.left_month, state.left_peak_w
    peak_w = state.left_peak_w if month == state.left_month else 0.0
    if state.month_peak_w > 0.0:
        return peak_w, state.month, state.month_peak_w
    return peak_w, state.left_month, state.left_peak_w


def _month(local: LocalTime) -> int:
    day = date.fromordinal(local.day)
    return day.year * 12 + day.month
