"""SunSpec: devices that list in their registers what they are, so that nobody has to write a profile.

`walk.py` finds the models, `definitions.py` knows their points, `profiles.py` makes a profile of them and
`devices.py` a meter, a battery or a PV inverter. The definitions are pysunspec2's, read as data when the
first device is walked; nothing of it is loaded before.
"""

from __future__ import annotations

from drivers.sunspec.definitions import definition
from drivers.sunspec.devices import (
    SunSpecBattery,
    SunSpecMeter,
    SunSpecPv,
    sunspec_battery,
    sunspec_meter,
    sunspec_pv,
)
from drivers.sunspec.profiles import (
    PROFILE_ID,
    TRANSPORT,
    battery_profile,
    meter_profile,
    pv_profile,
)
from drivers.sunspec.storage import storage_inputs
from drivers.sunspec.walk import Map, Model, SunSpecError, Walker, walk

__all__ = [
    "PROFILE_ID",
    "TRANSPORT",
    "Map",
    "Model",
    "SunSpecBattery",
    "SunSpecError",
    "SunSpecMeter",
    "SunSpecPv",
    "Walker",
    "battery_profile",
    "definition",
    "meter_profile",
    "pv_profile",
    "storage_inputs",
    "sunspec_battery",
    "sunspec_meter",
    "sunspec_pv",
    "walk",
]
