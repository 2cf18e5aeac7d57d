"""What `step` answers: the decision, said in parts for machines and in a sentence for the owner."""

from __future__ import annotations

from dataclasses import dataclass

from controller.dispatch.limits import Latches
from controller.dispatch.modes import Mode


@dataclass(frozen=True, slots=True)
class Memory:
    """All that the controller remembers from one cycle to the next."""

    mode: Mode = Mode.STARTING
    fresh_since_s: float | None = None
    decided_at_s: float | None = None
    taken_at_s: float = float("-inf")
    wanted_w: float = 0.0
    limited_by: str = ""
    setpoint_w: float = 0.0
    battery_setpoints_w: tuple[float, ...] = ()
    pv_caps_w: tuple[float | None, ...] = ()
    latches: tuple[Latches, ...] = ()
    soft_start: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What the devices shall do now, and why.

    `battery_setpoints_w` and `pv_caps_w` follow the order of the config. A battery setpoint of None
    means: release it to its own program; a PV cap of None: no cap. `limited_w` is what the limit named
    by `limited_by` took from `wanted_w`; `missing` says which reading was lost, or which fault latched.
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

    @property
    def reason(self) -> str:
        """The decision as a sentence an owner understands."""
        if self.mode is not Mode.RUNNING:
            return f"{_RESTING[self.mode]}: {self.missing}" if self.missing else _RESTING[self.mode]
        parts = [_doing(self.setpoint_w)]
        if self.limited_by:
            parts.append(_LIMITS[self.limited_by].format(watts=abs(self.limited_w), reserve=self.reserve_pct))
        elif self.setpoint_w > 0.0 and self.reserve_pct > 0.0:
            parts.append(f"reserve {self.reserve_pct:g} % not touched")
        caps_w = [cap_w for cap_w in self.pv_caps_w if cap_w is not None]
        if caps_w:
            parts.append(f"PV held to {sum(caps_w):.0f} W, no room for more")
        return "; ".join(parts)


def _doing(setpoint_w: float) -> str:
    if setpoint_w > 0.0:
        return "covering the house"
    return "storing the surplus" if setpoint_w < 0.0 else "battery at rest"


_LIMITS = {
    "rating": "the battery's rating holds {watts:.0f} W back",
    "full": "the battery is full, {watts:.0f} W left over",
    "empty": "the battery is empty, {watts:.0f} W come from the grid",
    "import_limit": "import limit asks for {watts:.0f} W more",
    "export_limit": "export limit holds {watts:.0f} W back",
    "reserve": "reserve {reserve:g} % kept, {watts:.0f} W come from the grid",
    "ramp": "{watts:.0f} W still to come, ramping",
}
"""What each limit says; every name a limit can have stands here."""

_RESTING = {
    Mode.STARTING: "starting, batteries at 0 W until the readings have proved themselves",
    Mode.RUNNING: "",
    Mode.HOLDING: "holding the last setpoint",
    Mode.SAFE: "safe, batteries at 0 W",
    Mode.ISLANDED: "grid lost, the inverter carries the house by itself",
    Mode.STOPPED: "stopped, devices run their own programs",
    Mode.FAULT: "fault, batteries at 0 W until somebody clears it",
}
