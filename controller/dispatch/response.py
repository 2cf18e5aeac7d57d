"""The load behind the meter, at the meter's own instant: what the battery did then is taken off again.

A meter's value is older than it looks: it was measured a delay and up to a period ago. Adding today's battery
power to yesterday's meter value would show the battery its own movement as load, and it would chase it for
ever. So the recent past of the battery is kept, and the load is known only as closely as the time of the
measurement is: as an interval, from what the battery may have been doing then. A load that still lies
inside it has not changed. Measured battery power is used, never the profile's idea of it.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

from controller.dispatch.delay import LATER_BY_S, Samples, at, off_by_s
from controller.dispatch.settings import MeterSettings
from controller.dispatch.site import Read
from drivers.device import MeterReading, PvReading
from drivers.fact import fact

USUAL_PERIOD_S = 0.2
"""How often a meter is taken to have a new value when neither profile nor behaviour says otherwise."""
SLOW = 1.5
"""A meter whose values last longer than this many polls is slower than we ask."""
LONGEST_CADENCE_S = 60.0
DELAY_TOLERANCE_SHARE = 0.1
"""How well a stated delay is known, as a part of it."""
GATE_PART = 0.2
"""A load that jumps by more than this part of the rating is believed at the second reading."""
MOST_SAMPLES = 70
STRAIGHT_S = 2.0
"""What was given between samples farther apart than this may be all that lies between them."""
TURN_PART = 0.02
"""Loads that move to and fro by more than this part of the rating ..."""
TURN_WITHIN_S = 45.0
"""... within this time may be our own battery, seen through a meter that is later than its profile says."""
LOOK_AGAIN_S = 5.0
CALM_S = 120.0
"""The doubt wanes by half after so long without a turn."""
MOVED_PART, MOVED_W = 0.008, 25.0
"""A battery that moved by max(0.8 %, 25 W) must be seen by the meter ..."""
SEEN_WITHIN_S = 4.0
"""... within this time, beside the meter's own delay and two periods."""


@fact
class Response:
    """What is remembered between readings.

    `samples` are (time, what batteries and PV gave, W), oldest first. `net_load_w` is the load in use: with
    PV inverters that say what they give, all of the load. `pv_w` is what those that were heard gave last;
    `pv_heard` says which those are.
    `unconfirmed` is -1 or 1 after a reading that jumped down or up by more than the gate, else 0.
    `value` is the newest meter value, first seen at `seen_at_s`, with the battery at `battery_then_w`;
    `polled_at_s` is when it was asked last, `cadence_s` how long its values were seen to last.
    While `then_unsure` that was read before; the next reading says most of it.
    `read` are the readings of batteries and PV inverters that were believed last.
    `slack_s` is by how much the meter's delay is in doubt, since the load turned at `turned_at_s`;
    `moved_w` at `moved_at_s` was its last large movement. `values` are (time, PCC W) as they were seen.
    """

    samples: Samples = ()
    net_load_w: float = 0.0
    unconfirmed: int = 0
    value: MeterReading | None = None
    seen_at_s: float = 0.0
    polled_at_s: float = float("-inf")
    battery_then_w: float = 0.0
    cadence_s: float = 0.0
    slack_s: float = 0.0
    turned_at_s: float = float("-inf")
    moved_w: float = 0.0
    moved_at_s: float = float("-inf")
    values: Samples = ()
    pv_w: float = 0.0
    pv_heard: tuple[bool, ...] = ()
    then_unsure: bool = False
    read: Read = ((), ())


NOTHING_HEARD = Response()


def follow(
    settings: MeterSettings,
    before: Response,
    meter: MeterReading,
    battery: tuple[float, float],
    rated_w: float,
    pv_w: float = 0.0,
    unseen_w: tuple[float, float] = (0.0, 0.0),
    read: Read = ((), ()),
) -> tuple[Response, bool]:
    """The response after this cycle's readings, and whether the meter had news.

    `battery` is (time, total W) of what batteries and PV gave in the newest readings, `pv_w` the PV in it,
    `rated_w` the larger rating of all; `unseen_w` is by how much less and more they may have given at the
    meter's instant than was read. `read` is remembered as it is.
    """
    samples = remembered(before.samples, battery, span_s(settings, before))
    value = before.value
    if value is not None and value.pcc_import_w == meter.pcc_import_w and _same(value, meter):
        return _unchanged(settings, before, samples, meter, (rated_w, pv_w), unseen_w, read), False
    cadence_s = _cadence_s(before, meter, battery[1], rated_w)
    low_w, high_w = _between_w(settings, before, samples, meter, cadence_s)
    low_w, high_w = low_w + unseen_w[0], high_w + unseen_w[1]
    if value is None:
        load_w, unconfirmed = 0.5 * (low_w + high_w), 0
    else:
        load_w, unconfirmed = _gated(before, low_w, high_w, GATE_PART * rated_w)
    values = remembered(before.values, (meter.taken_at_s, meter.pcc_import_w), TURN_WITHIN_S)
    slack_s, turned_at_s, moved_w, moved_at_s = _doubted(settings, before, load_w, (samples, values), rated_w)
    after = Response(
        samples,
        load_w,
        unconfirmed,
        meter,
        meter.taken_at_s,
        meter.taken_at_s,
        battery[1],
        cadence_s,
        slack_s,
        turned_at_s,
        moved_w,
        moved_at_s,
        values,
        pv_w,
        before.pv_heard,
        _unsure(unseen_w, rated_w),
        read,
    )
    return after, True


