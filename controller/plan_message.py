"""The message on MQTT topic `plan` as a pydantic model: the plan in numbers for each slot, and in words."""

from __future__ import annotations

from pydantic import Field

from controller.messages import Message


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

    days: int
    load_error_w: float | None
    load_like_yesterday_w: float | None
    pv_error_w: float | None
    pv_like_yesterday_w: float | None


class PlanMessage(Message):
    """`plan`: the plan in force. Without one `slots` is empty and `words` says why."""

    at: str | None = Field(description="UTC, ISO 8601, when it was made; null while the clock is not known")
    reason: str = Field(description="why it was made: first, turn, prices, soc, or net_load")
    currency: str
    slot_s: float
    expires: str | None = Field(description="UTC; after that self-consumption takes over")
    words: str
    skill: PlanSkill | None = Field(
        description="looked at once a day; null before two days are known, and without a plan"
    )
    slots: list[PlanSlot]
