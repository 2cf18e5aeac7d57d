"""Is the meter to be believed? Nonsense, contradiction, a frozen value, a reversed or wrongly scaled sign.

What is found here makes the reading as good as lost; each sentence is shown to the operator as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from controller.dispatch.limits import total
from controller.dispatch.response import Response, moved, patience_s
from controller.dispatch.settings import DispatchConfig
from drivers.device import MeterReading

BEYOND_FUSE = 5.0
"""A power above this many times what the connection carries is a shifted word, not a load."""
LARGEST_W = 10e6
"""The same for a site that names neither fuse nor limits."""
PHASES_TOLERANCE_PART, PHASES_TOLERANCE_W = 0.5, 500.0
ASKED_AFTER_S = 30.0
"""A meter that shows the same values for so long is asked: the battery is moved a little."""
ASK_PART, ASK_W = 0.015, 40.0
SWING_PART, SWING_W = 0.05, 250.0
"""Only a movement of the battery of max(5 %, 250 W) between two values says something about the sign."""
STRIKES = 3
FROZEN = "the meter at the PCC shows the same values although the battery has moved; is it frozen?"
TRY_AGAIN_S = 300.0
"""A meter that was distrusted for its sign or scale gets another chance after this time."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What speaks against the meter: strikes in a row, and since when the battery moved unseen."""

    reversed_strikes: int = 0
    scale_strikes: int = 0
    moved_at_s: float | None = None
    distrusted_at_s: float | None = None


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
    if len(meter.phase_import_w) == config.phases:
        phases_w = total(meter.phase_import_w)
        difference_w = abs(phases_w - power_w)
        if difference_w > PHASES_TOLERANCE_W + PHASES_TOLERANCE_PART * min(abs(phases_w), abs(power_w)):
            return f"the meter at the PCC shows {power_w:.0f} W, its phases together {phases_w:.0f} W"
    return ""


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
    moved_w = after.battery_then_w - before.battery_then_w
    if abs(moved_w) < max(SWING_PART * rated_w, SWING_W):
        return (doubt if doubt.moved_at_s is None else Doubt(doubt.reversed_strikes, doubt.scale_strikes)), ""
    ratio = (after.value.pcc_import_w - before.value.pcc_import_w) / moved_w
    if -1.5 <= ratio <= -0.5:
        return NO_DOUBT, ""
    turned = doubt.reversed_strikes + 1 if 0.8 <= ratio <= 1.2 else 0
    scaled = doubt.scale_strikes + 1 if 8.0 <= abs(ratio) <= 12.0 or 0.08 <= abs(ratio) <= 0.12 else 0
    if turned >= STRIKES or scaled >= STRIKES:
        found = Doubt(turned, scaled, None, after.polled_at_s)
        return found, _distrust(found)
    return Doubt(turned, scaled), ""


def _distrust(doubt: Doubt) -> str:
    if doubt.reversed_strikes >= STRIKES:
        return "the meter at the PCC follows the battery the wrong way round; is its sign or a CT reversed?"
    return "the meter at the PCC follows the battery ten times too much or too little; is its scale right?"


def _unseen(config: DispatchConfig, doubt: Doubt, after: Response, rated_w: float) -> tuple[Doubt, str]:
    """The value has not changed: has the battery?"""
    if not after.samples:  # PV that is heard again begins the past anew, before the meter is
        return doubt, ""
    if not moved(after, after.samples, rated_w):
        return doubt, ""
    if doubt.moved_at_s is None:
        return Doubt(doubt.reversed_strikes, doubt.scale_strikes, after.polled_at_s), ""
    if after.polled_at_s - doubt.moved_at_s < patience_s(config.meter, after.cadence_s):
        return doubt, ""
    return doubt, FROZEN


def asks_w(response: Response, now_s: float, rated_w: float, deadband_w: float) -> float:
    """By how much to move, W, to see whether a meter that shows nothing new is alive; usually 0.

    More than `deadband_w`, or the question would not be written.
    """
    if response.value is None or now_s - response.seen_at_s < ASKED_AFTER_S:
        return 0.0
    return max(ASK_PART * rated_w, ASK_W, deadband_w + 1.0)


def asks_at_rest_w(doubt: Doubt, now_s: float, rated_w: float) -> float:
    """The same for one that is taken to be frozen, while the batteries rest: every other half minute."""
    if doubt.moved_at_s is None or (now_s - doubt.moved_at_s) // ASKED_AFTER_S % 2.0 == 0.0:
        return 0.0
    return max(ASK_PART * rated_w, ASK_W)
