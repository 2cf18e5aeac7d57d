"""The disk of a scenario: what the product keeps there, seen in the folder itself."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import pytest

from controller.journal import Segment, segments
from controller.lab import disk_side
from controller.lab.disk_side import damage
from controller.lab.hil import run_scenario
from controller.lab.record import Record
from controller.lab.scenario import load_scenario
from controller.store import DamagedError, Store
from controller.store_read import read_only

SCENARIOS = Path(__file__).parents[1] / "scenarios"


def run_in(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A scenario of the library whose disk is this folder."""
    monkeypatch.setattr("controller.lab.disk_side.TemporaryDirectory", lambda **_: nullcontext(str(folder)))
    return run_scenario(load_scenario(SCENARIOS / f"{name}.toml"))


def aside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.aside-*"))


def alarmed_s(record: Record, name: str) -> float:
    """How long an alarm rang; a sample is taken each quarter of a second."""
    return 0.25 * sum(record.signals[name])


def test_while_the_disk_is_full_nothing_is_lost_and_afterwards_all_is_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = run_in(tmp_path, "disk_full", monkeypatch)
    assert 100.0 < alarmed_s(record, "disk_alarm") < 205.0
    # A beat each second from 0 to 300 s, and the stop.
    kept = [one for path in segments(tmp_path / "0" / "journal") for one in Segment(path).cycles()]
    assert [one.aside.seq for one in kept] == list(range(1, 303))
    assert read_only(tmp_path / "0").alarms == []


def test_a_read_only_disk_is_asked_again_every_ten_seconds_and_not_more_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_at_s: list[float] = []
    struck = disk_side._Trouble.error

    def counted(trouble: disk_side._Trouble) -> OSError | None:
        error = struck(trouble)
        if error is not None:
            asked_at_s.append(trouble._loop.time())
        return error

    monkeypatch.setattr(disk_side._Trouble, "error", counted)
    record = run_in(tmp_path, "disk_read_only", monkeypatch)
    assert alarmed_s(record, "disk_alarm") > 100.0
    assert len(asked_at_s) > 5
    waits_s = [later - before for before, later in pairwise(asked_at_s)]
    assert min(waits_s) >= 10.0, "no storm of retries"


def test_after_a_sync_that_failed_the_state_is_in_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = run_in(tmp_path, "disk_sync_fails", monkeypatch)
    assert 0.0 < alarmed_s(record, "disk_alarm") < 60.0
    assert aside(tmp_path / "0") != [], "the file of which nobody knows what is in it"
    assert read_only(tmp_path / "0").alarms == []


def test_a_damaged_state_is_set_aside_and_never_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_in(tmp_path, "state_damaged", monkeypatch)
    assert aside(tmp_path / "1") == ["state.db.aside-1"]
    # Then the newest and the copy of the start before, both of a later version.
    assert aside(tmp_path / "2") == ["state.db.aside-1", "state.db.aside-2", "state.db.aside-3"]


@pytest.mark.parametrize("how", ["flipped", "torn", "empty", "newer"])
def test_a_state_file_can_be_damaged_in_each_way(how: str, tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = Store(path)
    store.prepare()
    store.save({"state": "x" * 5000})
    store.close()
    damage(path, how)
    store = Store(path)
    if how == "empty":
        store.prepare()
        assert store.read().documents == {}, "as if it were the first start"
    else:
        with pytest.raises(DamagedError):
            store.prepare()
    store.close()
    damage(tmp_path / "not-there.db", how)
    assert not (tmp_path / "not-there.db").exists()
