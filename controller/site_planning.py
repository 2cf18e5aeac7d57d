"""`[planning]` of the site file: how far ahead, how often, and what the battery costs."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field


class Planning(BaseModel):
    """`[planning]`: what the planner beside the loop has to know; all of it has a usual value."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    every_min: int = Field(15, ge=5, le=240, description="a new plan at least so often, minutes")
    horizon_h: int = Field(48, ge=12, le=96, description="how far ahead, hours")
    deadline_s: float = Field(30.0, ge=1, le=300, description="a planner that takes longer is ended, s")
    valid_min: int = Field(120, ge=15, le=720, description="how long a plan serves when no new one comes")
    efficiency_pct: float = Field(95.0, ge=50, le=100, description="AC to battery and back, each way, %")
    wear_per_kwh: float = Field(0.02, ge=0, le=5, description="what a kWh discharged wears off the battery")
    history_days: int = Field(56, ge=7, le=400, description="how much of the past is remembered, days")


@dataclass(frozen=True, slots=True)
class PlanningConfig:
    """What was checked, frozen."""

    every_s: float = 900.0
    horizon_s: float = 172_800.0
    deadline_s: float = 30.0
    valid_s: float = 7200.0
    efficiency: float = 0.95
    wear_per_kwh: float = 0.02
    history_s: float = 56 * 86_400.0


def planning_config(table: Planning) -> PlanningConfig:
    """In seconds and shares."""
    return PlanningConfig(
        table.every_min * 60.0,
        table.horizon_h * 3600.0,
        table.deadline_s,
        table.valid_min * 60.0,
        table.efficiency_pct / 100.0,
        table.wear_per_kwh,
        table.history_days * 86_400.0,
    )
