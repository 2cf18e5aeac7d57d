"""The verdict on a run as one self-contained page: claims, plots, and what it takes to repeat the run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from math import isnan
from typing import Any

from controller.dispatch.modes import Mode
from controller.lab.figures import OTHERS, Band, Line, Mark, Panel, stacked
from controller.lab.record import Record
from controller.lab.report import Data, Heading, Part, Plot, Table, Words, page
from controller.lab.timing import timing_rows
from controller.lab.verdict import REPEAT, Verdict, facts_of, gaps, wanted

IN_SIGHT = 0.4
"""A limit is drawn where the power in its direction comes as near as this part of it."""
WORDS = {True: "held", False: "broken", None: "not judged"}
TONES = {True: "", False: "bad", None: "quiet"}


def html(verdict: Verdict) -> str:
    """The verdict as a page."""
    scenario, record = verdict.scenario, verdict.record
    rows = [
        (str(number), name, wanted(made), WORDS[judged.held], judged.text, _at(judged.worst_at_s))
        for number, (name, made, judged) in enumerate(verdict.claims, start=1)
    ]
    modes = list(_modes(record))
    parts: list[Part] = [
        Words(scenario.why, "quiet"),
        *_outcome(verdict),
        Heading("Claims"),
        Table(
            ("", "claim", "what has to hold", "verdict", "what was seen", "worst moment"),
            rows,
            [TONES[judged.held] for _, _, judged in verdict.claims],
        ),
        Heading("What happened"),
        Plot(_figure(verdict), _caption(verdict)),
        Table(("from", "mode", "reason"), [(_at(at_s), mode.value, reason) for at_s, mode, reason in modes]),
        *_timing(verdict),
        Heading("The run"),
        Table(("", ""), list(facts_of(verdict))),
        Data("Scenario", scenario.text),
        Data("Site", scenario.site_text),
        Data(REPEAT, json.dumps(_to_repeat(verdict), indent=1)),
    ]
    return page(scenario.title, parts)


def _outcome(verdict: Verdict) -> Iterator[Words]:
    """The verdict in a line, and what is to be known of it."""
    count, broken = len(verdict.claims), sum(one.held is False for _, _, one in verdict.claims)
    if broken:
        yield Words(f"Failed: {broken} of {count} claims broken.", "bad stamp")
    elif verdict.why_not_certified:
        yield Words("Not certified.", "bad stamp")
    elif verdict.open:
        yield Words(f"Held, as far as it could be judged: {count - verdict.open} of {count} claims.", "stamp")
    else:
        yield Words(f"Passed: all {count} claims held.", "good stamp")
    if verdict.why_not_certified:
        yield Words(f"Not certified: {verdict.why_not_certified}.", "bad")
    for note in verdict.notes:
        yield Words(f"{note[0].upper()}{note[1:]}.")


def _caption(verdict: Verdict) -> str:
    parts = ["Drag over a part to enlarge it, double-click to go back."]
    if any(one.at_s < verdict.scenario.duration_s for one in verdict.scenario.faults):
        parts.insert(0, "Red bands are faults.")
    if _marks(verdict, list(verdict.record.signals)):
        parts.insert(0, "Arrows point at the worst moment of a claim, by its number.")
    return " ".join(parts)


def _to_repeat(verdict: Verdict) -> dict[str, str]:
    scenario = verdict.scenario
    return {
        "file": scenario.path.name,
        "how": verdict.how,
        "over": verdict.over or "",
        "trace_sha256": verdict.record.trace_hash,
        "scenario": scenario.text,
        "site": scenario.site_text,
    }


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
    names = record.batteries
    flows = ["pcc_import_w", "battery_discharge_w", *(f"{name}.discharge_w" for name in names)]
    levels = ["soc_pct", *(f"{name}.soc_pct" for name in names)]
    panels = [
        Panel("Power flows", "W", _flows(verdict), _marks(verdict, flows)),
        Panel("Setpoint", "W", _orders(record), _marks(verdict, ("setpoint_w", "wanted_w"))),
        _words_panel("Limited by", record, _limits(record)),
        Panel("State of charge", "%", _per_battery(record, "soc_pct"), _marks(verdict, levels)),
        _words_panel("Mode", record, [one.decision.mode.value for one in record.beats]),
    ]
    bands = [
        Band(one.at_s, min(one.end_s, scenario.duration_s), one.text)
        for one in scenario.faults
        if one.at_s < scenario.duration_s
    ]
    return stacked(panels, bands, "time, s")


def _line(record: Record, title: str, signal: str, colour: str = "", **look: Any) -> Line:
    return Line(title, record.times_s, gaps(record.signals.get(signal, [])), colour, **look)


def _flows(verdict: Verdict) -> list[Line]:
    record, scenario = verdict.record, verdict.scenario
    dispatch = scenario.config.dispatch
    flows = [
        _line(record, "from the grid", "pcc_import_w", "pcc"),
        _line(record, "load", "load_w", "load"),
        _line(record, "PV", "pv_generation_w", "pv"),
        _line(record, "battery", "battery_discharge_w", "battery"),
    ]
    imports_w = [w for w in record.signals["pcc_import_w"] if not isnan(w)]
    for title, way, limit_w in (
        ("import limit", 1.0, dispatch.import_limit_w),
        ("export limit", -1.0, dispatch.export_limit_w),
    ):
        most_w = max((way * w for w in imports_w), default=0.0)
        # A limit far away would press everything else flat.
        if limit_w is not None and most_w >= IN_SIGHT * limit_w - 1.0:
            ends = [0.0, scenario.duration_s]
            flows.append(Line(title, ends, [way * limit_w] * 2, "limit", dashed=True))
    return flows


def _orders(record: Record) -> list[Line]:
    """What was wanted, what the limits left of it, and what each device was told."""
    lines = [
        _line(record, "wanted", "wanted_w", "pcc", dashed=True, style="steps"),
        _line(record, "setpoint", "setpoint_w", "setpoint", style="steps"),
    ]
    if len(record.batteries) > 1:
        lines += _per_battery(record, "setpoint_w", style="steps")
    return lines + [
        _line(record, f"{name} cap", f"{name}.cap_w", "limit", style="steps") for name in record.pvs
    ]


def _per_battery(record: Record, what: str, **look: Any) -> list[Line]:
    """A line for each battery, of the same colour in every panel."""
    return [
        _line(record, name, f"{name}.{what}", OTHERS[number % len(OTHERS)], **look)
        for number, name in enumerate(record.batteries)
    ]


def _limits(record: Record) -> list[str]:
    """What bound the setpoint, beat by beat, in words."""
    return [one.decision.limited_by.replace("_", " ") or "nothing" for one in record.beats]


def _words_panel(title: str, record: Record, said: Sequence[str]) -> Panel:
    """What was said at each beat, those words that were never said left out."""
    words = list(dict.fromkeys(said)) or ["-"]
    places = {word: float(number) for number, word in enumerate(words)}
    times_s = [one.at_s for one in record.beats]
    line = Line(title.lower(), times_s, [places[one] for one in said], "mode", "steps", legend=False)
    return Panel(title, "", [line], words=words)


def _marks(verdict: Verdict, signals: Sequence[str]) -> list[Mark]:
    """The worst moments of the claims about these signals."""
    found = []
    for number, (_, made, judged) in enumerate(verdict.claims, start=1):
        signal = getattr(made.claim, "signal", "") if made is not None else ""
        if signal in signals and judged.worst_at_s is not None and judged.worst is not None:
            verb = "" if judged.held else " broken"
            found.append(Mark(judged.worst_at_s, judged.worst, f"{number}{verb}: {judged.worst:.0f}"))
    return found
