"""The messages on MQTT as pydantic models: the public schema, and nothing else.

A later version may add keys and never changes or removes one.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from controller.dispatch.modes import Mode


class Message(BaseModel):
    """A message of the public schema: JSON on MQTT; a later version may add keys, never change them."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StateMessage(Message):
    """`state`: the whole site and the decision of one cycle. Positive power feeds the site."""

    at: str | None = Field(description="UTC, ISO 8601; null while the clock is not known")
    seq: int = Field(description="cycle number since the start")
    mode: Mode
    policy: str
    pcc_import_w: float | None = Field(description="negative while exporting")
    load_w: float | None
    pv_generation_w: float | None
    battery_discharge_w: float | None = Field(description="all batteries; negative while charging")
    soc_pct: float | None = Field(description="all batteries, by capacity")
    setpoint_w: float = Field(description="total battery discharge ordered")
    wanted_w: float = Field(description="what the policy asked for")
    limited_by: str = Field(description="the limit that bound; empty when none did")
    limited_w: float = Field(description="what that limit took from wanted_w")
    reason: str
    peak_forecast_w: float | None = Field(description="mean import of this billing window, as things stand")
    autonomy_h: float | None = Field(description="how long the batteries carry the house without the grid")
    loads_shed: int = Field(description="how many switched loads are off")
    age_s: dict[str, float | None] = Field(description="age of each device's reading; null: never read")
    start_jitter_ms: float
    read_ms: float
    decide_ms: float
    overruns: int


class DeviceMessage(Message):
    """`device/<id>`: one device, what it says and how reading and ordering it goes."""

    id: str
    profile: str
    online: bool
    error: str = Field(description="why it is offline, or why the last order failed; empty when all is well")
    age_s: float | None
    readings: dict[str, float | bool | list[float] | None]
    setpoint_w: float | None = Field(description="our order; null when released, uncapped, or a meter")
    outcome: str = Field(description="applied, clamped, ignored, reverted, foreign, pending, or empty")
    reads: int
    failures: int
    writes: int
    write_failures: int
    lease_s: float | None = Field(description="after this silence the device forgets our order; null: never")


class DemandMessage(Message):
    """`demand`: the billing window that runs, and the month's highest so far."""

    at: str | None = Field(description="UTC, ISO 8601; null while the clock is not known")
    window_begin: str | None = Field(description="UTC; null while no window is known to be the biller's")
    window_s: int
    window_import_wh: float = Field(description="imported in this window so far")
    watched: bool = Field(description="whether this window was counted from its begin without a gap")
    forecast_w: float | None = Field(description="mean import this window will have had, as things stand")
    month_peak_w: float = Field(description="the highest mean of a whole window this month")
    target_w: float = Field(description="what the owner wants to stay below")
