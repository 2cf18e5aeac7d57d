"""Penstock in a mosaik co-simulation: a time-based simulator around a `Rig`. Needs the extra `mosaik`.

    world = mosaik.World({"Penstock": {"python": "controller.lab.mosaik_adapter:PenstockSimulator"}})
    site = world.start("Penstock", site="house.toml").Site()
    meter, battery = (child for child in site.children if child.eid in ("grid", "bat1"))

The entity `Site` has a child for each device of the site file, by its id. What a device shows goes in at
attributes named as in `rig_messages.py`; `setpoint_w`, `cap_w` and `ordered_closed` come out, NaN where
nothing is ordered (released, uncapped). A device that nothing is connected
to does not answer. Connect the plant to the controller as usual, and back with `time_shifted=True`: the plant
obeys from its next step on.
"""

from __future__ import annotations

from math import nan
from pathlib import Path
from typing import Any

import mosaik_api_v3
from mosaik_api_v3.types import CreateResult, Meta, ModelDescription

from controller.config import Config, load_config
from controller.lab.lockstep import Outputs, Rig
from controller.lab.rig_messages import MODELS, LockStepError

ORDERS = {"meter": [], "battery": ["setpoint_w"], "pv": ["cap_w"], "switch": ["ordered_closed"]}
"""What comes out of a device, by its role; a switch has its state `closed` among what goes in."""
SITE_OUTPUTS = ["mode", "setpoint_w", "wanted_w", "limited_by", "limited_w", "reason", "soc_pct", "load_w"]


def _meta() -> Meta:
    models: dict[str, ModelDescription] = {
        role.capitalize(): {"public": False, "params": [], "attrs": [*model.model_fields, *ORDERS[role]]}
        for role, model in MODELS.items()
    }
    models["Site"] = {"public": True, "params": [], "attrs": SITE_OUTPUTS}
    return {"api_version": "3.0", "type": "time-based", "models": models}


class PenstockSimulator(mosaik_api_v3.Simulator):
    """One site; it steps with the `cycle_s` of its site file."""

    def __init__(self) -> None:
        super().__init__(_meta())  # type: ignore[no-untyped-call]  # mosaik leaves it without types
        self._config: Config
        self._rig: Rig
        self._outputs: Outputs
        self._step = 1

    def init(self, sid: str, time_resolution: float = 1.0, *, site: str = "", **sim_params: Any) -> Meta:
        """`site` is the path of the site file. LockStepError when its cycle is no whole number of steps."""
        self._config = load_config(Path(site))
        self._step = round(self._config.cycle_s / time_resolution)
        if abs(self._step * time_resolution - self._config.cycle_s) > 1e-9 or self._step < 1:
            raise LockStepError(
                f"cycle_s is {self._config.cycle_s:g} s, which is no whole number of mosaik's steps of "
                f"{time_resolution:g} s; change one of the two"
            )
        return _meta()

    def create(self, num: int, model: str, **model_params: Any) -> list[CreateResult]:
        """The one site with its devices."""
        if num != 1 or hasattr(self, "_rig"):
            raise LockStepError("there is one Site in a site file; start the simulator again for another")
        self._rig = Rig(self._config)
        devices: list[CreateResult] = [
            {"eid": entry.id, "type": entry.role.capitalize(), "rel": []} for entry in self._config.devices
        ]
        return [{"eid": "site", "type": model, "rel": [], "children": devices}]

    def step(self, time: int, inputs: dict[str, dict[str, dict[str, Any]]], max_advance: int) -> int:
        """One tick with what is connected."""
        devices = {
            device_id: {name: _only(device_id, name, sources) for name, sources in shown.items()}
            for device_id, shown in inputs.items()
        }
        self._outputs = self._rig.tick(self._config.cycle_s, devices)
        return time + self._step

    def get_data(self, outputs: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
        """What the controller answered."""
        orders, state = self._outputs["orders"], self._outputs["state"] or {}
        found: dict[str, dict[str, Any]] = {}
        for eid, names in outputs.items():
            held = state if eid == "site" else orders[eid]
            found[eid] = {name: _said(held["closed" if name == "ordered_closed" else name]) for name in names}
        return found

    def finalize(self) -> None:
        """mosaik is done."""
        if hasattr(self, "_rig"):
            self._rig.close()


def _said(value: Any) -> Any:
    """mosaik takes None for "nothing was said"."""
    return nan if value is None else value


def _only(device_id: str, name: str, sources: dict[str, Any]) -> Any:
    if len(sources) != 1:
        raise LockStepError(f"{device_id}.{name} is given by {', '.join(sources)}; connect one of them")
    return next(iter(sources.values()))
