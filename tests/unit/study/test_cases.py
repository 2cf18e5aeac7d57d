"""A small study through and through: the closed loop, no battery and perfect foresight on one bill."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from controller.lab.study.asked import Study, asked, read_tariff
from controller.lab.study.case import NO_BATTERY, ORACLE, Case, Outcome, run_case
from controller.lab.study.page import Frame, study_page
from controller.lab.study.shown import COLUMNS, rows_of, saving, share_pct, table_of, write_csv, write_parquet
from controller.lab.study.work import Notebook, run_here
from drivers.doors import DoorError
from tests.unit.study.sites import a_site, billed_site, case_of, material_of, measured


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("study")
    policies = ("self_consumption", "economic")
    return asked(a_site(folder), [measured(folder)], None, (8000.0,), (3000.0,), policies)


@pytest.fixture(scope="module")
def outcomes(study: Study) -> dict[Case, Outcome]:
    return run_here(study.materials, study.cases, 1, lambda outcome: None)


def test_without_a_battery_the_bill_is_that_of_load_less_sun(study: Study) -> None:
    one = run_case(material_of(study), case_of(study, NO_BATTERY))
    material = material_of(study)
    by_hand = 6.0 * 14 / 31
    for row, (load_w, pv_w) in enumerate(
        zip(material.traces.load.values, material.traces.pv.values, strict=True)
    ):
        net_kwh = (load_w - pv_w) / 1000.0
        price = 0.40 if 6 <= row % 24 < 22 else 0.20
        by_hand += net_kwh * (price if net_kwh > 0.0 else 0.08)
    assert one.cost == pytest.approx(by_hand, abs=0.01)
    assert (one.full_cycles, one.survived_pct) == (0.0, ())


@pytest.mark.parametrize("minutes", [4, 10, 12, 20, 30])
def test_any_even_step_of_the_data_is_studied_and_billed_as_it_is(tmp_path: Path, minutes: int) -> None:
    path = measured(tmp_path, days=2, minutes=minutes)
    found = asked(a_site(tmp_path), [path], None, (8000.0,), (3000.0,), ("self_consumption",))
    costs = [run_case(material_of(found), case).cost for case in found.cases]
    none, own, best = costs[0], costs[1], costs[-1]
    assert [case.policy for case in found.cases] == [NO_BATTERY, "self_consumption", ORACLE]
    # The same house by the hour pays 0.2 EUR less at most: within an hour import and export cancel.
    hourly = asked(a_site(tmp_path), [measured(tmp_path, days=2)], None, (8000.0,), (3000.0,), ())
    assert none == pytest.approx(run_case(material_of(hourly), case_of(hourly, NO_BATTERY)).cost, abs=0.2)
    assert best < own < none


def test_no_controller_beats_perfect_foresight_and_each_beats_no_battery(
    study: Study, outcomes: dict[Case, Outcome]
) -> None:
    for policy in ("self_consumption", "economic"):
        case = case_of(study, policy)
        share = share_pct(outcomes, case)
        assert share is not None
        assert 0.0 < share <= 100.5, policy
        assert saving(outcomes, case) > 0.0
        assert outcomes[case].violations == 0
    assert share_pct(outcomes, case_of(study, ORACLE)) == pytest.approx(100.0)
    assert share_pct(outcomes, case_of(study, NO_BATTERY)) is None


def test_what_the_battery_takes_and_gives_is_on_the_meter(
    study: Study, outcomes: dict[Case, Outcome]
) -> None:
    for policy in ("self_consumption", ORACLE):
        one, none = outcomes[case_of(study, policy)], outcomes[case_of(study, NO_BATTERY)]
        moved_kwh = one.charged_kwh - one.discharged_kwh
        grid_kwh = (one.import_kwh - one.export_kwh) - (none.import_kwh - none.export_kwh)
        assert grid_kwh == pytest.approx(moved_kwh, abs=0.5), policy


def test_each_outcome_survives_being_written_down(outcomes: dict[Case, Outcome]) -> None:
    for one in outcomes.values():
        assert Outcome.from_json(one.to_json()) == one


def test_an_interrupted_study_goes_on_where_it_was(
    study: Study, outcomes: dict[Case, Outcome], tmp_path: Path
) -> None:
    digests = {name: material.digest for name, material in study.materials.items()}
    path = tmp_path / "done.jsonl"
    notebook = Notebook(path, digests)
    for case in study.cases[:2]:
        notebook.note(outcomes[case])
    with path.open("a") as file:
        file.write('{"digest": "torn')
    assert set(Notebook(path, digests).done) == set(study.cases[:2])


def test_what_was_computed_from_other_data_is_not_taken(
    study: Study, outcomes: dict[Case, Outcome], tmp_path: Path
) -> None:
    path = tmp_path / "done.jsonl"
    digests = {name: material.digest for name, material in study.materials.items()}
    Notebook(path, digests).note(outcomes[study.cases[0]])
    assert Notebook(path, dict.fromkeys(digests, "other")).done == {}
    material = material_of(study)
    assert replace(material, tariff=replace(material.tariff, fixed_per_day=1.0)).digest != material.digest


def test_the_same_watts_or_prices_at_other_times_are_other_material(study: Study) -> None:
    material = material_of(study)
    traces, market = material.traces, material.market
    later = replace(traces, start=traces.start + timedelta(hours=5))
    faster = replace(traces, step_s=traces.step_s / 2.0)
    elsewhere = replace(traces, offsets=((0, timedelta(hours=2)),))
    others = [replace(material, traces=one) for one in (later, faster, elsewhere)]
    others.append(replace(material, market=replace(market, first=market.first + 1)))
    assert len({material.digest, *(one.digest for one in others)}) == 5
    assert replace(material, traces=replace(traces)).digest == material.digest


def test_two_processes_compute_the_same_as_one(study: Study, outcomes: dict[Case, Outcome]) -> None:
    cases = [case_of(study, NO_BATTERY), case_of(study, ORACLE), case_of(study, "self_consumption")]
    assert run_here(study.materials, cases, 2, lambda outcome: None) == {
        case: outcomes[case] for case in cases
    }


def test_the_figures_are_the_same_on_screen_in_csv_and_in_parquet(
    study: Study, outcomes: dict[Case, Outcome], tmp_path: Path
) -> None:
    import pyarrow.parquet

    rows = rows_of(outcomes, study.cases)
    write_csv(tmp_path / "study.csv", rows)
    write_parquet(tmp_path / "study.parquet", rows)
    lines = (tmp_path / "study.csv").read_text().splitlines()
    assert lines[0].split(",") == list(COLUMNS)
    assert len(lines) == len(study.cases) + 1
    assert pyarrow.parquet.read_table(tmp_path / "study.parquet").to_pylist() == rows
    assert table_of(outcomes, study.cases, "EUR").row_count == len(study.cases)


def test_the_table_fits_a_terminal_of_80_columns(study: Study, outcomes: dict[Case, Outcome]) -> None:
    console = Console(width=80, file=StringIO())
    console.print(table_of(outcomes, study.cases, "EUR"))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "perfect foresight" in text
    assert "no limit was broken" in text
    assert "…" not in text


def larger(outcomes: dict[Case, Outcome], factor: float) -> dict[Case, Outcome]:
    """The same on a site that is so much larger."""
    names = ("import_kwh", "export_kwh", "energy_cost", "export_credit", "fixed_cost", "stored_cost")
    found = {}
    for case, one in outcomes.items():
        changes = {name: factor * getattr(one, name) for name in names}
        found[case] = replace(one, monthly_peak_w=tuple(factor * w for w in one.monthly_peak_w), **changes)
    return found


@pytest.mark.parametrize("factor", [0.01, 1.0, 1000.0, 100_000.0])
@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_number_of_the_table_is_ever_cut(
    study: Study, outcomes: dict[Case, Outcome], factor: float, width: int
) -> None:
    found = larger(outcomes, factor)
    console = Console(width=width, file=StringIO())
    console.print(table_of(found, study.cases, "EUR", width))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "…" not in text
    for case in study.cases:
        costs = (f"{found[case].cost:,.2f}", f"{found[case].cost:,.0f}")
        assert any(cost in text.split() for cost in costs), "whole, on one line"
    assert ("see study.csv" in text) == (width == 60 or (factor >= 1000.0 and width == 80))


def test_the_parts_that_are_shown_add_up_to_the_cost(study: Study, outcomes: dict[Case, Outcome]) -> None:
    empty = {case: replace(one, stored_cost=1.25) for case, one in outcomes.items()}
    for row in rows_of(empty, study.cases):
        billed = [row[name] for name in ("energy_cost", "demand_cost", "fixed_cost", "wear_cost")]
        parts = [*billed, row["stored_cost"], -float(row["export_credit"] or 0.0)]
        assert sum(float(one or 0.0) for one in parts) == pytest.approx(float(row["cost"] or 0.0))
    frame = Frame("small", "EUR", "the tariff", {"spring": 14.0})
    text = study_page(frame, empty, study.cases)
    assert '<th class="number">emptier at the end</th>' in text
    assert '<td class="number">1.25</td>' in text
    assert "emptier at the end" not in study_page(
        frame, {case: replace(one, stored_cost=0.0) for case, one in outcomes.items()}, study.cases
    )


def test_the_page_shows_peaks_as_the_demand_charge_counts_them(tmp_path: Path) -> None:
    site = billed_site(tmp_path, "window_min = 60")
    found = asked(site, [measured(tmp_path, 3, minutes=15)], None, (), (), ("standby",))
    outcomes = run_here(found.materials, found.cases, 1, lambda outcome: None)
    ((month, name, kw),) = outcomes[case_of(found, NO_BATTERY)].demand_peaks
    load, sun = material_of(found).traces.load.values, material_of(found).traces.pv.values
    net_w = [max(one - two, 0.0) for one, two in zip(load, sun, strict=True)]
    assert (month, name) == ("2025-05", "peak")
    assert kw == pytest.approx(max(sum(net_w[row : row + 4]) / 4000.0 for row in range(0, len(net_w), 4)))
    frame = Frame("small", "EUR", "t", {"spring": 3.0}, window_min={"peak": 60.0})
    text = study_page(frame, outcomes, found.cases)
    assert "Highest import of each month: demand charge peak" in text
    assert "The highest mean over 60 min of the clock among those that this demand charge counts" in text


def test_what_saves_nothing_is_not_said_to_save(study: Study, outcomes: dict[Case, Outcome]) -> None:
    dear = {
        case: one if case.policy in (NO_BATTERY, ORACLE) else replace(one, energy_cost=1000.0)
        for case, one in outcomes.items()
    }
    frame = Frame("small", "EUR", "the tariff", {"spring": 14.0}, cost_per_kwh=400.0)
    text = study_page(frame, dear, study.cases)
    assert "none of these saves anything. Nearest is 8 kWh / 3 kW" in text
    assert "none pays for itself within 15 years.</p>" in text
    assert "costs least" not in text
    assert "-" not in text[text.index("none of these saves") :].split("</p>")[0], (
        "no negative saving or share"
    )


def test_the_page_says_what_pays_and_needs_no_network(study: Study, outcomes: dict[Case, Outcome]) -> None:
    frame = Frame("small", "EUR", "the tariff", {"spring": 14.0}, cost_per_kwh=400.0)
    text = study_page(frame, outcomes, study.cases)
    assert "the bill is lowest with" in text
    assert "Years until it has paid for itself" in text
    assert "<script src=" not in text


@pytest.mark.parametrize(
    ("per_kwh", "words"),
    [(1.0, "is best: its price of 8 EUR is back after"), (9000.0, "none pays for itself within 15 years")],
)
def test_with_a_price_the_page_says_what_to_buy_or_not_to(
    study: Study, outcomes: dict[Case, Outcome], per_kwh: float, words: str
) -> None:
    frame = Frame("small", "EUR", "the tariff", {"spring": 14.0}, cost_per_kwh=per_kwh)
    assert words in study_page(frame, outcomes, study.cases)


def test_the_state_of_charge_is_shown_by_the_hours_of_the_local_clock(
    study: Study, outcomes: dict[Case, Outcome]
) -> None:
    one = outcomes[case_of(study, "self_consumption")]
    assert one.first_day == "2025-05-05"
    assert len(one.soc_by_day) == 14
    assert all(hour is not None for day in one.soc_by_day for hour in day)


def test_a_tariff_that_is_not_there_or_not_right_is_said(tmp_path: Path) -> None:
    (tmp_path / "none.toml").write_text("site = 'x'\n")
    with pytest.raises(DoorError, match=r"has no \[tariff\] table"):
        read_tariff(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text(
        "[tariff]\ncurrency = 'EUR'\n[tariff.import]\nper_kwh = 0.3\nmarket = true\n"
    )
    with pytest.raises(DoorError, match=r"bad\.toml.*tariff\.import: says more than one price"):
        read_tariff(tmp_path / "bad.toml")
    (tmp_path / "rate.json").write_text("[]")
    with pytest.raises(DoorError, match=r"rate\.json"):
        read_tariff(tmp_path / "rate.json")


def test_where_what_is_bought_could_be_sold_dearer_the_study_says_that_it_knows_no_bound(
    tmp_path: Path,
) -> None:
    site = a_site(tmp_path)
    dear = site.read_text(encoding="utf-8").replace("per_kwh = 0.08", "per_kwh = 0.50")
    site.write_text(dear, encoding="utf-8")
    one_way = asked(site, [measured(tmp_path, 6)], None, (), (), ("self_consumption",))
    assert ORACLE in {case.policy for case in one_way.cases}, "nothing is sold from the battery"
    site.write_text(dear.replace("grid_charging = true", "grid_charging = true\nbattery_export = true"))
    both = asked(site, [measured(tmp_path, 6)], None, (), (), ("self_consumption",))
    assert {case.policy for case in both.cases} == {NO_BATTERY, "self_consumption"}
    assert "in 144 of 144 steps export earns more than import costs" in both.notes[-1]
    outcomes = run_here(both.materials, both.cases, 1, lambda outcome: None)
    assert share_pct(outcomes, both.cases[-1]) is None
    assert table_of(outcomes, both.cases, "EUR").row_count >= len(both.cases)
    frame = Frame("small", "EUR", "a tariff", {"spring": 6.0}, 0.0, 0.0, 15.0, both.notes, "")
    assert both.notes[-1] in study_page(frame, outcomes, both.cases)
