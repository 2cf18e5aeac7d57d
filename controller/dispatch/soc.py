"""Is the SoC that a battery tells to be believed? Not after a jump, nor if it stands beside a current.

What flows in and out is counted beside it, from the value last believed. While the two are further apart than
`BELIEVED_PCT` the lower one counts for reserve and floor, and the higher one for the ceiling. A value that
moves is believed again at once when it agrees with the count, and after `ACCEPTED_S` when it does not: a BMS
that has found itself wrong is right then. One that stands still is believed again after `RESTED_S` without a
current: it says the same all the time, and a battery at rest cannot prove anything else.
"""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.plausible import most_w
from controller.dispatch.settings import BatterySettings
from controller.dispatch.site import Snapshot
from drivers.device import BatteryReading
from drivers.fact import fact

BELIEVED_PCT = 10.0
"""BMS correct themselves by a few percent; the fault catalogue (B14) calls 20 % a jump."""
ACCEPTED_S = 300.0
RESTED_S = 6 * 3600.0
IDLE_PER_H = 0.005
"""Less than this part of the capacity in an hour may be the inverter's own error, and is not counted."""
GAP_S = 60.0
"""After a longer gap nobody knows what flowed, and what the battery says is all there is."""


@fact
class Charge:
    """What is remembered of one battery: what it said, what was counted, and since when they disagree.

    `stands` is True while the doubt is about a value that has not moved; it begins anew with a current.
    """

    taken_at_s: float
    told_pct: float
    counted_pct: float
    doubted_since_s: float | None = None
    stands: bool = False

    @property
    def lower_pct(self) -> float:
        """What counts for floor and reserve: what the battery says, while in doubt the lower of the two."""
        if self.doubted_since_s is None or self.told_pct < self.counted_pct:
            return self.told_pct
        return self.counted_pct

    @property
    def higher_pct(self) -> float:
        """What counts for the ceiling, likewise."""
        if self.doubted_since_s is None or self.told_pct > self.counted_pct:
            return self.told_pct
        return self.counted_pct


Charges = tuple[Charge | None, ...]


def counted(settings: BatterySettings, before: Charge | None, reading: BatteryReading) -> Charge | None:
    """The charge after this reading; None while the battery does not tell its SoC."""
    soc_pct, now_s = reading.soc_pct, reading.taken_at_s
    if soc_pct is None:
        return None
    if before is None:
        return Charge(now_s, soc_pct, soc_pct)
    gap_s = now_s - before.taken_at_s
    if not 0.0 < gap_s <= GAP_S:
        return before if gap_s == 0.0 else Charge(now_s, soc_pct, soc_pct)
    flows_w = _flows_w(settings, reading)
    counted_pct = before.counted_pct - flows_w * gap_s / 36.0 / settings.capacity_wh
    if not 0.0 <= counted_pct <= 100.0:
        counted_pct = 0.0 if counted_pct < 0.0 else 100.0
    moved = soc_pct != before.told_pct
    if -BELIEVED_PCT <= soc_pct - counted_pct <= BELIEVED_PCT:
        return Charge(now_s, soc_pct, soc_pct if moved else counted_pct)
    since_s = before.doubted_since_s
    if since_s is None:
        return Charge(now_s, soc_pct, counted_pct, now_s, not moved)
    if before.stands and moved:
        return Charge(now_s, soc_pct, counted_pct, now_s)
    if before.stands and flows_w:
        return Charge(now_s, soc_pct, counted_pct, now_s, True)
    if now_s - since_s >= (RESTED_S if before.stands else ACCEPTED_S):
        return Charge(now_s, soc_pct, soc_pct)
    return Charge(now_s, soc_pct, counted_pct, since_s, before.stands)


def _flows_w(settings: BatterySettings, reading: BatteryReading) -> float:
    """What is counted of the power read: none of an idle one, and no more than the battery can do."""
    power_w, idle_w = reading.battery_discharge_w, IDLE_PER_H * settings.capacity_wh
    if -idle_w < power_w < idle_w:
        return 0.0
    can_w = most_w(settings, reading)
    return can_w if power_w > can_w else -can_w if power_w < -can_w else power_w


def follow_soc(
    batteries: tuple[BatterySettings, ...], before: Charges, snapshot: Snapshot
) -> tuple[Charges, bool]:
    """The charges of all batteries after this snapshot, and whether one of them is in doubt.

    A battery that is silent keeps its own.
    """
    after = list(before or (None,) * len(batteries))
    doubted = False
    for index, reading in enumerate(snapshot.batteries):
        one = after[index]
        if reading is not None:
            after[index] = one = counted(batteries[index], one, reading)
        if one is not None and one.doubted_since_s is not None:
            doubted = True
    return tuple(after), doubted


def believed(snapshot: Snapshot, charges: Charges) -> Snapshot:
    """The snapshot with the SoC that counts for floor and reserve: of a doubted one the lower."""
    readings = [
        reading if reading is None or one is None else replace(reading, soc_pct=one.lower_pct)
        for reading, one in zip(snapshot.batteries, charges, strict=True)
    ]
    return replace(snapshot, batteries=tuple(readings))


def doubts(batteries: tuple[BatterySettings, ...], charges: Charges) -> str:
    """A sentence for each battery whose SoC is in doubt, or nothing."""
    found = ""
    for settings, charge in zip(batteries, charges, strict=True):
        if charge is not None and charge.doubted_since_s is not None:
            what = "stands still" if charge.stands else "jumped"
            one = f"{settings.id}: its SoC {what}, counting on {charge.lower_pct:.0f} %"
            found = f"{found}; {one}" if found else one
    return found
