"""What `step` answers: the decision, said in parts for machines and in a sentence for the owner."""

from __future__ import annotations

from controller.dispatch.blind import SEES, Blind
from controller.dispatch.care import CareState
from controller.dispatch.demand import DemandState
from controller.dispatch.following import Followings
from controller.dispatch.islanding import IslandState
from controller.dispatch.limits import Latches
from controller.dispatch.modes import Mode
from controller.dispatch.phase_loads import NO_PHASES, PhaseLoads
from controller.dispatch.plausible import NO_DOUBT, Doubt
from controller.dispatch.pv_trim import EXACT_PV, PvTrim
from controller.dispatch.response import NOTHING_HEARD, Response
from controller.dispatch.shortfall import NO_SHORTFALL, Shortfall
from controller.dispatch.soc import Charges
from controller.dispatch.trim import Trims
from drivers.fact import fact


@fact
class Memory:
    """All that the controller remembers from one cycle to the next.

    `fresh_since_s` is since when readings have been good without a gap, `fresh_at_s` when they last were.
    `heard` is for each battery the order it had when it was last heard, W, and when that was. `ramped_w` is
    how far the ramp has come: what was to be ordered before inverters that cannot hold so little rested.
    `battery_setpoints_w` is what the batteries are meant to do, and `orders_w` what was ordered for it.
    `held_since_s` is since when HOLDING has lasted.
    """

    mode: Mode = Mode.STARTING
    fresh_since_s: float | None = None
    fresh_at_s: float = float("-inf")
    decided_at_s: float | None = None
    response: Response = NOTHING_HEARD
    doubt: Doubt = NO_DOUBT
    policy: str = ""
    wanted_w: float = 0.0
    setpoint_w: float = 0.0
    battery_setpoints_w: tuple[float, ...] = ()
    heard: tuple[tuple[float, float], ...] = ()
    pv_caps_w: tuple[float | None, ...] = ()
    latches: tuple[Latches, ...] = ()
    soft_start: bool = False
    demand: DemandState | None = None
    care: tuple[CareState, ...] = ()
    island: IslandState | None = None
    charges: Charges = ()
    ramped_w: float = 0.0
    followings: Followings = ()
    shortfall: Shortfall = NO_SHORTFALL
    trims: Trims = ()
    orders_w: tuple[float, ...] = ()
    pv_trim: PvTrim = EXACT_PV
    held_since_s: float | None = None
    phase_loads: PhaseLoads = NO_PHASES
    blind: Blind = SEES


@fact
class Heard:
    """What one snapshot leaves to be remembered in every mode, and whether a SoC in it is in doubt."""

    fresh_since_s: float | None
    fresh_at_s: float
    response: Response
    doubt: Doubt
    island: IslandState | None
    charges: Charges
    soc_doubted: bool
    blind: Blind


@fact
class Decision:
    """What the devices shall do now, and why.

    `battery_setpoints_w` and `pv_caps_w` follow the order of the config. Battery setpoints are what to
    order: for imprecise inverters (`trim.py`) their sum is not quite `setpoint_w`, what is meant. None
    means: release it to its own program; a PV cap of None: no cap. `loads_closed` is for the switches.
    `limited_w` is what the limit named by `limited_by` took from `wanted_w`; `missing` says which reading
    was lost, or which fault latched; `note` what care, a question to the meter or a SoC in doubt added.
    """

    mode: Mode
    policy: str
    wanted_w: float
    setpoint_w: float
    battery_setpoints_w: tuple[float | None, ...]
    pv_caps_w: tuple[float | None, ...] = ()
    limited_by: str = ""
    limited_w: float = 0.0
    missing: str = ""
    reserve_pct: float = 0.0
    note: str = ""
    loads_closed: tuple[bool, ...] = ()
    peak_forecast_w: float | None = None
    autonomy_h: float | None = None

    @property
    def reason(self) -> str:
        """The decision as a sentence an owner understands."""
        if self.mode is not Mode.RUNNING:
            parts = [f"{_RESTING[self.mode]}: {self.missing}" if self.missing else _RESTING[self.mode]]
        else:
            side = _side(self.setpoint_w)
            only_limited = self.limited_by and side != _side(self.wanted_w)
            parts = [_ONLY_LIMITED[side] if only_limited else _DOING[self.policy][side]]
            if self.limited_by:
                watts = abs(self.limited_w)
                parts.append(_LIMITS[self.limited_by].format(watts=watts, reserve=self.reserve_pct))
            elif self.setpoint_w > 0.0 and self.reserve_pct > 0.0:
                parts.append(f"reserve {self.reserve_pct:g} % not touched")
        if self.note:
            parts.append(self.note)
        caps_w = [cap_w for cap_w in self.pv_caps_w if cap_w is not None]
        if caps_w:
            parts.append(f"PV held to at most {_sum(caps_w):.0f} W")
        if not all(self.loads_closed):
            parts.append(f"{self.loads_closed.count(False)} load(s) shed")
        return "; ".join(parts)


def _sum(values: list[float]) -> float:
    whole = 0.0
    for value in values:
        whole += value
    return whole


def _side(setpoint_w: float) -> int:
    """0 discharging, 1 charging, 2 at rest."""
    return 0 if setpoint_w > 0.0 else 1 if setpoint_w < 0.0 else 2


_DOING = {
    "self_consumption": ("covering the house", "storing the surplus", "battery at rest"),
    "economic": ("discharging while dear", "charging while cheap", "waiting for a better price"),
    "schedule": ("discharging by schedule", "charging by schedule", "resting by schedule"),
    "follow": ("discharging as ordered", "charging as ordered", "resting as ordered"),
    "standby": ("discharging", "filling up for an outage", "kept full for an outage"),
}
"""What each policy does, by the side of the setpoint."""

_ONLY_LIMITED = ("discharging only for a limit", "charging only for a limit", "battery at rest")
"""What is done where the policy wants the other direction, or to rest, and a limit decides."""

_LIMITS = {
    "rating": "the battery's rating holds {watts:.0f} W back",
    "full": "the battery is full, {watts:.0f} W left over",
    "empty": "the battery is empty, {watts:.0f} W come from the grid",
    "fuse": "a fuse holds {watts:.0f} W back",
    "import_limit": "import limit asks for {watts:.0f} W",
    "export_limit": "export limit holds {watts:.0f} W back",
    "operator_import": "the grid operator's import order asks for {watts:.0f} W",
    "operator_export": "the grid operator's export order holds {watts:.0f} W back",
    "reserve": "reserve {reserve:g} % holds {watts:.0f} W back",
    "demand": "{watts:.0f} W against a new peak in this billing window",
    "order": "an order from outside holds {watts:.0f} W back",
    "ramp": "{watts:.0f} W still to come, ramping",
    "min_power": "{watts:.0f} W are too little for the inverter",
}
"""What each limit says; every name a limit can have stands here."""

_RESTING = {
    Mode.STARTING: "starting, batteries at 0 W until the readings have proved themselves",
    Mode.HOLDING: "holding the last setpoint",
    Mode.SAFE: "safe, batteries at 0 W",
    Mode.ISLANDED: "grid lost, the inverter carries the house by itself",
    Mode.STOPPED: "stopped, devices run their own programs",
    Mode.FAULT: "fault, batteries at 0 W until somebody clears it",
}
