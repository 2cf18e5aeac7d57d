"""The whole of commissioning, in its order; whatever happens, every device that was ordered is released."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from controller.config import Config, DeviceEntry
from controller.devices import open_devices
from controller.lab.commission.bench import Bench, CutShort, Sample, narrowed
from controller.lab.commission.curtail import cap_findings
from controller.lab.commission.evidence import Named, goes_beyond, phase_of, verdicts
from controller.lab.commission.findings import Finding, Kind, Terms
from controller.lab.commission.identify import Response, meter_lag_s, response
from controller.lab.commission.leases import PART, lease_finding, smallest_held_w
from controller.lab.commission.looking import look_around
from controller.lab.commission.steps import Stepped, stepped

PATIENT_MS = 3000
FEWEST_STEPS = 4
CHANGED = ("foreign", "reverted")
"""Outcomes that need no second look: somebody else changed the registers that we had written."""
SAID = {
    "foreign": "another controller orders this device too; end that one, or leave the device to it",
    "reverted": "goes back to its own program in the middle of an order; is remote control switched on?",
    "ignored": "acknowledges orders and does not hold them; is remote control switched on at the device?",
}
NOTICEABLE_S = 0.3


@dataclass(slots=True)
class Report:
    """All that was found out."""

    config: Config
    terms: Terms
    findings: list[Finding] = field(default_factory=list)
    responses: dict[str, Response] = field(default_factory=dict)
    smallest_w: dict[str, float] = field(default_factory=dict)
    meter_period_s: float = 0.0
    meter_delay_s: float = 0.0
    knows_amperes: bool = False
    """Whether the meter's watts were held against its volts and amperes, and found right."""
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    orders_at: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    not_released: list[str] = field(default_factory=list)

    def stops(self, device: str) -> bool:
        """Whether something is wrong with this device."""
        return any(one.kind == "stop" and one.device == device for one in self.findings)


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told: what is being done, each finding as it comes, each device before it is ordered."""

    doing: Callable[[str], None] = lambda text: None
    found: Callable[[Finding], None] = lambda finding: None
    ordering: Callable[[str], None] = lambda device: None


async def commission(config: Config, terms: Terms, watcher: Watcher, report: Report) -> None:
    """Fill the report. When it is interrupted, what was found so far is in it, and all is released."""
    devices = open_devices(_patient(narrowed(config, terms.consent_w)))
    bench = Bench(config, devices, terms, watcher.ordering)
    report.samples = bench.samples

    def note(findings: Sequence[Finding]) -> None:
        for one in findings:
            report.findings.append(one)
            watcher.found(one)

    try:
        watcher.doing("looking: identity, plausibility, speed")
        seen = await look_around(bench, config, devices, note)
        report.meter_period_s, report.knows_amperes = seen.period_s, seen.knows_amperes
        if report.stops(config.meter.id):
            note([_untouched(one, config.meter.id) for one in config.batteries])
        else:
            for index, entry in enumerate(config.batteries):
                if report.stops(entry.id):
                    note([_untouched(entry, entry.id)])
                    continue
                await _battery(bench, index, report, watcher, note)
                if report.stops(config.meter.id):
                    break
        for index, entry in enumerate(config.pvs):
            if terms.curtail_pv and not report.stops(entry.id):
                watcher.doing(f"{entry.id}: curtailing it for half a minute")
                note([await cap_findings(bench, index)])
    finally:
        watcher.doing("releasing")
        report.not_released = await bench.release()
        for why in report.not_released:
            note([Finding("stop", why.partition(":")[0], "release", why.partition(": ")[2])])
        await devices.close()


def _untouched(entry: DeviceEntry, because_of: str) -> Finding:
    text = f"was not moved: mend what is wrong with {because_of} first"
    return Finding("unsure", entry.id, "orders", text)


async def _battery(
    bench: Bench, index: int, report: Report, watcher: Watcher, note: Callable[[Sequence[Finding]], None]
) -> None:
    """Everything about one battery."""
    entry = bench.config.batteries[index]

    def doing(text: str) -> None:
        watcher.doing(f"{entry.id}: {text}")

    found = await stepped(bench, index, report.meter_period_s, doing)
    report.orders_at[entry.id] = found.orders_at
    try:
        note(_conclusions(bench, index, found, report.knows_amperes))
        if report.stops(entry.id) or report.stops(bench.config.meter.id) or found.cut_short:
            return
        _measure(bench, index, report, found)
        room = bench.room_w(index, bench.samples[entry.id][-1])
        charges = room[0] >= room[1]
        most_w = min(max(room), bench.terms.consent_w)
        doing("the least power it can hold")
        smallest_w = await smallest_held_w(bench, index, charges, most_w)
        if smallest_w is not None:
            report.smallest_w[entry.id] = smallest_w
            note([Finding("good", entry.id, "least power", f"holds {smallest_w:.0f} W")])
        size_w = PART * most_w
        doing("falling silent: does it forget an order?")
        note([await lease_finding(bench, index, -size_w if charges else size_w)])
        await bench.order(index, 0.0)
    except CutShort as reason:
        note([Finding("unsure", entry.id, "orders", f"was cut short: {reason}")])


def _conclusions(bench: Bench, index: int, found: Stepped, knows_amperes: bool) -> list[Finding]:
    """What the steps say."""
    entry, config = bench.config.batteries[index], bench.config
    settings = config.dispatch.batteries[index]
    samples = bench.samples[entry.id]
    changed = [one.outcome for one in samples if one.order_w is not None and one.outcome in CHANGED]
    dispute = found.dispute or next(iter(changed), "")
    if dispute:
        return [Finding("stop", entry.id, "orders", SAID[dispute])]
    cut_short = []
    if found.cut_short:
        kind: Kind = "stop" if found.is_wrong else "unsure"
        cut_short.append(Finding(kind, entry.id, "orders", found.cut_short))
    if len(found.all) < FEWEST_STEPS:
        return cut_short
    steps = found.first if goes_beyond(found.first) else found.steps or found.first
    named = Named(entry.id, config.meter.id, settings.phase, knows_amperes)
    conclusions = verdicts(named, steps)
    phase = phase_of(steps)
    if phase is not None and settings.phase is None and config.phases == 3:
        text = f"is a single-phase inverter on L{phase}: write phase = {phase} into its table"
        conclusions.append(Finding("warn", entry.id, "phase", text))
    return [*conclusions, *cut_short]


def _measure(bench: Bench, index: int, report: Report, found: Stepped) -> None:
    """Response of the battery, and lateness of the meter; into the report."""
    entry = bench.config.batteries[index]
    samples = bench.samples[entry.id]
    measured = response(found.orders_at, samples)
    if measured is not None:
        report.responses[entry.id] = measured
    lag_s = meter_lag_s(found.orders_at, samples)
    if lag_s is not None:
        late_s = max(lag_s - report.meter_period_s / 2.0, 0.0)
        report.meter_delay_s = late_s if late_s >= NOTICEABLE_S else 0.0


def _patient(config: Config) -> Config:
    """The same site with time-outs so long that a slow device is seen to be slow, rather than dead."""

    def patient(entry: DeviceEntry) -> DeviceEntry:
        transport = entry.profile.transport
        longer = replace(transport, timeout_ms=max(transport.timeout_ms, PATIENT_MS))
        return replace(entry, profile=replace(entry.profile, transport=longer))

    return replace(
        config,
        meter=patient(config.meter),
        batteries=tuple(patient(one) for one in config.batteries),
        pvs=tuple(patient(one) for one in config.pvs),
    )
