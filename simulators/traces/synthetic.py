"""An invented European home and its PV, day by day from a seed: the same seed and date give the same day.

The load is a base, a fridge, light and media that follow the hour, and appliances with sharp edges: kettle,
hob, oven, washing machine, tumble dryer, dishwasher. The PV is clear-sky geometry under clear, broken or
overcast weather. Local time is standard time all year; a day has 24 hours.

Only `Random.random` is drawn from: its sequence is promised to stay the same between versions of Python.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from math import acos, asin, cos, exp, floor, log, pi, radians, sin
from random import Random

DAY_S = 86_400

Steps = tuple[list[float], list[float]]
"""A day: instants since midnight, the first 0, and the value from each on."""


class SyntheticHouse:
    """Load and PV of one home; trace time 0 is local midnight at the start of `first_day`.

    `resolution_s` is the least time between two edges, a whole part of a day; coarser than 1 s, values
    are means over it. `load_kwh_per_year` is about what comes out; `latitude_deg` is north.
    """

    def __init__(
        self,
        seed: int | str,
        *,
        first_day: date = date(2024, 1, 1),
        load_kwh_per_year: float = 4000.0,
        pv_peak_w: float = 6000.0,
        latitude_deg: float = 50.0,
        resolution_s: int = 1,
    ) -> None:
        if resolution_s < 1 or DAY_S % resolution_s:
            raise ValueError(f"resolution_s is {resolution_s}; give whole seconds that divide a day")
        if load_kwh_per_year < 0 or pv_peak_w < 0:
            raise ValueError("load_kwh_per_year and pv_peak_w are at least 0")
        if not -65 <= latitude_deg <= 65:
            raise ValueError(f"latitude_deg is {latitude_deg:g}; give -65 to 65: there the sun rises daily")
        scale = load_kwh_per_year / 4000

        def load_day(number: int) -> Steps:
            day = first_day + timedelta(days=number)
            return _coarser(load_steps(Random(f"{seed}:{day}:load"), day, scale), resolution_s)

        def pv_day(number: int) -> Steps:
            day = first_day + timedelta(days=number)
            return _coarser(pv_steps(Random(f"{seed}:{day}:pv"), day, pv_peak_w, latitude_deg), resolution_s)

        self.load = DayTrace(load_day)
        self.pv = DayTrace(pv_day)


class DayTrace:
    """A trace made a day at a time, when first asked for; keeps the day last used."""

    __slots__ = ("_day", "_edge_s", "_make", "_since_s", "_starts_s", "_value", "_values")

    def __init__(self, make: Callable[[int], Steps]) -> None:
        self._make = make
        self._day: int | None = None
        self._starts_s: list[float] = []
        self._values: list[float] = []
        self._since_s = self._edge_s = 0.0  # the step last asked for, in trace time
        self._value = 0.0

    def at(self, t_s: float) -> float:
        if not self._since_s <= t_s < self._edge_s:
            self._seek(t_s)
        return self._value

    def next_edge_s(self, t_s: float) -> float:
        if not self._since_s <= t_s < self._edge_s:
            self._seek(t_s)
        return self._edge_s

    def _seek(self, t_s: float) -> None:
        day = floor(t_s / DAY_S)
        if day != self._day:
            self._starts_s, self._values = self._make(day)
            self._day = day
        midnight_s = day * DAY_S
        index = bisect_right(self._starts_s, t_s - midnight_s)
        self._value = self._values[index - 1]
        self._since_s = midnight_s + self._starts_s[index - 1]
        self._edge_s = midnight_s + (self._starts_s[index] if index < len(self._starts_s) else DAY_S)


def _coarser(steps: Steps, resolution_s: int) -> Steps:
    """The means over every `resolution_s`; finer steps than that are gone."""
    starts_s, values = steps
    if all(start_s % resolution_s == 0 for start_s in starts_s):
        return steps
    ends_s = [*starts_s[1:], float(DAY_S)]
    energies_ws = [0.0] * (DAY_S // resolution_s)
    for start_s, end_s, value in zip(starts_s, ends_s, values, strict=True):
        first, last = int(start_s // resolution_s), int((end_s - 1) // resolution_s)
        for bin_number in range(first, last + 1):
            bin_s = bin_number * resolution_s
            overlap_s = min(end_s, bin_s + resolution_s) - max(start_s, bin_s)
            energies_ws[bin_number] += value * overlap_s
    return (
        [float(number * resolution_s) for number in range(len(energies_ws))],
        [energy_ws / resolution_s for energy_ws in energies_ws],
    )


# --- Load ---------------------------------------------------------------------------------------------


class _Day:
    """Collects what is switched on and off in a day, in whole seconds."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._changes_w: dict[int, float] = {}

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._random.random()

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    def use(self, start_s: float, length_s: float, power_w: float) -> float:
        """Draw `power_w` for a while, cut at midnight; gives the end."""
        start, end = int(start_s), int(start_s + length_s)
        if start < DAY_S:
            self._changes_w[start] = self._changes_w.get(start, 0.0) + power_w
            self._changes_w[end] = self._changes_w.get(end, 0.0) - power_w
        return end

    def steps(self, scale: float) -> Steps:
        power_w = 0.0
        starts_s, values = [], []
        for start in sorted(self._changes_w):
            if start >= DAY_S:
                break
            power_w += self._changes_w[start]
            starts_s.append(float(start))
            values.append(max(round(power_w, 3), 0.0) * scale)
        return starts_s, values


