"""A replay as a page: what was recorded, what was or would have been decided, and what that comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from controller.dispatch.decision import Decision
from controller.dispatch.modes import Mode
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from controller.energy import NOTHING_COUNTED, Books, count
from controller.journal import Recorded, Segment
from controller.lab.figures import Band, Line, Panel, stacked
from controller.lab.replay import Replay
from controller.lab.replay_words import at, decided, device_errors, heading, settings_changed, verdict
from controller.lab.report import Data, Heading, Part, Plot, Table, Words, page
from controller.settings_text import flat

MOST_POINTS = 6000
MOST_LINES = 60
LABELLED_PART = 0.06
"""A band narrower than this part of the plot has no room for its word."""


@dataclass(slots=True)
class _Curves:
    """One side of the comparison."""

    pcc_w: list[float | None] = field(default_factory=list)
    battery_w: list[float | None] = field(default_factory=list)
    soc_pct: list[float | None] = field(default_factory=list)
    setpoint_w: list[float | None] = field(default_factory=list)

    def add(self, config: DispatchConfig, snapshot: Snapshot, decision: Decision | None) -> None:
        meter = snapshot.meter
        self.pcc_w.append(None if meter is None else meter.pcc_import_w)
        batteries = [one for one in snapshot.batteries if one is not None]
        whole = len(batteries) == len(snapshot.batteries)
        self.battery_w.append(sum(one.battery_discharge_w for one in batteries) if whole else None)
        pairs = [
            (one.soc_pct, two.capacity_wh) for one, two in zip(batteries, config.batteries, strict=False)
        ]
        known = [(soc_pct, wh) for soc_pct, wh in pairs if soc_pct is not None]
        capacity_wh = sum(wh for _, wh in known)
        self.soc_pct.append(
            sum(soc_pct * wh for soc_pct, wh in known) / capacity_wh if whole and capacity_wh else None
        )
        self.setpoint_w.append(None if decision is None else decision.setpoint_w)


class Page:
    """Watches replays and draws them when all are done."""

    def __init__(self, config: DispatchConfig | None) -> None:
        self._other = config
        self._config = config
        self._x: list[datetime | float] = []
        self._recorded, self._replayed = _Curves(), _Curves()
        self._pv_w: list[float | None] = []
        self._books: tuple[Books, Books] = (NOTHING_COUNTED, NOTHING_COUNTED)
        self._bands: list[Band] = []
        self._band_mode: Mode | None = None
        self._events: list[tuple[str, str]] = []
        self._last_text = ""
        self._differ_from: datetime | float | None = None
        self.parts: list[Part] = []

    def begin(self, segment: Segment) -> None:
        """The next segment, which goes on where the one before ended."""
        self._segment = segment
        self._settings = segment.start.config

    def watch(self, recorded: Recorded, snapshot: Snapshot, decision: Decision | None) -> None:
        """One cycle."""
        was = recorded.snapshot
        when: datetime | float = was.now_s if was.utc_s is None else datetime.fromtimestamp(was.utc_s, UTC)
        self._x.append(when)
        self._recorded.add(self._settings, was, recorded.decision)
        self._replayed.add(self._settings, snapshot, decision)
        pvs = [one for one in was.pvs if one is not None]
        self._pv_w.append(
            sum(one.pv_generation_w for one in pvs) if pvs and len(pvs) == len(was.pvs) else None
        )
        by_power = [_without_counters(one) for one in (was, snapshot)]
        self._books = (
            count(self._settings, self._books[0], by_power[0]),
            count(self._settings, self._books[1], by_power[1]),
        )
        if recorded.decision is not None:
            self._mark_mode(when, recorded.decision.mode)
            self._tell(when, recorded)
        if decision != recorded.decision and self._differ_from is None:
            self._differ_from = when

    def ended(self, result: Replay) -> None:
        """The segment has been replayed."""
        self.parts.append(Heading(heading(self._segment, result)))
        tone = "good" if result.first is None else "" if self._other else "bad"
        lines = verdict(self._segment, result, self._other is not None, with_course=False)
        self.parts += [Words(line.strip(), tone) for line in lines]

    def html(self, title: str) -> str:
        """The page."""
        parts: list[Part] = list(self.parts)
        if self._other is not None:
            parts.append(Heading("Settings that were changed"))
            lines = settings_changed(self._settings, self._other)
            parts.append(Table(("setting",), [(line,) for line in lines] or [("none",)]))
            parts += [Heading("What it comes to"), self._table(), Words(_ASSUMPTION, "quiet")]
        if self._x:
            parts.append(Plot(stacked(self._panels(), self._all_bands(), "UTC"), _CAPTION))
        parts.append(Heading("What happened"))
        parts.append(Table(("time", "what"), self._events[-MOST_LINES:]))
        settings = "\n".join(f"{path} = {value}" for path, value in flat(self._settings).items())
        parts.append(Data("Settings of the recording", settings))
        return page(title, parts)

    def _mark_mode(self, when: Any, mode: Mode) -> None:
        if mode is self._band_mode:
            if self._bands and mode is not Mode.RUNNING:
                last = self._bands[-1]
                self._bands[-1] = Band(last.begin, when, last.text, last.kind)
            return
        self._band_mode = mode
        if mode is not Mode.RUNNING:
            self._bands.append(Band(when, when, mode.value, "outage" if mode is Mode.ISLANDED else "fault"))

    def _all_bands(self) -> list[Band]:
        """Short ones without their word, where it would stand in the next one's."""
        span = _seconds(self._x[0], self._x[-1])
        bands = [
            one if _seconds(one.begin, one.end) > LABELLED_PART * span else replace(one, text="")
            for one in self._bands
        ]
        if self._differ_from is not None and self._other is None:
            bands.append(Band(self._differ_from, self._x[-1], "decided differently", "claim"))
        return bands

    def _tell(self, when: Any, recorded: Recorded) -> None:
        """A line whenever the mode, the limit or a device's complaint is a new one."""
        decision = recorded.decision
        assert decision is not None, "only cycles with a decision are told"
        errors = tuple(device_errors(self._segment, recorded))
        text = f"{decision.mode.value}{decision.policy}{decision.limited_by}{decision.missing != ''}{errors}"
        if text != self._last_text:
            self._last_text = text
            snapshot = recorded.snapshot
            words = "; ".join((decided(decision), *errors))
            self._events.append((at(snapshot.utc_s, snapshot.now_s), words))

    def _panels(self) -> list[Panel]:
        pick = slice(None, None, max(len(self._x) // MOST_POINTS, 1))
        x = self._x[pick]
        was, now = self._recorded, self._replayed

        def lines(name: str, colour: str, recorded: Sequence[Any], replayed: Sequence[Any]) -> list[Line]:
            shown = [Line(f"{name}, recorded", x, recorded[pick], colour)]
            if self._other is not None:
                shown.append(Line(f"{name}, with the change", x, replayed[pick], "setpoint", dashed=True))
            return shown

        orders = [Line("battery ordered, recorded", x, was.setpoint_w[pick], "battery", "steps")]
        orders.append(Line("battery ordered, replayed", x, now.setpoint_w[pick], "setpoint", "steps", True))
        return [
            Panel("Grid (import is positive)", "W", lines("grid", "pcc", was.pcc_w, now.pcc_w)),
            Panel("Battery orders (discharge is positive)", "W", orders),
            Panel(
                "Battery and PV as measured",
                "W",
                [
                    *lines("battery", "battery", was.battery_w, now.battery_w),
                    Line("PV", x, self._pv_w[pick], "pv"),
                ],
            ),
            Panel("State of charge", "%", lines("SoC", "soc", was.soc_pct, now.soc_pct)),
        ]

    def _table(self) -> Table:
        was, now = (one.totals for one in self._books)
        rows: list[tuple[str, ...]] = []
        for name, words in _ENERGIES:
            before_wh, after_wh = getattr(was, name), getattr(now, name)
            change_wh = after_wh - before_wh
            row = (words, f"{before_wh / 1000:.2f}", f"{after_wh / 1000:.2f}", f"{change_wh / 1000:+.2f}")
            rows.append(row)
        ends_pct = [
            next((one for one in reversed(each.soc_pct) if one is not None), None)
            for each in (self._recorded, self._replayed)
        ]
        if ends_pct[0] is not None and ends_pct[1] is not None:
            soc = [f"{one:.1f} %" for one in ends_pct if one is not None]
            rows.append(("state of charge at the end", *soc, f"{ends_pct[1] - ends_pct[0]:+.1f} %"))
        return Table(("kWh", "recorded", "with the change", "difference"), rows)


def _seconds(begin: Any, end: Any) -> float:
    return float(end - begin) if isinstance(end, float) else float((end - begin).total_seconds())


def _without_counters(snapshot: Snapshot) -> Snapshot:
    """The meter's own counters know nothing of a what-if; both sides are counted by power."""
    meter = snapshot.meter
    if meter is None:
        return snapshot
    return replace(snapshot, meter=replace(meter, import_wh=None, export_wh=None))


_ENERGIES = (
    ("import_wh", "from the grid"),
    ("export_wh", "into the grid"),
    ("charge_wh", "into the batteries"),
    ("discharge_wh", "out of the batteries"),
)
_ASSUMPTION = (
    "With the change, house and sun are taken as recorded, and each battery as following its new orders at "
    "once and without losses."
)
_CAPTION = "Shaded: not RUNNING, or from where on the decisions differ."