def _doubted(
    settings: MeterSettings,
    before: Response,
    load_w: float,
    past: tuple[Samples, Samples],
    rated_w: float,
) -> tuple[float, float, float, float]:
    """The slack, when the load last turned, and its last large movement with its time."""
    now_s = past[1][-1][0]
    change_w = load_w - before.net_load_w
    if abs(change_w) <= TURN_PART * rated_w or before.value is None:
        if before.slack_s > 0.0 and now_s - before.turned_at_s > CALM_S:
            slack_s = 0.5 * before.slack_s
            return (slack_s if slack_s >= 0.5 else 0.0), now_s, before.moved_w, before.moved_at_s
        return before.slack_s, before.turned_at_s, before.moved_w, before.moved_at_s
    if change_w * before.moved_w >= 0.0 or now_s - before.moved_at_s > TURN_WITHIN_S:
        return before.slack_s, before.turned_at_s, change_w, now_s
    if now_s - before.turned_at_s < LOOK_AGAIN_S:
        return before.slack_s, before.turned_at_s, change_w, now_s
    found_s = off_by_s(settings.delay_s, *past, GATE_PART * rated_w)
    return max(found_s, 0.5 * before.slack_s), now_s, change_w, now_s


def with_pv(before: Response, pvs: tuple[PvReading | None, ...], heard: tuple[bool, ...]) -> Response:
    """The response when PV inverters fall silent or are heard again: the net load stays what it was.

    A silent one goes on as it was, as far as anybody knows: what it gives is taken off the load until it is
    heard again, and what changes looks like load.
    """
    if heard == before.pv_heard:
        return before
    more_w = 0.0
    for pv, is_heard, was_heard in zip(pvs, heard, before.pv_heard, strict=False):
        if pv is not None and is_heard is not was_heard:
            more_w += pv.pv_generation_w if is_heard else -pv.pv_generation_w
    return replace(
        before,
        pv_heard=heard,
        pv_w=before.pv_w + more_w,
        net_load_w=before.net_load_w + more_w,
        battery_then_w=before.battery_then_w + more_w,
        samples=tuple([(at_s, power_w + more_w) for at_s, power_w in before.samples]),
    )


def _same(one: MeterReading, other: MeterReading) -> bool:
    """Whether with the power nothing else has changed: phases, voltage, frequency, counters."""
    return (
        one.import_wh == other.import_wh
        and one.export_wh == other.export_wh
        and one.phase_import_w == other.phase_import_w
        and one.phase_voltage_v == other.phase_voltage_v
        and one.phase_current_a == other.phase_current_a
        and one.frequency_hz == other.frequency_hz
    )


def patience_s(settings: MeterSettings, cadence_s: float) -> float:
    """How long a meter may show the same although the battery moved."""
    period_s = max(cadence_s, settings.period_s)
    return SEEN_WITHIN_S + settings.delay_s + 2.0 * period_s


def moved(response: Response, samples: Samples, rated_w: float) -> bool:
    """Whether the battery is no longer where it was when the meter's value was new."""
    return abs(samples[-1][1] - response.battery_then_w) >= max(MOVED_PART * rated_w, MOVED_W)


def _unsure(unseen_w: tuple[float, float], rated_w: float) -> bool:
    """Whether batteries that were not read may have moved by so much that the meter must see it."""
    return unseen_w[1] - unseen_w[0] >= max(MOVED_PART * rated_w, MOVED_W)


def _unchanged(
    settings: MeterSettings,
    before: Response,
    samples: Samples,
    meter: MeterReading,
    powers_w: tuple[float, float],
    unseen_w: tuple[float, float],
    read: Read,
) -> Response:
    """The same value again: one that waits to be confirmed is, once the meter must have measured anew.

    When nobody has moved for so long that it must have, what battery and PV give now says what the load is:
    a wrong reading of theirs, when the value was new, does not outlast it. `powers_w` are rating and PV.
    """
    rated_w, pv_w = powers_w
    load_w, unconfirmed = before.net_load_w, before.unconfirmed
    lasted_s = meter.taken_at_s - before.seen_at_s
    anew = unconfirmed and lasted_s >= _period_s(settings, before.cadence_s)
    settled = lasted_s >= patience_s(settings, before.cadence_s)
    unsure = _unsure(unseen_w, rated_w)
    read_since = before.then_unsure and not unsure
    then_w = samples[-1][1] if read_since else before.battery_then_w
    if anew or (settled and not moved(before, samples, rated_w)):
        low_w, high_w = _between_w(settings, before, samples, meter, before.cadence_s)
        load_w, unconfirmed = _gated(before, low_w, high_w, inf)
    return Response(
        samples,
        load_w,
        unconfirmed,
        before.value,
        before.seen_at_s,
        meter.taken_at_s,
        then_w,
        before.cadence_s,
        before.slack_s,
        before.turned_at_s,
        before.moved_w,
        before.moved_at_s,
        before.values,
        pv_w,
        before.pv_heard,
        before.then_unsure and unsure,
        read,
    )


