"""The verdict on a run: claims judged, as JUnit XML and as a JSON trace; as a page in `verdict_page.py`."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any
from xml.etree import ElementTree

from controller import __version__
from controller.lab.claims import Claim, Judged
from controller.lab.hil import How
from controller.lab.lines import Way
from controller.lab.mixed import slack_s, why_open, widened
from controller.lab.record import Record
from controller.lab.scenario import ClaimMade, Scenario
from controller.lab.timing import why_not_certified
from drivers.doors import one_line
from simulators.faults.host import Stalled

BALANCE_PART = 1e-9
REPEAT = "What it takes to repeat this run"
"""The part of a page that a repetition reads."""
HOWS = {"fast": "the bare step", "virtual": "the whole shell in virtual time", "real": "in real time"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One run and what came of each claim; the last is always that the plant's energy books close."""

    scenario: Scenario
    how: How
    record: Record
    claims: tuple[tuple[str, ClaimMade | None, Judged], ...]
    real: frozenset[str] = frozenset()
    slack_s: float = 0.0
    """By how much times are judged wider, for real devices are seen late."""
    over: Way | None = None
    """Of what kind all wires were; None: of the kind that the site file says."""

    @property
    def held(self) -> bool:
        """Whether no claim was broken."""
        return all(judged.held is not False for _, _, judged in self.claims)

    @property
    def open(self) -> int:
        """How many claims could not be judged."""
        return sum(judged.held is None for _, _, judged in self.claims)

    @property
    def notes(self) -> list[str]:
        """What is to be known of a run with real devices before its verdict is believed."""
        if not self.real:
            return []
        cycle_s = self.scenario.config.cycle_s
        found = [
            f"with {' and '.join(sorted(self.real))} real, times are judged {self.slack_s:.2f} s wider: "
            f"a cycle of {cycle_s:g} s and {self.slack_s - cycle_s:.2f} s that readings came late at worst"
        ]
        if self.open:
            found.append(f"{self.open} of {len(self.claims)} claims could not be judged")
        return found

    @property
    def why_not_certified(self) -> str:
        """Why a run in real time proves nothing; empty if it does."""
        if self.how != "real":
            return ""
        beats = [(one.at_s, one.timing) for one in self.record.beats if one.timing is not None]
        faults = self.scenario.faults
        stalls = [(one.at_s, one.end_s) for one in faults if isinstance(one.made(), Stalled)]
        return why_not_certified(beats, self.scenario.config.cycle_s, stalls)


OF_THE_SHELL = ("broker_reached", "disk_alarm", "set_aside_alarm")


def judge(
    scenario: Scenario,
    how: How,
    record: Record,
    real: frozenset[str] = frozenset(),
    over: Way | None = None,
) -> Verdict:
    """All claims of a scenario on the record of a run, with these devices real."""
    wider_s = slack_s(scenario, record) if real else 0.0

    def judged(claim: Claim) -> Judged:
        why = why_open(claim, scenario, real)
        if how == "fast" and getattr(claim, "signal", "") in OF_THE_SHELL:
            why = "only the whole shell has a broker and a disk"
        return Judged(None, why) if why else widened(claim, wider_s).judge(record)

    found: list[tuple[str, ClaimMade | None, Judged]] = [
        (one.claim.name, one, judged(one.claim)) for one in scenario.claims
    ]
    through_wh = record.energies["load"][-1] + record.energies["pv"][-1] + record.energies["charged"][-1]
    closes = record.imbalance_wh <= BALANCE_PART * max(through_wh, 1.0)
    text = f"the plant's books are {record.imbalance_wh:.1e} Wh apart, of {through_wh:.1f} Wh"
    claims = (*found, ("balance", None, Judged(closes, text)))
    return Verdict(scenario, how, record, claims, real, wider_s, over)


def junit(verdicts: Sequence[Verdict], took_s: Sequence[float]) -> str:
    """The verdicts as JUnit XML: a suite for each scenario, a case for each claim."""
    root = ElementTree.Element("testsuites", name="penstock hil")
    for verdict, seconds in zip(verdicts, took_s, strict=True):
        broken = sum(judged.held is False for _, _, judged in verdict.claims)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=verdict.scenario.path.stem,
            tests=str(len(verdict.claims)),
            failures=str(broken),
            errors="0",
            skipped=str(verdict.open),
            time=f"{seconds:.3f}",
        )
        properties = ElementTree.SubElement(suite, "properties")
        why = verdict.why_not_certified
        notes = [("note", one) for one in verdict.notes]
        for name, value in [*facts_of(verdict), *notes, *([("not certified", why)] if why else [])]:
            ElementTree.SubElement(properties, "property", name=name, value=value)
        for number, (name, _, judged) in enumerate(verdict.claims, start=1):
            case = ElementTree.SubElement(
                suite, "testcase", classname=verdict.scenario.path.stem, name=f"{number} {name}", time="0"
            )
            if judged.held is None:
                ElementTree.SubElement(case, "skipped", message=judged.text)
            elif not judged.held:
                ElementTree.SubElement(case, "failure", message=judged.text).text = judged.text
    for one in root.iter():  # XML has no way to write control characters
        one.attrib = {key: one_line(value) for key, value in one.attrib.items()}
        one.text = None if one.text is None else one_line(one.text)
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
            **dict(facts_of(verdict)),
            "held": verdict.held,
            "why_not_certified": verdict.why_not_certified,
            "real": sorted(verdict.real),
            "slack_s": verdict.slack_s,
            "devices": [one.id for one in verdict.scenario.config.devices],
            "claims": [_claim(*one) for one in verdict.claims],
            "writes": record.writes,
            "times_s": record.times_s,
            "signals": {name: gaps(values) for name, values in record.signals.items()},
            "beats": beats,
        },
        allow_nan=False,
    )


def facts_of(verdict: Verdict) -> Iterator[tuple[str, str]]:
    scenario = verdict.scenario
    yield "scenario", scenario.path.name
    yield "title", scenario.title
    yield "run as", f"{HOWS[verdict.how]}{f', over {verdict.over}' if verdict.over else ''}"
    if verdict.real:
        yield "real devices", ", ".join(sorted(verdict.real))
    yield "seed", str(scenario.seed)
    yield "seconds", f"{scenario.duration_s:g}"
    yield "decisions", str(len(verdict.record.beats))
    yield "trace_sha256", verdict.record.trace_hash
    yield "penstock", __version__
    yield "python", platform.python_version()


def _claim(name: str, made: ClaimMade | None, judged: Judged) -> dict[str, Any]:
    return {
        "claim": name,
        "wanted": wanted(made),
        "held": judged.held,
        "text": judged.text,
        "worst_at_s": judged.worst_at_s,
        "worst": judged.worst,
    }


def wanted(made: ClaimMade | None) -> str:
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


def gaps(values: Sequence[float]) -> list[float | None]:
    return [None if isnan(value) else value for value in values]