def load_steps(random: Random, day: date, scale: float) -> Steps:
    """The load of one day, W."""
    house = _Day(random)
    weekend = day.weekday() >= 5
    house.use(0, DAY_S, house.between(135, 165))
    _fridge(house)
    _light_and_media(house, _darkness(day), weekend)
    up_s = (house.between(7.5, 9.0) if weekend else house.between(6.2, 7.0)) * 3600
    _kettle(house, up_s + house.between(300, 1500))
    if house.chance(0.5):
        house.use(up_s + house.between(300, 1800), house.between(180, 480), 1400)  # hair dryer, toaster
    if weekend or house.chance(0.3):
        _cooking(house, house.between(11.8, 12.8) * 3600, house.between(900, 1800))
        _kettle(house, house.between(14.5, 16.5) * 3600)
    dinner_s = house.between(17.6, 19.2) * 3600
    _cooking(house, dinner_s, house.between(1500, 2700))
    if house.chance(0.35):
        _oven(house, dinner_s - 600, house.between(2100, 3600))
    _kettle(house, dinner_s + house.between(4500, 7200))
    if house.chance(0.65):
        _dishwasher(house, dinner_s + house.between(3600, 6000))
    if house.chance(0.6 if weekend else 0.4):
        start_s = (house.between(9.5, 14.0) if weekend else house.between(16.5, 19.5)) * 3600
        end_s = _washing_machine(house, start_s)
        if house.chance(0.5):
            _dryer(house, end_s + house.between(300, 1200))
    return house.steps(scale)


def _darkness(day: date) -> float:
    """0 at midsummer, 1 at midwinter (north)."""
    return 0.5 + 0.5 * cos(2 * pi * (day.timetuple().tm_yday + 10) / 365)


def _fridge(house: _Day) -> None:
    at_s = -house.between(0, 1500)
    while at_s < DAY_S:
        on_s = house.between(840, 1080)
        if at_s + on_s > 0:
            house.use(max(at_s, 0), on_s + min(at_s, 0), 95)
        at_s += on_s + house.between(1500, 2100)


def _light_and_media(house: _Day, darkness: float, weekend: bool) -> None:
    """Hour by hour in pieces of 10 to 20 minutes, as people go from room to room."""
    at_s = 6.25 * 3600 + house.between(0, 1800)
    bed_s = (23.3 if weekend else 22.6) * 3600 + house.between(0, 1800)
    while at_s < bed_s:
        hour = at_s / 3600
        if hour < 8.5:
            mean_w = 90 + 180 * darkness
        elif hour < 16.5:
            mean_w = 200 if weekend else 110
        else:
            mean_w = 250 + 260 * darkness
        at_s = house.use(at_s, house.between(600, 1200), mean_w * house.between(0.5, 1.5))


def _kettle(house: _Day, start_s: float) -> None:
    house.use(start_s, house.between(120, 240), 2200)


def _cooking(house: _Day, start_s: float, length_s: float) -> None:
    """A hob: full at first, then the thermostat cycles it."""
    end_s = start_s + length_s
    at_s = house.use(start_s, house.between(240, 420), 1800)
    while at_s < end_s:
        on_s = house.between(15, 40)
        house.use(at_s, on_s, 1800)
        at_s += on_s + house.between(20, 60)


def _oven(house: _Day, start_s: float, length_s: float) -> None:
    end_s = start_s + length_s
    at_s = house.use(start_s, house.between(480, 660), 2500)
    while at_s < end_s:
        on_s = house.between(40, 80)
        house.use(at_s, on_s, 2500)
        at_s += on_s + house.between(100, 180)


def _dishwasher(house: _Day, start_s: float) -> None:
    at_s = house.use(start_s, 480, 60)
    at_s = house.use(at_s, house.between(780, 960), 2050)
    at_s = house.use(at_s, house.between(1800, 2400), 70)
    at_s = house.use(at_s, house.between(540, 720), 2050)
    house.use(at_s, 900, 15)


def _washing_machine(house: _Day, start_s: float) -> float:
    at_s = house.use(start_s, 300, 90)
    at_s = house.use(at_s, house.between(780, 1140), 2000)
    end_s = at_s + house.between(2400, 3000)
    while at_s < end_s:
        at_s = house.use(at_s, house.between(25, 50), house.between(150, 320))
        at_s = house.use(at_s, 8, 20)
    return house.use(at_s, 420, 480)


