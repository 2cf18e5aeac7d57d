"""The meter at the PCC: exact, wired wrongly, or as slow, late, coarse and noisy as real ones are."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from math import inf
from random import Random
from typing import TYPE_CHECKING

from drivers.device import MeterReading

if TYPE_CHECKING:
    from simulators.site import House


class HouseMeter:
    """The truth at the instant it is asked; on the grid's side of the switch, so without a grid it shows 0 V.

    Its current transformers (CT) may be on wrong phases or reversed, one by one. The voltages of the others
    are a third of a turn away, so a CT on a wrong phase makes half of what flows there, with the other sign,
    if that is all real power. The counters follow what the meter sees.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._wiring: tuple[tuple[int, float], ...] = ()  # of each CT the phase and factor; empty when right
        self._import_wh = self._export_wh = 0.0
        self._counted_wh: tuple[float, ...] = ()

    def wire(self, ct: int, *, on_phase: int | None = None, reverse: bool = False) -> None:
        """Put a CT, 1 to 3, on this phase now (the right one when left out), either way round."""
        house = self._house
        on_phase = ct if on_phase is None else on_phase
        for name, number in (("ct", ct), ("on_phase", on_phase)):
            if not 1 <= number <= house.phases:
                raise ValueError(f"{name} is {number}; the house has phases 1 to {house.phases}")
        if self._wiring:
            self._count()
        else:
            self._wiring = tuple((at, 1.0) for at in range(house.phases))
            self._import_wh, self._export_wh = house.import_wh, house.export_wh
            self._counted_wh = house.phase_wh()
        factor = (1.0 if on_phase == ct else -0.5) * (-1.0 if reverse else 1.0)
        self._wiring = (*self._wiring[: ct - 1], (on_phase - 1, factor), *self._wiring[ct:])

    @property
    def lag_s(self) -> float:
        """A change has been seen twice no later than this after it happened, s."""
        return 0.0

    def reading(self, now_s: float) -> MeterReading:
        house = self._house
        house.advance(now_s)
        return self.shown(house.phase_import_w(), house.pcc_import_w)

    def shown(self, phase_import_w: tuple[float, ...], pcc_import_w: float) -> MeterReading:
        """What it shows now if this is what flows."""
        house, grid = self._house, self._house.grid
        import_wh, export_wh = house.import_wh, house.export_wh
        voltages_v = tuple([grid.phase_voltage_v(power_w) for power_w in phase_import_w])
        currents_a = [abs(w) / v if v else 0.0 for w, v in zip(phase_import_w, voltages_v, strict=True)]
        if self._wiring:
            currents_a = [currents_a[at] for at, _ in self._wiring]
            phase_import_w = tuple([phase_import_w[at] * factor for at, factor in self._wiring])
            pcc_import_w = _sum(phase_import_w)
            self._count()
            import_wh, export_wh = self._import_wh, self._export_wh
        return MeterReading(
            taken_at_s=house.now_s,
            pcc_import_w=pcc_import_w,
            phase_import_w=phase_import_w,
            phase_voltage_v=voltages_v,
            phase_current_a=tuple(currents_a),
            frequency_hz=grid.shown_hz(),
            import_wh=import_wh,
            export_wh=export_wh,
        )

    def _count(self) -> None:
        """Add what the CTs saw since the last time to the counter of its direction."""
        now_wh = self._house.phase_wh()
        seen_wh = 0.0
        for at, factor in self._wiring:
            seen_wh += (now_wh[at] - self._counted_wh[at]) * factor
        self._counted_wh = now_wh
        if seen_wh >= 0:
            self._import_wh += seen_wh
        else:
            self._export_wh -= seen_wh


@dataclass(frozen=True, slots=True)
class MeterParams:
    """What sets a meter apart from the truth.

    It measures every `period_s`, first `phase_s` after the start, and shows each value `delay_s` later, until
    the next. It `averages` over its period or takes the value at its end. Each phase has noise with a
    standard deviation of `noise_w`, from the seed, and comes in steps of `resolution_w` (0: as it is).
    """

    period_s: float
    delay_s: float = 0.0
    phase_s: float = 0.0
    averages: bool = False
    noise_w: float = 0.0
    resolution_w: float = 0.0
    seed: int | str = 0

    def __post_init__(self) -> None:
        if not 0 < self.period_s < inf:
            raise ValueError(f"period_s is {self.period_s:g}; give a number above 0")
        for name in ("delay_s", "phase_s", "noise_w", "resolution_w"):
            if not 0 <= getattr(self, name) < inf:
                raise ValueError(f"{name} is {getattr(self, name):g}; give a number of at least 0")


class SlowMeter(HouseMeter):
    """A meter that measures at its own instants; the house stops at each of them, whoever moves it."""

    def __init__(self, house: House, params: MeterParams) -> None:
        super().__init__(house)
        self._params = params
        self._random = Random(f"{params.seed}:meter")
        self._began_s = house.now_s + params.phase_s % params.period_s
        self._samples = 0
        self._before_wh = house.phase_wh()
        self._before_s = house.now_s
        self._coming: deque[MeterReading] = deque()
        self._shown = self._coarse(self.shown(house.phase_import_w(), house.pcc_import_w))
        self.next_s = self._began_s
        house.sampled_by(self)

    def sample(self, now_s: float) -> None:
        """Measure; the house calls it at `next_s`."""
        house = self._house
        phase_import_w, pcc_import_w = house.phase_import_w(), house.pcc_import_w
        seconds = now_s - self._before_s
        if self._params.averages and seconds > 0:
            flown_wh, self._before_wh = self._before_wh, house.phase_wh()
            hours = seconds * house.speed / 3600
            phase_import_w = tuple(
                [(after - before) / hours for after, before in zip(self._before_wh, flown_wh, strict=True)]
            )
            pcc_import_w = _sum(phase_import_w)
        self._before_s = now_s
        self._coming.append(self._coarse(self.shown(phase_import_w, pcc_import_w)))
        self._samples += 1
        self.next_s = self._began_s + self._samples * self._params.period_s

    @property
    def lag_s(self) -> float:
        """The same of one that measures now and again, and shows it later."""
        return 2.0 * self._params.period_s + self._params.delay_s

    def reading(self, now_s: float) -> MeterReading:
        """The newest value that can be seen at `now_s`; it looks as if it were measured then."""
        self._house.advance(now_s)
        while self._coming and self._coming[0].taken_at_s + self._params.delay_s <= now_s:
            self._shown = self._coming.popleft()
        return replace(self._shown, taken_at_s=now_s)

    def _coarse(self, reading: MeterReading) -> MeterReading:
        params = self._params
        if not params.noise_w and not params.resolution_w:
            return reading
        phase_import_w = []
        for value_w in reading.phase_import_w:
            if params.noise_w and reading.frequency_hz:
                value_w += params.noise_w * _bell(self._random)
            if params.resolution_w:
                value_w = params.resolution_w * round(value_w / params.resolution_w)
            phase_import_w.append(value_w)
        return replace(reading, phase_import_w=tuple(phase_import_w), pcc_import_w=_sum(phase_import_w))


def _bell(random: Random) -> float:
    """About normal, mean 0 and deviation 1: twelve uniform numbers, the same bits everywhere."""
    value = -6.0
    for _ in range(12):
        value += random.random()
    return value


def _sum(values: tuple[float, ...] | list[float]) -> float:
    """A plain sum: the built-in one rounds differently from Python 3.12 on."""
    total = 0.0
    for value in values:
        total += value
    return total
