"""`[planning]` of the site file: how far ahead, how often, and what the battery costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class ForecastTable(BaseModel):
    """`[planning.forecast]`: an outside forecast of load, sun or both; one of csv and mqtt."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    csv: str | None = Field(None, description="path to a file with timestamp and load_w, pv_w or both")
    mqtt: str | None = Field(None, min_length=1, max_length=200, description="topic on the broker of [mqtt]")

    @field_validator("mqtt")
    @classmethod
    def _one_topic(cls, topic: str | None) -> str | None:
        if topic is not None and ("#" in topic or "+" in topic or "\0" in topic):
            raise ValueError("give one topic, without # and +")
        return topic

    @model_validator(mode="after")
    def _one_source(self) -> ForecastTable:
        if (self.csv is None) == (self.mqtt is None):
            raise ValueError("give one of csv and mqtt")
        return self


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
    forecast: ForecastTable | None = None


@dataclass(frozen=True, slots=True)
class ForecastSource:
    """Where an outside forecast comes from: a file, or an MQTT topic."""

    csv: Path | None = None
    topic: str | None = None

    @property
    def words(self) -> str:
        """For people."""
        return f"topic {self.topic}" if self.csv is None else f"file {self.csv}"


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
    forecast: ForecastSource | None = None


def planning_config(table: Planning, folder: Path) -> PlanningConfig:
    """In seconds and shares; paths are relative to the site file's `folder`."""
    said = table.forecast
    source = None
    if said is not None:
        source = ForecastSource(None if said.csv is None else folder / said.csv, said.mqtt)
    return PlanningConfig(
        table.every_min * 60.0,
        table.horizon_h * 3600.0,
        table.deadline_s,
        table.valid_min * 60.0,
        table.efficiency_pct / 100.0,
        table.wear_per_kwh,
        table.history_days * 86_400.0,
        source,
    )
