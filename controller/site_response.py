"""`[battery.response]` and `[pv.response]`: how fast this very device was measured to be.

What is written here goes before the profile's; `penstock commission` measures it and prints the lines.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from drivers.profile import DeviceProfile

Seconds = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]


class InverterResponse(BaseModel):
    """`[battery.response]` or `[pv.response]`: how measured power follows an order."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    dead_time_s: Seconds | None = Field(None, description="nothing happens for so long after an order, s")
    time_constant_s: Seconds | None = Field(None, description="of the lag that follows, s")
    ramp_w_per_s: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="the fastest it changes, W/s"
    )


def responding(profile: DeviceProfile, measured: InverterResponse | None) -> DeviceProfile:
    """The profile with what was measured in place of what it says itself."""
    said = {} if measured is None else measured.model_dump(exclude_none=True)
    return replace(profile, response=replace(profile.response, **said)) if said else profile
