"""The schedule as it is written in the site file, `[[policy.window]]`, and what dispatch makes of it."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from controller.dispatch.settings import Window
from drivers.doors import nearest

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]$"
_CLOCK_OR_END = r"^(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"


def a_begin(text: str) -> str:
    if re.fullmatch(_CLOCK, text):
        return text
    raise ValueError('give a local time from "00:00" to "23:59"')


def an_end(text: str) -> str:
    if re.fullmatch(_CLOCK_OR_END, text):
        return text
    raise ValueError('give a local time from "00:00" to "24:00"')


def a_day(text: str) -> str:
    if text in DAYS:
        return text
    raise ValueError(f"no day of the week; {nearest(text, DAYS)}")


class WindowTable(BaseModel):
    """`[[policy.window]]`: from when to when, on which days, and what the battery does then."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    from_: Annotated[str, AfterValidator(a_begin)] = Field(
        alias="from", description='local time such as "22:00"', json_schema_extra={"pattern": _CLOCK}
    )
    to: Annotated[str, AfterValidator(an_end)] = Field(
        description='local time such as "06:00", the next day when not after from; "24:00" is midnight',
        json_schema_extra={"pattern": _CLOCK_OR_END},
    )
    action: Literal["charge", "discharge", "hold", "pcc"] = Field(
        description="charge or discharge the battery, hold it at 0 W, or hold the PCC at power_w"
    )
    power_w: Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)] | None = Field(
        None,
        validate_default=True,
        description="W; above 0 for charge and discharge, import for pcc (negative exports), none for hold",
    )
    soc_pct: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = Field(
        None, description="charge up to, or discharge down to this, then hold 0 W; %"
    )
    days: list[Annotated[str, AfterValidator(a_day)]] = Field(
        default_factory=lambda: list(DAYS),
        min_length=1,
        description='days on which it begins, such as ["mon", "fri"]; every day when left out',
    )
    first_date: date | None = Field(None, description="first day on which it begins, such as 2026-11-01")
    last_date: date | None = Field(None, description="last day on which it begins, itself included")

    @field_validator("to")
    @classmethod
    def _not_from(cls, to: str, info: ValidationInfo) -> str:
        if to == info.data.get("from_"):
            raise ValueError('the same as from; for a whole day give from = "00:00" and to = "24:00"')
        return to

    @field_validator("power_w")
    @classmethod
    def _fits_the_action(cls, power_w: float | None, info: ValidationInfo) -> float | None:
        action = info.data.get("action")
        if action == "hold" and power_w is not None:
            raise ValueError("hold is 0 W; leave power_w out")
        if action in ("charge", "discharge", "pcc") and power_w is None:
            raise PydanticKnownError("missing")
        if action in ("charge", "discharge") and power_w is not None and power_w <= 0:
            raise ValueError(f"{action} needs more than 0 W; the action gives the direction")
        return power_w

    @field_validator("soc_pct")
    @classmethod
    def _only_where_it_ends(cls, soc_pct: float | None, info: ValidationInfo) -> float | None:
        action = info.data.get("action")
        if soc_pct is not None and action in ("hold", "pcc"):
            raise ValueError(f"only for charge and discharge, not for {action}; leave soc_pct out")
        return soc_pct

    @field_validator("last_date")
    @classmethod
    def _not_before_first(cls, last_date: date | None, info: ValidationInfo) -> date | None:
        first_date = info.data.get("first_date")
        if last_date is not None and first_date is not None and last_date < first_date:
            raise ValueError(f"before first_date {first_date}; such a window never begins")
        return last_date

    def window(self) -> Window:
        """The window in seconds of the local day and ordinals of dates."""
        return Window(
            from_s=_seconds(self.from_),
            to_s=_seconds(self.to),
            action=self.action,
            power_w=self.power_w or 0.0,
            soc_pct=self.soc_pct,
            weekdays=frozenset(DAYS.index(day) for day in self.days),
            first_day=None if self.first_date is None else self.first_date.toordinal(),
            last_day=None if self.last_date is None else self.last_date.toordinal(),
        )


def _seconds(clock: str) -> int:
    """Seconds after midnight of a checked "HH:MM"."""
    return int(clock[:2]) * 3600 + int(clock[3:]) * 60
