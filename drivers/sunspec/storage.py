"""What flows in and out of a hybrid inverter's battery, on the DC side (model 160).

Model 124 orders the battery, while the inverter's W holds the PV on the same DC bus as well. Where the
device tells its storage inputs apart, their powers are what the order is compared with: each >= 0, and not
implemented while no power flows that way. Fronius GEN24 shows charging as module 3 and discharging as module
4 (evcc, template fronius-gen24; Tinkerforge, meters_modbus_tcp/fronius.py), newer ones name them as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from drivers.profile.model import Point
from drivers.registers import Encoding, Value
from drivers.sunspec.walk import Map

MODEL: Final = 160
WAYS: Final = {"charge": "stcha", "discharge": "stdischa"}
"""How the name of an input begins, in small letters."""
FRONIUS: Final = {2: "charge", 3: "discharge"}
"""Its inputs by their place, from 0, where the device has a model 124."""
RESTING: Final = frozenset({1.0, 2.0, 8.0})
"""DCSt: off, sleeping, standby."""


@dataclass(frozen=True, slots=True)
class StorageInputs:
    """The points of the two inputs, in W at the battery's DC side, with their states."""

    points: Mapping[str, Point]

    def battery_discharge_w(self, values: Mapping[str, Value]) -> float | None:
        """Negative while charging; None if the device does not say."""
        charge_w, discharge_w = (_number(values, f"{MODEL}.{way}") for way in WAYS)
        if charge_w is None and discharge_w is None:
            resting = all(values.get(f"{MODEL}.{way} state") in RESTING for way in WAYS)
            return 0.0 if resting else None
        # One direction alone is said while power flows that way; both never do.
        return (discharge_w or 0.0) - (charge_w or 0.0)


def storage_inputs(found: Map) -> StorageInputs | None:
    """The storage inputs of this device, or None if it has none that can be told from the others."""
    hybrid = any(model.id == 124 for model in found.models)
    fronius = str(found.models[0].value("Mn")).startswith("Fronius")
    places = FRONIUS if fronius and hybrid else {}
    for model in found.models:
        scale = model.point("DCW_SF") if model.id == MODEL else None
        if scale is None:
            continue
        factor = f"{MODEL}.DCW_SF"
        points = {factor: _point(factor, model.address + scale.offset, scale.encoding, None)}
        for place, group in enumerate(model.groups()):
            name = str(group["IDStr"][2] or "").lower()
            way = next((way for way, begin in WAYS.items() if name.startswith(begin)), places.get(place))
            if way is not None:
                for key, point, power_of in ((way, "DCW", factor), (f"{way} state", "DCSt", None)):
                    address, defined, _ = group[point]
                    full = f"{MODEL}.{key}"
                    points.setdefault(full, _point(full, address, defined.encoding, power_of))
        if len(points) == 1 + 2 * len(WAYS):
            return StorageInputs(points)
    return None


def _number(values: Mapping[str, Value], name: str) -> float | None:
    value = values.get(name)
    return value if isinstance(value, float) else None


def _point(name: str, address: int, encoding: Encoding, power_of: str | None) -> Point:
    return Point(
        name=name,
        kind="holding",
        address=address,
        encoding=encoding,
        unit="W" if power_of is not None else "",
        gives=None,
        every="fast",
        power_of=power_of,
        true_when=(),
        range=None,
        writable=False,
        emulated=None,
    )
