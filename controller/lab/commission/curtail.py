"""Does a PV inverter obey a cap? Only where the owner consented to it, and only for half a minute."""

from __future__ import annotations

import asyncio

from controller.lab.commission.bench import Bench
from controller.lab.commission.findings import Finding
from drivers.device import DeviceError

ENOUGH_W = 300.0
CAP_PART = 0.5
SETTLE_S, EVERY_S = 12.0, 1.0
SLACK_SHARE, SLACK_W = 0.1, 60.0


async def cap_findings(bench: Bench, index: int) -> Finding:
    """Halve what it gives, and lift that again."""
    device = bench.pvs[index].facts.id
    before_w = await _power_w(bench, index)
    if before_w is None or before_w < ENOUGH_W:
        text = f"not tried whether it obeys a cap: it gives less than {ENOUGH_W:.0f} W; try again in the sun"
        return Finding("warn", device, "cap", text)
    cap_w = CAP_PART * before_w
    try:
        await bench.cap(index, cap_w)
        capped_w = await _after(bench, index, cap_w)
        await bench.cap(index, None)
    except DeviceError as error:
        return Finding("stop", device, "cap", f"refuses a cap: {str(error).removeprefix(f'{device}: ')}")
    lifted_w = await _after(bench, index, None)
    if capped_w > cap_w * (1.0 + SLACK_SHARE) + SLACK_W:
        text = f"takes a cap and ignores it: {capped_w:.0f} W under a cap of {cap_w:.0f} W"
        return Finding("stop", device, "cap", text)
    if lifted_w < 0.5 * (before_w + cap_w):
        text = (
            f"gives {lifted_w:.0f} W after the cap was lifted, {before_w:.0f} W before: is it still capped?"
        )
        return Finding("unsure", device, "cap", text)
    text = f"obeys a cap: {before_w:.0f} W, capped {capped_w:.0f} W, lifted {lifted_w:.0f} W"
    return Finding("good", device, "cap", text)


async def _after(bench: Bench, index: int, cap_w: float | None) -> float:
    """Its power once it has settled; the cap is said again meanwhile."""
    power_w = 0.0
    until_s = asyncio.get_running_loop().time() + SETTLE_S
    while asyncio.get_running_loop().time() < until_s:
        await asyncio.sleep(EVERY_S)
        if cap_w is not None:
            await bench.cap(index, cap_w)
        power_w = await _power_w(bench, index) or power_w
    return power_w


async def _power_w(bench: Bench, index: int) -> float | None:
    reading = await bench.read_pv(index)
    return None if reading is None else reading.pv_generation_w
