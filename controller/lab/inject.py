"""Faults on command: what the MQTT command `inject` does to the plant of a simulation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from controller.lab.stage import Stage
from controller.orderbook import Injector
from simulators.faults import FaultError, make_fault

FOR_SCENARIOS = ("host", "broker")


def injector(stage: Stage) -> Injector:
    """What brings faults about on this stage."""

    def inject(
        device: str | None, fault: str | None, values: Mapping[str, float | bool | str], for_s: float
    ) -> str:
        if device in FOR_SCENARIOS:
            return f"a fault of the {device} is for a scenario: penstock hil"
        now_s = asyncio.get_running_loop().time()
        try:
            if fault is None:
                stage.board.clear(device)
            else:
                stage.board.add(device or "", make_fault(fault, values), now_s, now_s + for_s)
        except FaultError as error:
            return str(error)
        return ""

    return inject
