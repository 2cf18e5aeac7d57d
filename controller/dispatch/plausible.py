"""Are readings to be believed? Nonsense, contradiction, a frozen value, a reversed or wrongly scaled sign.

That is of the meter; batteries and PV inverters may show more than they can do. What is found here makes the
reading as good as lost; each sentence is shown to the operator as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isfinite

from controller.dispatch.delay import Samples, at
from controller.dispatch.limits import total
from controller.dispatch.response import MOVED_PART, MOVED_W, SEEN_WITHIN_S, Response, moved, patience_s
from controller.dispatch.settings import BatterySettings, DispatchConfig, MeterSettings
from controller.dispatch.site import Read, Snapshot
from drivers.device import BatteryReading, MeterReading, PvReading

BEYOND_FUSE = 5.0
"""A power above this many times what the connection carries is a shifted word, not a load."""
LARGEST_W = 10e6
"""The same for a site that names neither fuse nor limits."""
DEAD_PART = 0.2
"""A phase below this part of the nominal voltage has no grid behind it; a brown-out is above."""
BEYOND_RATING, BEYOND_RATING_W = 1.3, 500.0
"""A device that shows more than 1.3 times its rating and 500 W on top shows a wrong word, not its power."""
MOST_PER_H = 3.0
"""A battery without a rating in the site file is taken to be emptied in no less than 20 min."""
PHASES_TOLERANCE_PART, PHASES_TOLERANCE_W = 0.5, 500.0
ASKED_AFTER_S = 30.0
"""A meter that shows the same values for so long is asked: the battery is moved a little."""
ASKED_VALUES = 25
"""One whose other values change is asked after so many values of exactly 0 W: a CT may have come off."""
ASK_PART, ASK_W = 0.015, 40.0
SWING_PART, SWING_W = 0.05, 250.0
"""Only a movement of the battery of max(5 %, 250 W) between two values says something about the sign."""
STRIKES = 3
EXACTLY = 0.03
"""What a meter that lies shows follows the battery to this part, all movements together; loads do not."""
MANY_STRIKES, ROUGHLY = 6, 0.2
"""Of so many in a row this part is enough, as the loads move as well."""
FROZEN = "the meter at the PCC shows the same values although the battery has moved; is it frozen?"
TRY_AGAIN_S = 300.0
"""A meter that was distrusted for its sign or scale gets another chance after this time."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What speaks against the meter: strikes in a row, and since when the battery moved unseen.

    `stood_w` is what it gave when the power came that does not change although other values do, and
    `stood_pv_w` the PV beside it; infinite once that power is not believed, until another one comes.

    Of the movements in the row `battery_w2`, `both_w2` and `pcc_w2` are the sums of the battery's squared, of
    battery times PCC, and of the PCC's squared.
    """

    reversed_strikes: int = 0
    scale_strikes: int = 0
    moved_at_s: float | None = None
    distrusted_at_s: float | None = None
    battery_w2: float = 0.0
    both_w2: float = 0.0
    pcc_w2: float = 0.0
    stood_w: float | None = None
    stood_pv_w: float = 0.0

    def exact(self, part: float) -> bool:
        """Whether the PCC moved by one and the same factor each time, but for this part."""
        left_w2 = self.pcc_w2 - self.both_w2 * self.both_w2 / self.battery_w2
        return left_w2 <= part * part * self.pcc_w2


NO_DOUBT = Doubt()


def nonsense(config: DispatchConfig, meter: MeterReading) -> str:
    """Why these values cannot be true by themselves, or nothing."""
    power_w = meter.pcc_import_w
    if not isfinite(power_w):
        return "the meter at the PCC shows no number"
    most_w = LARGEST_W
    if config.fuse_a is not None:
        most_w = BEYOND_FUSE * config.fuse_a * config.nominal_v * config.phases
    if abs(power_w) > most_w:
        return f"the meter at the PCC shows {power_w:.0f} W, more than this connection can carry"
    if dark(config, meter):
        return "the meter at the PCC shows no voltage on any phase"
    if len(meter.phase_import_w) == config.phases:
        phases_w = total(meter.phase_import_w)
        difference_w = abs(phases_w - power_w)
        if difference_w > PHASES_TOLERANCE_W + PHASES_TOLERANCE_PART * min(abs(phases_w), abs(power_w)):
            return f"the meter at the PCC shows {power_w:.0f} W, its phases together {phases_w:.0f} W"
    return ""


def dark(config: DispatchConfig, meter: MeterReading) -> bool:
    """Whether a meter that tells voltages shows none on any phase."""
    voltages_v = meter.phase_voltage_v
    return bool(voltages_v) and max(voltages_v) < DEAD_PART * config.nominal_v


def most_w(settings: BatterySettings, reading: BatteryReading) -> float:
    """The most that a battery can be believed to charge or discharge.

    What it allows now may be little although its power has not come down yet, so the site file's rating
    counts as well, and where there is none what a battery of its capacity can do.
    """
    known_w = max(
        settings.max_charge_w or 0.0,
        settings.max_discharge_w or 0.0,
        reading.max_charge_w or 0.0,
        reading.max_discharge_w or 0.0,
        MOST_PER_H * settings.capacity_wh
        if settings.max_charge_w is None or settings.max_discharge_w is None
        else 0.0,
    )
    return BEYOND_RATING * known_w + BEYOND_RATING_W


def possible(config: DispatchConfig, before: Read, snapshot: Snapshot) -> tuple[Snapshot, str]:
    """The snapshot without powers that no battery or PV inverter can have, and what they were.

    Such a reading is as good as none: what was read `before` stands in its place and grows old.
    """
    batteries: list[BatteryReading | None] | None = None
    pvs: list[PvReading | None] | None = None
    wrong = ""
    for index, one in enumerate(snapshot.batteries):
        if one is None:
            continue
        can_w = most_w(config.batteries[index], one)
        if not -can_w <= one.battery_discharge_w <= can_w:
            batteries = batteries or list(snapshot.batteries)
            batteries[index] = before[0][index] if before[0] else None
            wrong = _more(wrong, config.batteries[index].id, one.battery_discharge_w)
    for index, pv in enumerate(snapshot.pvs):
        if pv is None or not pv.rated_w:
            continue
        can_w = BEYOND_RATING * pv.rated_w + BEYOND_RATING_W
        if not -can_w <= pv.pv_generation_w <= can_w:
            pvs = pvs or list(snapshot.pvs)
            pvs[index] = before[1][index] if before[1] else None
            wrong = _more(wrong, config.pvs[index].id, pv.pv_generation_w)
    if not wrong:
        return snapshot, ""
    return replace(
        snapshot,
        batteries=snapshot.batteries if batteries is None else tuple(batteries),
        pvs=snapshot.pvs if pvs is None else tuple(pvs),
    ), wrong


def _more(before: str, device: str, power_w: float) -> str:
    one = f"{device} shows {power_w:.0f} W, more than it can do, and is not believed"
    return f"{before}; {one}" if before else one


def judge(
    config: DispatchConfig, doubt: Doubt, before: Response, after: Response, news: bool, rated_w: float
) -> tuple[Doubt, str]:
    """The doubt after this cycle, and the sentence why the meter is not believed, or nothing."""
    if doubt.distrusted_at_s is not None:
        if after.polled_at_s - doubt.distrusted_at_s >= TRY_AGAIN_S:
            return NO_DOUBT, ""
        return doubt, _distrust(doubt)
    if not news:
        return _unseen(config, doubt, after, rated_w)
    if before.value is None or after.value is None:
        return NO_DOUBT, ""
    if after.value.pcc_import_w == before.value.pcc_import_w:
        doubt, wrong = _standing(config, doubt, after, rated_w)
        if doubt.moved_at_s is not None:
            return doubt, wrong
    elif doubt.stood_w is not None:
        doubt = replace(doubt, stood_w=None)
    delay_s = config.meter.delay_s
    moved_w = at(after.samples, after.seen_at_s - delay_s) - at(after.samples, before.seen_at_s - delay_s)
    pcc_w = after.value.pcc_import_w - before.value.pcc_import_w
    if abs(moved_w) < max(SWING_PART * rated_w, SWING_W):
        if doubt.reversed_strikes or doubt.scale_strikes:
            return _row(doubt, doubt.reversed_strikes, doubt.scale_strikes, moved_w, pcc_w), ""
        return (doubt if doubt.moved_at_s is None else NO_DOUBT), ""
    ratio = pcc_w / moved_w
    turned = doubt.reversed_strikes + 1 if 0.8 <= ratio <= 1.2 else 0
    scaled = doubt.scale_strikes + 1 if 8.0 <= abs(ratio) <= 12.0 or 0.08 <= abs(ratio) <= 0.12 else 0
    if not turned and not scaled:
        return NO_DOUBT, ""
    row = doubt if turned > 1 or scaled > 1 else NO_DOUBT
    found = _row(row, turned, scaled, moved_w, pcc_w)
    strikes = max(turned, scaled)
    if strikes >= STRIKES and found.exact(EXACTLY if strikes < MANY_STRIKES else ROUGHLY):
        found = replace(found, distrusted_at_s=after.polled_at_s)
        return found, _distrust(found)
    return found, ""


def _row(before: Doubt, turned: int, scaled: int, moved_w: float, pcc_w: float) -> Doubt:
    """The row with one more movement; a small one strikes nothing, but the meter has to follow it as well."""
    return Doubt(
        turned,
        scaled,
        None,
        None,
        before.battery_w2 + moved_w * moved_w,
        before.both_w2 + moved_w * pcc_w,
        before.pcc_w2 + pcc_w * pcc_w,
    )


def _distrust(doubt: Doubt) -> str:
    if doubt.reversed_strikes >= STRIKES:
        return "the meter at the PCC follows the battery the wrong way round; is its sign or a CT reversed?"
    return "the meter at the PCC follows the battery ten times too much or too little; is its scale right?"


def _unseen(config: DispatchConfig, doubt: Doubt, after: Response, rated_w: float) -> tuple[Doubt, str]:
    """The value has not changed: has the battery?"""
    if not moved(after, after.samples, rated_w):
        return doubt, ""
    if doubt.moved_at_s is None:
        return replace(doubt, moved_at_s=after.polled_at_s), ""
    if after.polled_at_s - doubt.moved_at_s < patience_s(config.meter, after.cadence_s):
        return doubt, ""
    return doubt, FROZEN


def _standing(config: DispatchConfig, doubt: Doubt, after: Response, rated_w: float) -> tuple[Doubt, str]:
    """The power has not changed although other values have: has the battery moved, and not with the PV?

    A battery that takes just what caps let the sun give more moves nothing at the meter.
    """
    pv_w = after.pv_w
    battery_w = after.samples[-1][1] - pv_w
    if doubt.stood_w is None:
        return replace(doubt, stood_w=battery_w, stood_pv_w=pv_w, moved_at_s=None), ""
    moved_w = battery_w - doubt.stood_w
    if min(abs(moved_w), abs(moved_w + pv_w - doubt.stood_pv_w)) < max(MOVED_PART * rated_w, MOVED_W):
        return doubt if doubt.moved_at_s is None else replace(doubt, moved_at_s=None), ""
    if doubt.moved_at_s is None:
        return replace(doubt, moved_at_s=after.polled_at_s), ""
    # It has been asked meanwhile, and shows that as late.
    within_s = patience_s(config.meter, after.cadence_s) + config.meter.delay_s
    if after.polled_at_s - doubt.moved_at_s < within_s:
        return doubt, ""
    return replace(doubt, stood_w=inf), FROZEN


def _alike(values: Samples) -> int:
    """How many of the values before the newest show the same power without a gap."""
    alike = 0
    while alike + 1 < len(values) and values[-2 - alike][1] == values[-1][1]:
        alike += 1
    return alike


def question_w(rated_w: float, deadband_w: float) -> float:
    """By how much the battery is moved to ask: by more than `deadband_w`, or it would not be written."""
    asked_w = ASK_PART * rated_w if rated_w > ASK_W / ASK_PART else ASK_W
    return asked_w if asked_w >= deadband_w + 1.0 else deadband_w + 1.0


def asks_w(
    settings: MeterSettings, response: Response, doubt: Doubt, now_s: float, rated_w: float, deadband_w: float
) -> float:
    """By how much to move, W, to see whether a meter that shows nothing new is alive; usually 0.

    One whose power stays the same although the battery moved is asked once it should have shown that, before
    it is taken to be frozen: the load may move as the battery.
    """
    if response.value is None:
        return 0.0
    if doubt.moved_at_s is not None and doubt.stood_w is not None:
        due_s = doubt.moved_at_s + patience_s(settings, response.cadence_s) - SEEN_WITHIN_S
        return question_w(rated_w, deadband_w) if response.polled_at_s > due_s else 0.0
    if now_s - response.seen_at_s < ASKED_AFTER_S and not (
        response.value.pcc_import_w == 0.0 and _alike(response.values) >= ASKED_VALUES
    ):
        return 0.0
    return question_w(rated_w, deadband_w)


def asks_at_rest_w(since_s: float | None, now_s: float, rated_w: float) -> float:
    """The same for one not believed since `since_s`, while the batteries rest: every other half minute."""
    if since_s is None or (now_s - since_s) // ASKED_AFTER_S % 2.0 == 0.0:
        return 0.0
    return question_w(rated_w, 0.0)
