"""The energy books of a site: six counters that never go back, whole mWh inside and whole Wh outside.

Power is integrated between readings by the readings' own times, straight lines in between, each direction by
itself. Import and export follow the meter's own counters where it has them: those also count what flowed
while nobody looked. A counter that goes back, jumps or stands still is left aside, and power counts instead.
"""

from __future__ import annotations

from math import inf, isfinite

from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from drivers.device import MeterReading
from drivers.fact import fact

GAP_S = 60.0
"""Between two readings further apart than this nobody knows the power; only a meter's counter does."""
BEYOND_FUSE = 1.25
"""A connection does not carry more than this part of its fuses for long."""
LARGEST_W = 10e6
"""The same for a site that names no fuse."""
TICK_WH = 100.0
"""A counter may move by this much at once, however short the time: that is its resolution."""
STUCK_WH = 2500.0
"""A counter that stands still while this much flows is stuck; the coarsest count whole kWh."""
ASIDE_S = 3600.0
"""For so long a counter that jumped or stuck is left aside."""


@fact
class Counter:
    """What was counted: whole mWh, and the part of the next one (0 to 1), so that nothing is rounded away."""

    milliwh: int = 0
    part: float = 0.0

    def plus(self, wh: float) -> Counter:
        """This and `wh` >= 0 more."""
        if wh <= 0.0:
            return self
        exact = wh * 1000.0 + self.part
        whole = int(exact)
        return Counter(self.milliwh + whole, exact - whole)

    @property
    def wh(self) -> int:
        """Whole Wh; the differences of any intervals add up exactly."""
        return self.milliwh // 1000


@fact
class Totals:
    """The counters as they are told to the world, Wh since the first start at this site."""

    import_wh: int = 0
    export_wh: int = 0
    charge_wh: int = 0
    discharge_wh: int = 0
    pv_wh: int = 0
    load_wh: int = 0


@fact
class MeterCounters:
    """The meter's own counters when they last moved, and what the power came to since then, Wh.

    `at_s` is None after a restart: then only the trusted `utc_s` tells how long ago that was.
    """

    import_wh: float
    export_wh: float
    at_s: float | None
    utc_s: float | None
    flowed_in_wh: float = 0.0
    flowed_out_wh: float = 0.0


Sample = tuple[float, float]
"""When power was measured, and the power, W."""
Samples = tuple[Sample | None, ...]


@fact
class Books:
    """The counters, and the newest sample of each power that is counted.

    After a restart the counters and `meter` are worth keeping; the samples are not.
    """

    imported: Counter = Counter()
    exported: Counter = Counter()
    charged: Counter = Counter()
    discharged: Counter = Counter()
    pv: Counter = Counter()
    load: Counter = Counter()
    meter: MeterCounters | None = None
    aside_until_s: float = -inf
    pcc_at: Sample | None = None
    load_at: Sample | None = None
    batteries_at: Samples = ()
    pvs_at: Samples = ()

    @property
    def totals(self) -> Totals:
        """What may be published."""
        return Totals(
            self.imported.wh,
            self.exported.wh,
            self.charged.wh,
            self.discharged.wh,
            self.pv.wh,
            self.load.wh,
        )


NOTHING_COUNTED = Books()


def count(config: DispatchConfig, before: Books, snapshot: Snapshot, speed: float = 1.0) -> Books:
    """The books after this cycle; readings that are not news change nothing.

    `speed`: each second between readings counts as so many, in a house whose day is only played.
    """
    now_s = snapshot.now_s
    charged, discharged, pv = before.charged, before.discharged, before.pv
    batteries_at: list[Sample | None] = []
    for battery, was in zip(
        snapshot.batteries, _as_many(before.batteries_at, snapshot.batteries), strict=True
    ):
        at = None if battery is None else (battery.taken_at_s, battery.battery_discharge_w)
        newest, out_wh, in_wh = _flow(was, at, speed)
        charged, discharged = charged.plus(in_wh), discharged.plus(out_wh)
        batteries_at.append(newest)
    pvs_at: list[Sample | None] = []
    known = _as_many(before.pvs_at, snapshot.pvs)
    for one, was in zip(snapshot.pvs, known, strict=True):
        at = None if one is None else (one.taken_at_s, one.pv_generation_w)
        newest, given_wh, _ = _flow(was, at, speed)
        pv = pv.plus(given_wh)
        pvs_at.append(newest)
    meter = snapshot.meter
    if meter is None or (before.pcc_at is not None and meter.taken_at_s <= before.pcc_at[0]):
        grid = (before.imported, before.exported, before.meter, before.aside_until_s)
        pcc_at, load_at, load = before.pcc_at, before.load_at, before.load
    else:
        pcc_at, in_wh, out_wh = _flow(before.pcc_at, (meter.taken_at_s, meter.pcc_import_w), speed)
        grid = _grid(config, before, snapshot, meter, (in_wh, out_wh), speed)
        load_w = _load_w(meter, batteries_at, pvs_at, now_s - config.stale_after_s)
        used = None if load_w is None else (meter.taken_at_s, load_w)
        load_at, used_wh, _ = _flow(before.load_at, used, speed)
        load = before.load.plus(used_wh)
    return Books(
        grid[0],
        grid[1],
        charged,
        discharged,
        pv,
        load,
        grid[2],
        grid[3],
        pcc_at,
        load_at,
        tuple(batteries_at),
        tuple(pvs_at),
    )