def _dryer(house: _Day, start_s: float) -> None:
    at_s = house.use(start_s, house.between(1500, 2100), 2100)
    for _ in range(5):
        at_s = house.use(at_s, house.between(120, 180), 2100)
        at_s = house.use(at_s, house.between(60, 120), 200)


# --- PV -----------------------------------------------------------------------------------------------

PV_STEP_S = 60
TILT_RAD = radians(35)
PERFORMANCE = 0.85
"""Share of the nominal power at nominal light that reaches the AC side: heat, dirt, wiring, inverter."""


@dataclass(frozen=True, slots=True)
class _Weather:
    clear_share: float  # of the day's sun that gets through between the clouds
    shade_share: float  # below a cloud
    gap_s: float  # mean time between two clouds
    cloud_s: float  # mean time a cloud lasts


_CLEAR = _Weather(clear_share=1.0, shade_share=0.7, gap_s=7200, cloud_s=120)
_BROKEN = _Weather(clear_share=0.98, shade_share=0.32, gap_s=420, cloud_s=300)
_OVERCAST = _Weather(clear_share=0.3, shade_share=0.12, gap_s=1500, cloud_s=2400)


def pv_steps(random: Random, day: date, peak_w: float, latitude_deg: float) -> Steps:
    """The PV of one day, W: in minutes while the sun is up."""
    weather = _weather(random, latitude_deg, day)
    declination = radians(23.45) * sin(2 * pi * (284 + day.timetuple().tm_yday) / 365)  # Cooper, 1969
    latitude = radians(latitude_deg)
    half_day_s = acos(-sin(latitude) / cos(latitude) * sin(declination) / cos(declination)) / pi * DAY_S / 2
    first = floor((DAY_S / 2 - half_day_s) / PV_STEP_S) + 1
    last = floor((DAY_S / 2 + half_day_s) / PV_STEP_S)
    shares = _cloud_shares(random, weather, last - first)
    starts_s, values = [0.0], [0.0]
    for minute, share in zip(range(first, last), shares, strict=True):
        noon_angle = 2 * pi * ((minute + 0.5) * PV_STEP_S / DAY_S - 0.5)
        light = _light_on_panel(latitude, declination, noon_angle)
        starts_s.append(float(minute * PV_STEP_S))
        values.append(min(peak_w * light * PERFORMANCE * share, peak_w))
    starts_s.append(float(last * PV_STEP_S))
    values.append(0.0)
    return starts_s, values


def _weather(random: Random, latitude_deg: float, day: date) -> _Weather:
    """Winters are greyer than summers."""
    winter = _darkness(day) if latitude_deg >= 0 else 1 - _darkness(day)
    draw = random.random()
    if draw < 0.34 - 0.16 * winter:
        return _CLEAR
    return _BROKEN if draw < 0.76 - 0.31 * winter else _OVERCAST


def _cloud_shares(random: Random, weather: _Weather, minutes: int) -> list[float]:
    """For each minute, the share of the clear sky's light that gets through."""
    shares: list[float] = []
    in_shade = random.random() < weather.cloud_s / (weather.cloud_s + weather.gap_s)
    while len(shares) < minutes:
        mean_s = weather.cloud_s if in_shade else weather.gap_s
        length = 1 + int(-mean_s / PV_STEP_S * log(1 - random.random()))
        draw = random.random()
        shade, clear = weather.shade_share * (0.8 + 0.4 * draw), weather.clear_share * (0.94 + 0.08 * draw)
        share = shade if in_shade else clear
        shares.extend([share] * length)
        in_shade = not in_shade
    return shares[:minutes]


def _light_on_panel(latitude: float, declination: float, noon_angle: float) -> float:
    """Clear-sky light on the tilted panel, 1 at 1000 W/m2.

    Direct light by Meinel and Meinel (1976): 1353 W/m2 * 0.7 ** (air mass ** 0.678); air mass by Kasten
    and Young (1989); diffuse light a tenth of the direct.
    """
    across = cos(declination) * cos(noon_angle)
    height_sin = sin(latitude) * sin(declination) + cos(latitude) * across
    if height_sin <= 0:
        return 0.0
    height_deg = asin(height_sin) * 180 / pi
    air_mass = 1 / (height_sin + 0.50572 * (height_deg + 6.07995) ** -1.6364)
    direct = 1.353 * exp(air_mass**0.678 * log(0.7))
    facing = latitude - TILT_RAD if latitude >= 0 else latitude + TILT_RAD
    incidence_cos = max(sin(declination) * sin(facing) + cos(facing) * across, 0.0)
    return direct * (incidence_cos + 0.1 * (1 + cos(TILT_RAD)) / 2)
