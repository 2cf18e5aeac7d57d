"""The verdict on a run: claims judged, as JUnit XML, as a JSON trace and as one self-contained HTML page."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any
from xml.etree import ElementTree

from controller import __version__
from controller.dispatch.modes import Mode
from controller.lab.claims import Judged
from controller.lab.figures import Band, Line, Mark, Panel, stacked
from controller.lab.hil import How
from controller.lab.record import Record
from controller.lab.report import Data, Heading, Part, Plot, Table, Words, page
from controller.lab.scenario import ClaimMade, Scenario
from controller.lab.timing import timing_rows, why_not_certified
from simulators.faults.host import Stalled

REPEAT = "What it takes to repeat this run"
BALANCE_PART = 1e-9
IN_SIGHT = 2.0
"""A limit is drawn up to this multiple of the largest power."""
HOWS = {"fast": "the bare step", "virtual": "the whole shell in virtual time", "real": "in real time"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One run and what came of each claim; the last is always that the plant's energy books close."""

    scenario: Scenario
    how: How
    record: Record
    claims: tuple[tuple[str, ClaimMade | None, Judged], ...]

    @property
    def held(self) -> bool:
        """Whether every claim held."""
        return all(judged.held for _, _, judged in self.claims)

    @property
    def why_not_certified(self) -> str:
        """Why a run in real time proves nothing; empty if it does."""
        if self.how != "real":
            return ""
        beats = [(one.at_s, one.timing) for one in self.record.beats if one.timing is not None]
        faults = self.scenario.faults
        stalls = [(one.at_s, one.end_s) for one in faults if isinstance(one.made(), Stalled)]
        return why_not_certified(beats, self.scenario.config.cycle_s, stalls)


def judge(scenario: Scenario, how: How, record: Record) -> Verdict:
    """All claims of a scenario on the record of a run."""
    found: list[tuple[str, ClaimMade | None, Judged]] = [
        (one.claim.name, one, one.claim.judge(record)) for one in scenario.claims
    ]
    through_wh = record.energies["load"][-1] + record.energies["pv"][-1] + record.energies["charged"][-1]
    closes = record.imbalance_wh <= BALANCE_PART * max(through_wh, 1.0)
    text = f"the plant's books are {record.imbalance_wh:.1e} Wh apart, of {through_wh:.1f} Wh"
    return Verdict(scenario, how, record, (*found, ("balance", None, Judged(closes, text))))


def junit(verdicts: Sequence[Verdict], took_s: Sequence[float]) -> str:
    """The verdicts as JUnit XML: a suite for each scenario, a case for each claim."""
    root = ElementTree.Element("testsuites", name="penstock hil")
    for verdict, seconds in zip(verdicts, took_s, strict=True):
        broken = sum(not judged.held for _, _, judged in verdict.claims)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=verdict.scenario.path.stem,
            tests=str(len(verdict.claims)),
            failures=str(broken),
            errors="0",
            time=f"{seconds:.3f}",
        )
        properties = ElementTree.SubElement(suite, "properties")
        why = verdict.why_not_certified
        for name, value in [*_facts(verdict), *([("not certified", why)] if why else [])]:
            ElementTree.SubElement(properties, "property", name=name, value=value)
        for number, (name, _, judged) in enumerate(verdict.claims, start=1):
            case = ElementTree.SubElement(
                suite, "testcase", classname=verdict.scenario.path.stem, name=f"{number} {name}", time="0"
            )
            if not judged.held:
                ElementTree.SubElement(case, "failure", message=judged.text).text = judged.text
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def trace(verdict: Verdict) -> str:
    """The whole run as JSON: claims, decisions and samples; null where nothing was to be seen."""
    record = verdict.record
    beats = [
        {
            "at_s": one.at_s,
            "mode": one.decision.mode.value,
            "wanted_w": one.decision.wanted_w,
            "setpoint_w": one.decision.setpoint_w,
            "battery_setpoints_w": one.decision.battery_setpoints_w,
            "pv_caps_w": one.decision.pv_caps_w,
            "limited_by": one.decision.limited_by,
            "reason": one.decision.reason,
            "timing": None if one.timing is None else asdict(one.timing),
        }
        for one in record.beats
    ]
    return json.dumps(
        {
            **dict(_facts(verdict)),
            "held": verdict.held,
            "why_not_certified": verdict.why_not_certified,
            "devices": [one.id for one in verdict.scenario.config.devices],
            "claims": [_claim(*one) for one in verdict.claims],
            "writes": record.writes,
            "times_s": record.times_s,
            "signals": {name: _gaps(values) for name, values in record.signals.items()},
            "beats": beats,
        },
        allow_nan=False,
    )


