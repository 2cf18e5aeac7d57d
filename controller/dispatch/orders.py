"""What was told from outside: orders with an expiry, prices, and the plan. What has expired is absent."""

from __future__ import annotations

from dataclasses import dataclass

SPENT_SHARE = 0.99
"""Of what a billing window may have, this much is spent. The rest is for load steps that the battery
follows late and for the difference between two meters: without it every window would end a little above
the peak so far, and so move that peak up all month."""
CHARGED_SHARE = 0.5
"""Of a limit that a plan sets above the month's peak so far, batteries charge up to this much."""
SAME_PER_KWH = 1e-10
"""Worth that differs by less than this is the same but for rounding."""


@dataclass(frozen=True, slots=True)
class Order:
    """A number that holds until `expires_at_s` on the monotonic clock."""

    value: float
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class Orders:
    """All orders in force; limits are magnitudes in W.

    `operator_*` are the grid operator's (such as under section 14a of the German EnWG), the others come
    from the owner or an aggregator. Limits only tighten what the site file allows; `reserve_pct` may only
    be raised above the site file's. `policy` decides in place of the site file's; empty: that one does.
    """

    stop: bool = False
    policy: str = ""
    operator_import_w: Order | None = None
    operator_export_w: Order | None = None
    import_limit_w: Order | None = None
    export_limit_w: Order | None = None
    max_charge_w: Order | None = None
    max_discharge_w: Order | None = None
    reserve_pct: Order | None = None
    follow_battery_w: Order | None = None
    """Wanted battery discharge for the `follow` policy; negative charges."""
    follow_pcc_w: Order | None = None
    """Wanted PCC import for the `follow` policy; negative exports."""


NO_ORDERS = Orders()


def in_force(order: Order | None, now_s: float) -> float | None:
    """The order's value, or None when there is none or it has expired."""
    if order is None or now_s >= order.expires_at_s:
        return None
    return order.value


@dataclass(frozen=True, slots=True)
class Prices:
    """What one kWh costs from the grid and earns into it at this minute, in the site's currency."""

    import_per_kwh: float
    export_per_kwh: float


Points = tuple[tuple[float, float], ...]

LOSSLESS: Points = ((0.0, 1.0),)


@dataclass(frozen=True, slots=True)
class Plan:
    """Water values: what one more kWh in the cells is worth, over time and SoC.

    `water_values[slot][level]` in currency per kWh, for slots of `slot_s` from `begin_utc_s` on and levels
    evenly spaced from `soc_from_pct` to `soc_to_pct`. After `expires_at_utc_s`, or outside its slots, it is
    no plan. Efficiencies lead from the AC side to the cells and back, as points (W, efficiency) with
    ascending W; `wear_per_kwh` is paid for each kWh discharged. `import_targets_w`, if any, is for each slot
    the mean import that it should not exceed.
    """

    begin_utc_s: float
    slot_s: float
    water_values: tuple[tuple[float, ...], ...]
    expires_at_utc_s: float
    soc_from_pct: float = 0.0
    soc_to_pct: float = 100.0
    charge_efficiency: Points = LOSSLESS
    discharge_efficiency: Points = LOSSLESS
    wear_per_kwh: float = 0.0
    import_targets_w: tuple[float, ...] = ()

    def slot_of(self, utc_s: float) -> int | None:
        """The slot of this instant, None when the plan has none for it or says nothing in it."""
        if utc_s >= self.expires_at_utc_s or utc_s < self.begin_utc_s:
            return None
        slot = int((utc_s - self.begin_utc_s) / self.slot_s)
        return slot if slot < len(self.water_values) and self.water_values[slot] else None

    def water_value(self, slot: int, soc_pct: float) -> float:
        """Currency per kWh in this slot at this SoC, on a straight line between the two nearest levels."""
        levels, wide_pct = self.water_values[slot], self.soc_to_pct - self.soc_from_pct
        last = len(levels) - 1
        place = (soc_pct - self.soc_from_pct) / wide_pct * last if wide_pct > 0.0 else 0.0
        if place <= 0.0:
            return levels[0]
        if place >= last:
            return levels[last]
        below = int(place)
        return levels[below] + (place - below) * (levels[below + 1] - levels[below])

    def import_target_w(self, utc_s: float) -> float | None:
        """The mean import that this instant's slot should not exceed."""
        slot = self.slot_of(utc_s)
        return None if slot is None or slot >= len(self.import_targets_w) else self.import_targets_w[slot]


@dataclass(frozen=True, slots=True)
class LocalTime:
    """The wall clock at the site: trusted UTC and the local offset in force at this instant, seconds."""

    utc_s: float
    offset_s: float

    @property
    def day(self) -> int:
        """Proleptic ordinal of the local date, as `datetime.date.toordinal` counts."""
        return int((self.utc_s + self.offset_s) // 86_400) + 719_163

    @property
    def second(self) -> float:
        """Seconds on the local clock since its midnight."""
        return (self.utc_s + self.offset_s) % 86_400

    @property
    def weekday(self) -> int:
        """0 is Monday."""
        return (self.day + 6) % 7
