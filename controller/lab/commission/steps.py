"""Moves one battery a little, up and down, and looks what battery and meter make of it.

Charging comes first: importing a little more harms nobody, whatever the meter's sign is. The first steps are
a tenth of the consent, so that not even a scale that is ten times off goes beyond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from controller.lab.commission.bench import Bench, Beyond, CutShort, Lost, NoRoom, Sample
from controller.lab.commission.evidence import Transition, goes_beyond, is_enough, of_meter

FIRST_PART = 0.1
FEWEST_W = 50.0
FIRST_STEPS, MOST_STEPS = 4, 24
QUICK_S, QUICK_EVERY_S, EVERY_S = 5.0, 0.25, 0.5
STEADY_S, STEADY_SHARE, STEADY_W = 2.0, 0.05, 15.0
UNMOVED_S, LONGEST_S = 15.0, 90.0
"""A battery that has not moved by then does not; one that still moves gets the longer time."""
WINDOW_S = 3.0
LATEST_S = 15.0
SEEN = 0.5
WAIT_FOR_ROOM_S, ROOM_TRIES = 5.0, 6
REFUSED_TIMES = 3
DISPUTES = ("ignored", "reverted", "foreign")


@dataclass(slots=True)
class Stepped:
    """What came of it; `cut_short` says why there was no more, empty if there was enough."""

    first: list[Transition] = field(default_factory=list)
    steps: list[Transition] = field(default_factory=list)
    orders_at: list[tuple[float, float, float]] = field(default_factory=list)
    """Each order: when it was given, what it was, and what the battery did just before."""
    cut_short: str = ""
    is_wrong: bool = False
    """Whether what cut it short has to be mended, rather than waited for."""
    dispute: str = ""
    """The outcome by which the driver saw that orders are not held; empty if they are."""

    @property
    def all(self) -> list[Transition]:
        """Those of the tenth, too."""
        return [*self.first, *self.steps]


@dataclass(frozen=True, slots=True)
class _Plateau:
    order_w: float
    battery_w: float
    import_w: float
    phase_import_w: tuple[float, ...]


async def stepped(bench: Bench, index: int, meter_period_s: float, told: Callable[[str], None]) -> Stepped:
    """Steps until sign and scale are known; the battery rests at the end, and is not yet released."""
    found = Stepped()
    walk = _Walk(bench, index, meter_period_s, found)
    try:
        told(f"trying {FIRST_PART:.0%} of the consented power")
        small_w = max(FIRST_PART * bench.terms.consent_w, min(FEWEST_W, bench.terms.consent_w))
        await walk.up_and_down(found.first, FIRST_STEPS, small_w, lambda steps: False)
        if goes_beyond(found.first) or found.dispute:
            return found
        told("steps of charging and discharging")
        await walk.up_and_down(found.steps, FIRST_STEPS, bench.terms.consent_w, lambda steps: False)
        if not (of_meter(found.steps).is_sure and abs(of_meter(found.steps).value) > SEEN):
            told("steps again, slower: the load is restless, or the meter late")
            found.steps.clear()
            walk.slow_down()
        await walk.up_and_down(found.steps, MOST_STEPS, bench.terms.consent_w, is_enough)
    except CutShort as reason:
        found.cut_short, found.is_wrong = str(reason), isinstance(reason, Beyond | Lost)
    return found


class _Walk:
    def __init__(self, bench: Bench, index: int, meter_period_s: float, found: Stepped) -> None:
        self._bench = bench
        self._index = index
        self._found = found
        meter = bench.config.dispatch.meter
        period_s = max(meter_period_s, meter.period_s)
        self._meter_lag_s = period_s + max(meter.delay_s, 1.0)
        self._window_s = max(WINDOW_S, 2.0 * period_s)
        self._at: _Plateau | None = None
        self._disputes = 0

    def slow_down(self) -> None:
        """Give the meter as much time as the latest of them needs."""
        self._meter_lag_s, self._window_s = (
            max(self._meter_lag_s, LATEST_S),
            max(self._window_s, 2 * WINDOW_S),
        )

    async def up_and_down(
        self,
        into: list[Transition],
        most: int,
        most_w: float,
        enough: Callable[[Sequence[Transition]], bool],
    ) -> None:
        """0, charge, 0, discharge and so on, as far as there is room, into `into`."""
        if self._at is None:
            self._at = await self._plateau(0.0)
        charges, tries = True, 0
        while len(into) < most and not enough(into) and not self._disputed():
            order_w = self._next_w(charges, most_w)
            charges = not charges
            if order_w == 0.0:
                tries += 1
                if tries > ROOM_TRIES * 2:
                    raise CutShort(
                        "there is no room to charge or to discharge: SoC, BMS or the limits of [grid]"
                    )
                await self._rest(WAIT_FOR_ROOM_S / 2)
                continue
            tries = 0
            try:
                for target_w in (order_w, 0.0):
                    before, self._at = self._at, await self._plateau(target_w)
                    if self._disputed():
                        return
                    into.append(_transition(before, self._at))
            except NoRoom:
                self._at = await self._plateau(0.0)
            self._bench.sign_known |= (
                len(into) >= FIRST_STEPS and of_meter(into).is_sure and of_meter(into).near(1.0)
            )

    def _next_w(self, charges: bool, most_w: float) -> float:
        """The next order in this direction; 0 when there is no room for a useful one."""
        sample = self._bench.samples[self._bench.batteries[self._index].facts.id][-1]
        charge_w, discharge_w = self._bench.room_w(self._index, sample)
        size_w = min(most_w, charge_w if charges else discharge_w)
        if size_w < min(most_w, max(FEWEST_W, 0.2 * most_w)):
            return 0.0
        return -size_w if charges else size_w

    async def _plateau(self, order_w: float) -> _Plateau:
        """Order it, wait until battery and meter have settled, and take the mean of what they show then."""
        began_s = _now_s()
        samples = self._bench.samples[self._bench.batteries[self._index].facts.id]
        before_w = samples[-1].battery.battery_discharge_w if samples else 0.0
        await self._bench.order(self._index, order_w)
        self._found.orders_at.append((began_s, order_w, before_w))
        seen: list[Sample] = []
        while not _has_settled(seen, began_s, before_w, order_w):
            seen.append(await self._look())
            if self._disputed():
                break
            await asyncio.sleep(QUICK_EVERY_S if _now_s() - began_s < QUICK_S else EVERY_S)
        await self._rest(self._meter_lag_s)
        window = await self._rest(self._window_s)
        return _Plateau(
            order_w,
            median(one.battery.battery_discharge_w for one in window),
            median(one.meter.pcc_import_w for one in window),
            _phase_medians(window),
        )

    async def _rest(self, seconds: float) -> list[Sample]:
        """Samples over so many seconds; at least one."""
        until_s = _now_s() + seconds
        seen = [await self._look()]
        while _now_s() < until_s and not self._disputed():
            await asyncio.sleep(EVERY_S)
            seen.append(await self._look())
        return seen

    def _disputed(self) -> bool:
        return self._found.dispute != ""

    async def _look(self) -> Sample:
        sample = await self._bench.look(self._index)
        refused = self._bench.order_trouble.get(self._bench.batteries[self._index].facts.id, "")
        self._disputes = self._disputes + 1 if sample.outcome in DISPUTES and refused else 0
        if self._disputes >= REFUSED_TIMES:
            self._found.dispute = sample.outcome
        return sample


def _has_settled(seen: Sequence[Sample], began_s: float, before_w: float, order_w: float) -> bool:
    """Whether the battery has moved and stands still again, or does not move at all."""
    if not seen:
        return False
    now_s, step_w = seen[-1].at_s, abs(order_w - before_w)
    newest = [one.battery.battery_discharge_w for one in seen if one.at_s >= now_s - STEADY_S]
    steady = now_s - began_s >= STEADY_S and max(newest) - min(newest) <= max(STEADY_SHARE * step_w, STEADY_W)
    moved = abs(newest[-1] - before_w) >= 0.5 * step_w
    if steady and (moved or now_s - began_s >= UNMOVED_S):
        return True
    return now_s - began_s >= LONGEST_S


def _transition(before: _Plateau, after: _Plateau) -> Transition:
    return Transition(
        after.order_w - before.order_w,
        after.battery_w - before.battery_w,
        before.import_w - after.import_w,
        tuple(was - now for was, now in zip(before.phase_import_w, after.phase_import_w, strict=False)),
    )


def _phase_medians(window: Sequence[Sample]) -> tuple[float, ...]:
    number = min(len(one.meter.phase_import_w) for one in window)
    return tuple(median(one.meter.phase_import_w[phase] for one in window) for phase in range(number))


def _now_s() -> float:
    return asyncio.get_running_loop().time()