def html(verdict: Verdict) -> str:
    """The verdict as a page: claims, plots, and what it takes to repeat the run."""
    scenario, record = verdict.scenario, verdict.record
    good = "every claim held" if verdict.held else "not every claim held"
    rows = [
        (name, _wanted(made), "held" if judged.held else "broken", judged.text, _at(judged.worst_at_s))
        for name, made, judged in verdict.claims
    ]
    modes = list(_modes(record))
    parts: list[Part] = [
        Words(scenario.why, "quiet"),
        Words(f"{good[0].upper()}{good[1:]}.", "good" if verdict.held else "bad"),
        *_uncertified(verdict),
        Heading("Claims"),
        Table(
            ("claim", "of", "", "what was seen", "worst moment"),
            rows,
            ["" if judged.held else "bad" for _, _, judged in verdict.claims],
        ),
        Heading("What happened"),
        Plot(_figure(verdict), "Red bands are faults; arrows point at the worst moment of a claim."),
        Table(("from", "mode", "reason"), [(_at(at_s), mode.value, reason) for at_s, mode, reason in modes]),
        *_timing(verdict),
        Heading("The run"),
        Table(("", ""), list(_facts(verdict))),
        Data("Scenario", scenario.text),
        Data("Site", scenario.site_text),
        Data(REPEAT, json.dumps(_to_repeat(verdict), indent=1)),
    ]
    return page(scenario.title, parts)


def _uncertified(verdict: Verdict) -> list[Part]:
    why = verdict.why_not_certified
    return [Words(f"Not certified: {why}.", "bad")] if why else []


def _timing(verdict: Verdict) -> list[Part]:
    """How the beat was kept, where a clock ran."""
    beats = [one.timing for one in verdict.record.beats if one.timing is not None]
    if verdict.how != "real" or not beats:
        return []
    rows = timing_rows(beats, [one.id for one in verdict.scenario.config.devices])
    text = (
        f"{beats[-1].overruns} cycles took longer than they may, {beats[-1].missed_beats} beats were missed."
    )
    return [Heading("Timing"), Words(text, "quiet"), Table(("", "median", "worst"), rows)]


def _facts(verdict: Verdict) -> Iterator[tuple[str, str]]:
    scenario = verdict.scenario
    yield "scenario", scenario.path.name
    yield "title", scenario.title
    yield "run as", HOWS[verdict.how]
    yield "seed", str(scenario.seed)
    yield "seconds", f"{scenario.duration_s:g}"
    yield "decisions", str(len(verdict.record.beats))
    yield "trace_sha256", verdict.record.trace_hash
    yield "penstock", __version__
    yield "python", platform.python_version()


def _to_repeat(verdict: Verdict) -> dict[str, str]:
    scenario = verdict.scenario
    return {
        "file": scenario.path.name,
        "how": verdict.how,
        "trace_sha256": verdict.record.trace_hash,
        "scenario": scenario.text,
        "site": scenario.site_text,
    }


def _claim(name: str, made: ClaimMade | None, judged: Judged) -> dict[str, Any]:
    return {
        "claim": name,
        "wanted": _wanted(made),
        "held": judged.held,
        "text": judged.text,
        "worst_at_s": judged.worst_at_s,
        "worst": judged.worst,
    }


def _wanted(made: ClaimMade | None) -> str:
    """What is claimed and why, without what was left at its default."""
    if made is None:
        return "always claimed"
    kind = type(made.claim)
    shown = [
        f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}"
        for name in kind.__dataclass_fields__
        if (value := getattr(made.claim, name)) != getattr(kind, name, None)
    ]
    return "; ".join([*shown, made.because] if made.because else shown)