def span_s(settings: MeterSettings, before: Response) -> float:
    """How far back the battery's past may be asked for."""
    period_s = max(before.cadence_s, settings.period_s)
    return settings.delay_s * (1.0 + DELAY_TOLERANCE_SHARE) + period_s + TURN_WITHIN_S + LATER_BY_S[-1]


def remembered(samples: Samples, newest: tuple[float, float], span_s: float) -> Samples:
    """The samples with the newest, without what nobody will ask for any more, none closer than needed."""
    now_s, last = newest[0], len(samples) - 1
    if last < 0:
        return (newest,)
    if now_s <= samples[last][0]:
        return samples
    if last and now_s - samples[last - 1][0] < span_s / MOST_SAMPLES:
        samples, last = samples[:last], last - 1
    drop, oldest_s = 1, now_s - span_s
    if last < 1 or samples[1][0] > oldest_s:
        return samples + (newest,)  # noqa: RUF005  # unpacked it would be copied once more, a second
    while drop < last and samples[drop + 1][0] <= oldest_s:
        drop += 1
    return samples[drop:] + (newest,)  # noqa: RUF005  # likewise


def _cadence_s(before: Response, meter: MeterReading, battery_w: float, rated_w: float) -> float:
    """How long the meter's values last, learnt from values that should have changed and did not.

    A value that stayed the same while nothing happened says nothing about the meter.
    """
    if before.value is None:
        return 0.0
    lasted_s = meter.taken_at_s - before.seen_at_s
    gap_s = meter.taken_at_s - before.polled_at_s
    if lasted_s <= SLOW * gap_s:
        return before.cadence_s * 0.5 if before.cadence_s > gap_s else 0.0
    moved_w = battery_w - before.battery_then_w
    if abs(moved_w) < 0.02 * rated_w or lasted_s > LONGEST_CADENCE_S:
        return before.cadence_s
    return lasted_s if before.cadence_s == 0.0 else 0.5 * (before.cadence_s + lasted_s)


def _between_w(
    settings: MeterSettings, before: Response, samples: Samples, meter: MeterReading, cadence_s: float
) -> tuple[float, float]:
    """The least and the most that the load can be by this value."""
    low_w, high_w = envelope(samples, *measured_between(settings, before, meter, cadence_s))
    return meter.pcc_import_w + low_w, meter.pcc_import_w + high_w


def _period_s(settings: MeterSettings, cadence_s: float) -> float:
    """How long a value of this meter lasts, as it was seen or said."""
    return cadence_s if cadence_s > settings.period_s else settings.period_s or USUAL_PERIOD_S


def measured_between(
    settings: MeterSettings, before: Response, meter: MeterReading, cadence_s: float
) -> tuple[float, float]:
    """The earliest and latest instant at which this value can have been measured."""
    period_s = _period_s(settings, cadence_s)
    gap_s = meter.taken_at_s - before.polled_at_s
    slack_s = DELAY_TOLERANCE_SHARE * settings.delay_s + before.slack_s
    last_s = meter.taken_at_s - settings.delay_s
    return last_s - (gap_s if gap_s < period_s else period_s) - slack_s, last_s + slack_s


def envelope(samples: Samples, first_s: float, last_s: float) -> tuple[float, float]:
    """The least and the most that the battery gave between two instants, from straight lines between samples.

    Outside of the samples it gave what the nearest one says.
    """
    later_s, later_w = samples[-1]
    low_w = high_w = later_w if last_s >= later_s else at(samples, last_s)
    for at_s, power_w in reversed(samples):
        straight = later_s - at_s <= STRAIGHT_S
        if not straight and at_s < last_s < later_s:
            low_w, high_w = min(low_w, later_w), max(high_w, later_w)
        if first_s < at_s < last_s:
            low_w, high_w = min(low_w, power_w), max(high_w, power_w)
        elif at_s <= first_s:
            if straight and first_s < later_s:
                power_w += (later_w - power_w) * (first_s - at_s) / (later_s - at_s)
            low_w, high_w = min(low_w, power_w), max(high_w, power_w)
            break
        later_s, later_w = at_s, power_w
    return low_w, high_w


def _gated(before: Response, low_w: float, high_w: float, gate_w: float) -> tuple[float, int]:
    """The load before while it still lies in the interval, else the nearest edge; -1 or 1 if in doubt.

    One that jumped by more than the gate waits for a second reading on the same side. The battery stands
    still meanwhile, so that the second reading is exact.
    """
    load_w = before.net_load_w
    if load_w < low_w:
        found_w, side = low_w, 1
    elif load_w > high_w:
        found_w, side = high_w, -1
    else:
        return load_w, 0
    if -gate_w <= found_w - load_w <= gate_w or before.unconfirmed == side:
        return found_w, 0
    return load_w, side
