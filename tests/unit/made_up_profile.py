"""A made-up battery for tests of the profile door, and how they go through it."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.profile import DeviceProfile, ProfileError, load_profile

BATTERY = """
name = "Test battery"
role = "battery"
source = ["made up"]
confidence = "low"
[defaults]
type = "s16"
[points]
w = {address = 0, unit = "W", gives = "battery_discharge_w", every = "fast"}
order = {address = 10, scale = -10.0, unit = "W", access = "rw", every = "third"}
on = {address = 11, access = "rw", range = [0, 1], every = "third"}
timer = {address = 12, unit = "s", access = "rw"}
[control]
style = "enabled_watts"
setpoint = "order"
enable = "on"
[lease]
timer = "timer"
fallback = "own program"
[[examples]]
source = "by hand"
registers.0 = "03E8"
reading.battery_discharge_w = 1000.0
[[examples]]
source = "by hand"
registers.0 = "0000"
take_w = -500.0
writes = ["12 001E", "10 0032", "11 0001"]
[[examples]]
source = "by hand"
registers.0 = "0000"
release = true
writes = ["11 0000", "12 0000"]
"""


def loaded(tmp_path: Path, text: str) -> DeviceProfile:
    (tmp_path / "device.toml").write_text(text)
    return load_profile("device.toml", tmp_path)


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(ProfileError) as caught:
        loaded(tmp_path, text)
    return str(caught.value)