def _gaps(values: Sequence[float]) -> list[float | None]:
    return [None if isnan(value) else value for value in values]


def _at(at_s: float | None) -> str:
    return "" if at_s is None else f"{at_s:.2f} s"


def _modes(record: Record) -> Iterator[tuple[float, Mode, str]]:
    """When the mode changed, and the reason then."""
    before = None
    for one in record.beats:
        if one.decision.mode is not before:
            before = one.decision.mode
            yield one.at_s, before, one.decision.reason


def _figure(verdict: Verdict) -> Any:
    record, scenario = verdict.record, verdict.scenario
    panels = [
        Panel("Power flows", "W", _flows(verdict), _marks(verdict, ("pcc_import_w", "battery_discharge_w"))),
        Panel("Setpoint", "W", _orders(record), _marks(verdict, ("setpoint_w", "wanted_w"))),
        Panel(
            "State of charge",
            "%",
            [_line(record, name, f"{name}.soc_pct") for name in record.batteries],
            _marks(verdict, ("soc_pct", *(f"{name}.soc_pct" for name in record.batteries))),
        ),
        _mode_panel(record),
    ]
    bands = [
        Band(one.at_s, min(one.end_s, scenario.duration_s), one.text)
        for one in scenario.faults
        if one.at_s < scenario.duration_s
    ]
    return stacked(panels, bands, "s")


def _line(record: Record, title: str, signal: str, colour: str = "", **look: Any) -> Line:
    return Line(title, record.times_s, _gaps(record.signals.get(signal, [])), colour, **look)


def _flows(verdict: Verdict) -> list[Line]:
    record, scenario = verdict.record, verdict.scenario
    dispatch = scenario.config.dispatch
    flows = [
        _line(record, "from the grid", "pcc_import_w", "pcc"),
        _line(record, "load", "load_w", "load"),
        _line(record, "PV", "pv_generation_w", "pv"),
        _line(record, "battery", "battery_discharge_w", "battery"),
    ]
    limits = {"import limit": dispatch.import_limit_w}
    limits["export limit"] = None if dispatch.export_limit_w is None else -dispatch.export_limit_w
    most_w = max(max(map(abs, record.signals[one]), default=0.0) for one in ("pcc_import_w", "load_w"))
    for title, limit_w in limits.items():
        # A limit far away would press everything else flat.
        if limit_w is not None and abs(limit_w) <= max(IN_SIGHT * most_w, 1.0):
            ends = [0.0, scenario.duration_s]
            flows.append(Line(title, ends, [limit_w, limit_w], "limit", dashed=True))
    return flows


def _orders(record: Record) -> list[Line]:
    """What was wanted, what the limits left of it, and what each device was told."""
    lines = [
        _line(record, "wanted", "wanted_w", dashed=True, style="steps"),
        _line(record, "setpoint", "setpoint_w", "setpoint", style="steps"),
    ]
    if len(record.batteries) > 1:
        lines += [_line(record, name, f"{name}.setpoint_w", style="steps") for name in record.batteries]
    return lines + [
        _line(record, f"{name} cap", f"{name}.cap_w", "limit", style="steps") for name in record.pvs
    ]


def _mode_panel(record: Record) -> Panel:
    heights = {mode: float(number) for number, mode in enumerate(Mode)}
    line = Line(
        "mode",
        [one.at_s for one in record.beats],
        [heights[one.decision.mode] for one in record.beats],
        "mode",
        "steps",
    )
    return Panel(
        "Mode", "", [line], [Mark(at_s, heights[mode], mode.value) for at_s, mode, _ in _modes(record)]
    )


def _marks(verdict: Verdict, signals: Sequence[str]) -> list[Mark]:
    """The worst moments of the claims about these signals."""
    found = []
    for name, made, judged in verdict.claims:
        signal = getattr(made.claim, "signal", "") if made is not None else ""
        if signal in signals and judged.worst_at_s is not None and judged.worst is not None:
            verb = "" if judged.held else "broken: "
            found.append(Mark(judged.worst_at_s, judged.worst, f"{verb}{name} {judged.worst:.0f}"))
    return found
