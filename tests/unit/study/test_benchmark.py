"""The benchmark: what a controller sees, what is counted, and how another one is plugged in."""

from __future__ import annotations

import re
import sys
from array import array
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from controller.errors import RunError
from controller.lab.study import contest_run
from controller.lab.study.benchmark import (
    Answer,
    Contest,
    Controller,
    Score,
    Told,
    View,
    bounds,
    compared,
    played,
    run,
)
from controller.lab.study.contest_run import plugged_in, table_of
from controller.lab.study.contests import contests
from controller.lab.study.rivals import LpMpc, Penstock
from drivers.doors import DoorError
from simulators.traces import StepTrace

DOCS = Path("docs/studies.md")


def short(contest: Contest, from_h: int, hours: int) -> Contest:
    """Some hours of its first day."""
    traces = contest.material.traces
    begin, end = from_h * 60, (from_h + hours) * 60
    cut = replace(
        traces,
        load=StepTrace(60.0, array("d", traces.load.values[begin:end])),
        pv=StepTrace(60.0, array("d", traces.pv.values[begin:end])),
        start=traces.timestamp(begin),
    )
    return replace(contest, material=replace(contest.material, traces=cut))


@dataclass
class Always:
    """Orders the same, whatever happens."""

    battery_discharge_w: float = 0.0
    name: str = "always"
    told: Told | None = None
    seen: tuple[View, ...] = ()

    def begin(self, told: Told) -> None:
        self.told = told

    def order(self, view: View) -> Answer:
        self.seen = (*self.seen[-3:], view)
        return Answer(self.battery_discharge_w)


def compete(contest: Contest, *controllers: Controller) -> list[Score]:
    """All of them on one site, between its bounds."""
    return compared(bounds(contest), [played(contest, one) for one in controllers])


@pytest.fixture(scope="module")
def home() -> Contest:
    return short(contests(2)[0], 8, 6)


def test_a_battery_that_rests_costs_as_much_as_none(home: Contest) -> None:
    scores = {one.controller: one for one in compete(home, Always())}
    assert scores["always"].cost == pytest.approx(scores["no battery"].cost, abs=0.05), "but for standby"
    assert (scores["always"].writes, scores["always"].full_cycles) == (0, 0.0)
    assert scores["perfect foresight"].cost <= scores["always"].cost
    assert table_of(list(scores.values()), 1).row_count == 4, "the site, and three lines"


def test_this_controller_and_its_rival_save_and_keep_the_limits() -> None:
    a_day = short(contests(2)[1], 0, 24)
    scores = compete(a_day, Penstock("self_consumption"), LpMpc())
    for one in scores[1:3]:
        assert one.cost < scores[0].cost, one.controller
        assert one.violation_s == 0.0
        assert one.writes > 0


def test_the_benchmark_plays_every_site_with_every_controller_and_shows_it_between_its_bounds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a_noon = tuple(short(one, 12, 1) for one in contests(2)[:2])
    monkeypatch.setattr(contest_run, "_contests", lambda days: a_noon)
    scores = contest_run.run_benchmark(2, (), jobs=1)
    shown = ["no battery", "self_consumption", "economic", "LP-MPC", "perfect foresight"]
    assert [(one.site, one.controller) for one in scores] == [
        (site.name, name) for site in a_noon for name in shown
    ]
    assert "home, time of use, no export" in capsys.readouterr().out
    assert scores[1] == compete(a_noon[0], Penstock("self_consumption"))[1]


class Interrupted(Always):
    """Somebody presses Ctrl-C while it plays."""

    def order(self, view: View) -> Answer:
        raise KeyboardInterrupt


def test_an_interrupted_benchmark_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    a_noon = (short(contests(2)[0], 12, 1),)
    monkeypatch.setattr(contest_run, "_contests", lambda days: a_noon)
    monkeypatch.setitem(contest_run.OWN, "LP-MPC", Interrupted)
    with pytest.raises(RunError, match="interrupted with 1 of 4 runs done"):
        contest_run.run_benchmark(2, (), jobs=1)


def test_exporting_where_nothing_may_be_exported_is_counted_in_seconds() -> None:
    zero = short(contests(2)[1], 0, 1)
    books = run(zero, Always(3000.0))
    assert books.verdict.violation_s > 3000.0
    assert run(zero, Always(0.0)).verdict.violation_s == 0.0


def test_this_controller_is_asked_until_a_load_that_fell_by_two_kilowatts_is_dealt_with() -> None:
    a_morning = short(contests(20)[1], 18 * 24 + 6, 1)
    load_w = a_morning.material.traces.load.values
    assert load_w[56] - load_w[57] > 1900.0, "the kettle is done"
    assert run(a_morning, Penstock("self_consumption")).verdict.violation_s == 0.0


def test_a_controller_sees_prices_as_far_as_they_are_published_and_its_past(home: Contest) -> None:
    before, after = Always(), Always()
    run(short(contests(2)[0], 11, 1), before)
    run(short(contests(2)[0], 13, 1), after)
    # At 11:45 today's last 49 quarter hours are known, at 13:45 those of tomorrow too: 41 + 96.
    assert len(before.seen[-1].import_per_kwh) == 49
    assert len(after.seen[-1].import_per_kwh) == 137
    assert len(after.seen[-1].past_net_load_w) == 3
    assert after.told is not None
    assert after.told.storage.capacity_wh == 10_000.0


def test_the_meter_that_lies_lies_to_the_controller_and_not_to_the_books() -> None:
    lying = short(contests(2)[3], 0, 1)
    fault = replace(lying.meter_faults[0], begin_h=0.25, end_h=1.0)
    seen = Always()
    run(replace(lying, meter_faults=(fault,)), seen)
    meters = {view.snapshot.meter.pcc_import_w for view in seen.seen if view.snapshot.meter is not None}
    assert len(meters) == 1, "frozen since a quarter past midnight"


def test_the_controller_of_the_page_can_be_plugged_in(
    home: Contest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    (tmp_path / "from_the_page.py").write_text(found[1], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    controller = plugged_in("from_the_page:NightAndDay")
    scores = compete(short(home, 0, 1), controller)
    assert scores[1].controller == "night and day"
    sys.modules.pop("from_the_page")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nowhere:At", "no module:Class that can be made"),
        ("json:JSONDecoder", "has no name"),
        ("json", "no module:Class"),
    ],
)
def test_what_cannot_take_part_is_said(place: str, said: str) -> None:
    with pytest.raises(DoorError, match=said):
        plugged_in(place)
