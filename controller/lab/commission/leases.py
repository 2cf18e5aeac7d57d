"""Does the device really forget an order when nobody repeats it, and how little power can it hold?"""

from __future__ import annotations

import asyncio

from controller.lab.commission.bench import Bench, Sample
from controller.lab.commission.findings import Finding

PART = 0.4
SETTLE_S, EVERY_S = 6.0, 1.0
LATE_SHARE, LATE_S = 0.1, 6.0
EARLY_SHARE = 0.75
GONE_READINGS = 2
LADDER_W = (400.0, 200.0, 100.0, 50.0, 25.0)
HELD_SHARE, HELD_W = 0.35, 12.0


async def lease_finding(bench: Bench, index: int, size_w: float) -> Finding:
    """Order this, fall silent, and wait; the battery has forgotten us afterwards, or was found not to."""
    facts = bench.batteries[index].facts
    lease_s = facts.lease_s
    if lease_s is None:
        text = f"never forgets an order ({facts.lease_fallback}): if the controller dies, the last one stays"
        return Finding("warn", facts.id, "lease", text)
    if lease_s > bench.terms.lease_wait_s:
        text = f"not tried whether it forgets an order: give --lease-wait {lease_s:.0f}, that long it takes"
        return Finding("warn", facts.id, "lease", text)
    began_s = _now_s()
    await bench.order(index, size_w)
    held = await _samples(bench, index, SETTLE_S)
    if not _holds(held[-1], size_w):
        text = "not tried whether it forgets an order: it did not take one just now"
        return Finding("unsure", facts.id, "lease", text)
    says_so = held[-1].battery.setpoint_w is not None
    bench.say_no_more()
    silent_s = _now_s()
    until_s = silent_s + lease_s * (1.0 + LATE_SHARE) + LATE_S
    gone = 0
    while _now_s() < until_s:
        await asyncio.sleep(EVERY_S)
        sample = await bench.look(index)
        gone = gone + 1 if _forgot(sample, size_w, says_so) else 0
        if gone >= GONE_READINGS:
            return _gone(facts.id, sample.at_s - began_s, sample.at_s - silent_s, lease_s)
    text = (
        f"does not forget an order: {_now_s() - silent_s:.0f} s after the last one it still does "
        f"{size_w:.0f} W, its profile says {lease_s:.0f} s; if the controller dies, it goes on for ever"
    )
    return Finding("stop", facts.id, "lease", text)


def _gone(device: str, since_first_s: float, since_last_s: float, lease_s: float) -> Finding:
    if since_first_s < EARLY_SHARE * lease_s:
        text = f"forgets an order after {since_first_s:.0f} s already, its profile says {lease_s:.0f} s"
        return Finding("stop", device, "lease", text)
    return Finding(
        "good", device, "lease", f"forgets an order by itself, within {since_last_s:.0f} s of silence"
    )


def _holds(sample: Sample, order_w: float) -> bool:
    return abs(sample.battery.battery_discharge_w - order_w) <= max(HELD_SHARE * abs(order_w), HELD_W)


def _forgot(sample: Sample, order_w: float, says_so: bool) -> bool:
    """By its own word, where it has one, or by its power."""
    said_w = sample.battery.setpoint_w
    if says_so and (said_w is None or abs(said_w - order_w) > HELD_SHARE * abs(order_w)):
        return True
    return not _holds(sample, order_w)


async def smallest_held_w(bench: Bench, index: int, charges: bool, most_w: float) -> float | None:
    """The smallest of a few powers that the battery can hold, W; None when there was no room to try."""
    smallest_w: float | None = None
    for level_w in LADDER_W:
        if level_w > most_w:
            continue
        order_w = -level_w if charges else level_w
        await bench.order(index, order_w)
        samples = await _samples(bench, index, SETTLE_S)
        if not all(_holds(one, order_w) for one in samples[-3:]):
            return smallest_w if smallest_w is not None else level_w
        smallest_w = level_w
    return smallest_w


async def _samples(bench: Bench, index: int, seconds: float) -> list[Sample]:
    until_s = _now_s() + seconds
    seen = [await bench.look(index)]
    while _now_s() < until_s:
        await asyncio.sleep(EVERY_S)
        seen.append(await bench.look(index))
    return seen


def _now_s() -> float:
    return asyncio.get_running_loop().time()
