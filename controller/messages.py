"""The messages on MQTT as pydantic models: the public schema, and nothing else.

A later version may add keys and never changes or removes one.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.dispatch.modes import Mode


class Message(BaseModel):
    """A message of the public schema: JSON on MQTT; a later version may add keys, never change them."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StateMessage(Message):
    """`state`: the whole site and the decision of one cycle. Positive power feeds the site."""

    at: str | None = Field(description="UTC, ISO 8601; null while the clock is not known")
    seq: int = Field(description="cycle number since the start")
    mode: Mode = Field(description="STARTING, RUNNING, HOLDING, SAFE, ISLANDED, STOPPED or FAULT")
    policy: str = Field(description="the one that decided, which may be the fallback")
    pcc_import_w: float | None = Field(description="negative while exporting")
    load_w: float | None = Field(description="what the house uses, less sun that no [[pv]] reads")
    pv_generation_w: float | None = Field(description="all PV inverters")
    battery_discharge_w: float | None = Field(description="all batteries; negative while charging")
    soc_pct: float | None = Field(description="all batteries, by capacity")
    setpoint_w: float = Field(description="total battery discharge ordered")
    wanted_w: float = Field(description="what the policy asked for")
    limited_by: str = Field(description="the limit that bound; empty when none did")
    limited_w: float = Field(description="what that limit took from wanted_w")
    reason: str = Field(description="the decision as a sentence")
    peak_forecast_w: float | None = Field(description="mean import of this billing window, as things stand")
    autonomy_h: float | None = Field(description="how long the batteries carry the house without the grid")
    alarms: list[str] = Field(description="names of what somebody should look at; empty when all is well")
    loads_shed: int = Field(description="how many switched loads are off")
    age_s: dict[str, float | None] = Field(description="age of each device's reading; null: never read")
    start_jitter_ms: float = Field(description="how late this beat began")
    read_ms: float = Field(description="until all devices had answered")
    decide_ms: float = Field(description="for deciding and ordering")
    overruns: int = Field(description="beats that took longer than a cycle, since the start")


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


class EnergyMessage(Message):
    """`energy`: counters in Wh since the first start at this site; they never go back."""

    at: str | None = Field(description="UTC, ISO 8601; null while the clock is not known")
    import_wh: int
    export_wh: int
    charge_wh: int
    discharge_wh: int
    pv_wh: int
    load_wh: int


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


class OrdersMessage(Message):
    """`orders`: what was ordered from outside and is in force. Null: nothing was ordered."""

    at: str | None = Field(description="UTC, ISO 8601; null while the clock is not known")
    policy: str = Field(description="the policy that was chosen, or the site file's")
    reserve_pct: float = Field(description="the reserve that was chosen, or the site file's")
    stopped: bool
    battery_discharge_w: float | None = Field(description="setpoint for all batteries; negative charges")
    pcc_import_w: float | None = Field(description="setpoint for the site; negative exports")
    import_limit_w: float | None
    export_limit_w: float | None
    max_charge_w: float | None
    max_discharge_w: float | None
    operator_import_w: float | None
    operator_export_w: float | None
    ends_in_s: dict[str, float] = Field(
        description="of each command that has an end, how long it still holds"
    )


Result = Literal["applied", "clamped", "refused"]
Value = float | bool | str | None


class ReplyMessage(Message):
    """`reply/<id>`: what became of a command."""

    at: str | None = Field(description="UTC, ISO 8601; null while the clock is not known")
    id: str = Field(description="of the command; empty when it could not be read")
    command: str = Field(description="its name; empty when there is none of that name")
    result: Result
    reason: str = Field(description="why it was refused, or clamped; empty when it was applied as it stands")
    limited_by: str = Field(description="the limit that clamped it")
    in_force: dict[str, Value] = Field(description="what holds now by this command")
    ends_in_s: float | None = Field(description="so long it holds; null: until changed, or not at all")
    kept: bool = Field(description="whether it outlives a restart: it is on the disk")


class EventMessage(Message):
    """`event`: something happened. Not retained; the last 200 of an outage come afterwards."""

    at: str | None = Field(description="UTC, ISO 8601; null while the clock is not known")
    kind: Literal["mode", "command", "alarm"]
    level: Literal["info", "warning", "error"]
    text: str = Field(description="a sentence")
    data: dict[str, Value] = Field(description="the same for machines")


class BackfillMessage(Message):
    """`backfill`: the means of one minute in which the broker was away, told when it is back."""

    at: str = Field(description="begin of the minute, UTC, ISO 8601")
    mode: Mode = Field(description="at its end")
    policy: str = Field(description="at its end")
    soc_pct: float | None = Field(description="at its end")
    cycles: int = Field(description="how many beats it holds")
    pcc_import_w: float | None
    load_w: float | None
    pv_generation_w: float | None
    battery_discharge_w: float | None
    setpoint_w: float | None


class PlanSlot(Message):
    """One slot of the plan: what it costs, what is expected, what a kWh is worth."""

    begin: str = Field(description="UTC, ISO 8601")
    import_per_kwh: float
    export_per_kwh: float
    price_known: bool = Field(description="false: not published yet, guessed from the days before")
    net_load_w: float = Field(description="load less sun, expected; negative: surplus")
    soc_low_pct: float = Field(description="at the end of the slot; 8 in 10 courses end above")
    soc_pct: float = Field(description="at the end of the slot, the middle of all courses")
    soc_high_pct: float
    water_value_per_kwh: float = Field(description="worth of one more kWh in the battery at that SoC")
    battery_discharge_w: float = Field(description="expected mean; negative while charging")
    action: str = Field(description="charge_sun, charge_grid, cover (the house), sell, or rest")
    import_target_w: float | None = Field(description="mean import that makes no new peak; null: none")


class PlanSkill(Message):
    """Mean errors of forecasts for 24 h on the last days, and those of saying "like yesterday"."""

    days: int = Field(description="how many days were looked at")
    load_error_w: float | None = Field(description="of the forecast; null: not measured")
    load_like_yesterday_w: float | None
    pv_error_w: float | None
    pv_like_yesterday_w: float | None


class PlanMessage(Message):
    """`plan`: the plan in force. Without one `slots` is empty and `words` says why."""

    at: str | None = Field(description="UTC, ISO 8601, when it was made; null while the clock is not known")
    reason: str = Field(description="why it was made: first, turn, prices, soc, or net_load")
    currency: str
    slot_s: float = Field(description="length of a slot")
    expires: str | None = Field(description="UTC; after that self-consumption takes over")
    words: str = Field(description="the next day in a sentence, for people")
    skill: PlanSkill | None = Field(
        description="of the forecasts, looked at once a day; null before two days are known"
    )
    slots: list[PlanSlot]


MESSAGES: dict[str, type[Message]] = {
    "state": StateMessage,
    "device/<id>": DeviceMessage,
    "energy": EnergyMessage,
    "demand": DemandMessage,
    "plan": PlanMessage,
    "orders": OrdersMessage,
    "reply/<id>": ReplyMessage,
    "event": EventMessage,
    "backfill": BackfillMessage,
}
"""Every message by its topic under `penstock/<site>/`."""