def _as_many(samples: Samples, readings: tuple[object, ...]) -> Samples:
    return samples if len(samples) == len(readings) else (None,) * len(readings)


def _flow(was: Sample | None, at: Sample | None, speed: float) -> tuple[Sample | None, float, float]:
    """The newest sample, and what flowed since the one before in the positive and the negative sense, Wh."""
    if at is None or not isfinite(at[1]):
        return was, 0.0, 0.0
    if was is None:
        return at, 0.0, 0.0
    hours = (at[0] - was[0]) / 3600.0
    if hours <= 0.0:
        return was, 0.0, 0.0
    if hours > GAP_S / 3600.0:
        return at, 0.0, 0.0
    hours *= speed
    first_w, last_w = was[1], at[1]
    if first_w >= 0.0 and last_w >= 0.0:
        return at, 0.5 * (first_w + last_w) * hours, 0.0
    if first_w <= 0.0 and last_w <= 0.0:
        return at, 0.0, -0.5 * (first_w + last_w) * hours
    # A straight line through zero: two triangles.
    span_w = abs(first_w) + abs(last_w)
    up_w, down_w = max(first_w, last_w), -min(first_w, last_w)
    return at, 0.5 * up_w * up_w / span_w * hours, 0.5 * down_w * down_w / span_w * hours


def _load_w(
    meter: MeterReading, batteries: list[Sample | None], pvs: list[Sample | None], fresh_from_s: float
) -> float | None:
    """What the house uses; None while something that feeds it is not known."""
    load_w = meter.pcc_import_w
    for sample in (*batteries, *pvs):
        if sample is None or sample[0] < fresh_from_s:
            return None
        load_w += sample[1]
    return load_w


Grid = tuple[Counter, Counter, MeterCounters | None, float]


def _grid(
    config: DispatchConfig,
    before: Books,
    snapshot: Snapshot,
    meter: MeterReading,
    flowed_wh: tuple[float, float],
    speed: float,
) -> Grid:
    """Import and export after a new meter reading; `flowed_wh` is what its power came to, in and out."""
    aside_s, was, at_s = before.aside_until_s, before.meter, meter.taken_at_s
    into_wh, outof_wh = flowed_wh
    if was is not None:
        into_wh, outof_wh = into_wh + was.flowed_in_wh, outof_wh + was.flowed_out_wh
    utc_s = None if snapshot.local is None else snapshot.local.utc_s
    shown = _shown(meter)
    if shown is None or at_s < aside_s:
        # By power, and the next counter that is seen begins anew.
        return before.imported.plus(into_wh), before.exported.plus(outof_wh), None, aside_s
    fresh = MeterCounters(*shown, at_s, utc_s)
    if was is None:
        return before.imported.plus(into_wh), before.exported.plus(outof_wh), fresh, aside_s
    if shown == (was.import_wh, was.export_wh):
        if max(into_wh, outof_wh) > STUCK_WH:
            return before.imported.plus(into_wh), before.exported.plus(outof_wh), None, at_s + ASIDE_S
        same = MeterCounters(*shown, was.at_s, was.utc_s, into_wh, outof_wh)
        return before.imported, before.exported, same, aside_s
    moved_wh = (shown[0] - was.import_wh, shown[1] - was.export_wh)
    most_wh = _most_wh(config, was, at_s, utc_s, speed)
    if min(moved_wh) >= 0.0 and max(moved_wh) <= most_wh:
        return before.imported.plus(moved_wh[0]), before.exported.plus(moved_wh[1]), fresh, aside_s
    # Back is a reset or a roll-over: it counts on from here. Too far ahead: not to be believed for a while.
    jumped = min(moved_wh) >= 0.0 and was.at_s is not None
    after = (None, at_s + ASIDE_S) if jumped else (fresh, aside_s)
    return before.imported.plus(into_wh), before.exported.plus(outof_wh), *after


def _shown(meter: MeterReading) -> tuple[float, float] | None:
    """The meter's own counters; None unless it has both."""
    import_wh, export_wh = meter.import_wh, meter.export_wh
    if import_wh is None or export_wh is None or not isfinite(import_wh) or not isfinite(export_wh):
        return None
    return import_wh, export_wh


def _most_wh(
    config: DispatchConfig, was: MeterCounters, at_s: float, utc_s: float | None, speed: float
) -> float:
    """The most that can have flowed since; nothing is known of a time that no clock measured."""
    if was.at_s is not None:
        elapsed_s = (at_s - was.at_s) * speed
    elif was.utc_s is not None and utc_s is not None:
        elapsed_s = utc_s - was.utc_s
    else:
        return -inf
    most_w = LARGEST_W
    if config.fuse_a is not None:
        most_w = BEYOND_FUSE * config.fuse_a * config.nominal_v * config.phases
    return TICK_WH + most_w * max(elapsed_s, 0.0) / 3600.0
