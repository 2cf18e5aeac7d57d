"""The store: what was acknowledged is there again, whatever was cut off, flipped or changed meanwhile."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from controller.store import (
    BEFORE,
    MOST_COMMANDS,
    NAME,
    NEXT,
    Kept,
    Store,
    StoreError,
    broken_at,
    open_store,
    rewrite,
    set_aside,
)
from controller.store_read import audit_trail, read_only

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"


def kept_in(folder: Path) -> Kept:
    store, kept = open_store(folder)
    store.close()
    return kept


def filled(folder: Path, saves: int = 3) -> None:
    store, _ = open_store(folder)
    for number in range(1, saves + 1):
        store.save(
            {"state": f"the state of save {number}", "orders": f"orders {number}"},
            f"command-{number}",
            [(1_800_000_000.0 + number, "owner", f"import_limit_w {number}000")],
        )
    store.close()


def change(folder: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / NAME)) as db, db:
        db.execute(sql, values)


def test_a_new_folder_is_made_and_holds_nothing(tmp_path: Path) -> None:
    assert kept_in(tmp_path / "a" / "b") == Kept({}, (), [])


def test_what_was_saved_is_there_again(tmp_path: Path) -> None:
    filled(tmp_path)
    kept = kept_in(tmp_path)
    assert kept.documents == {"state": "the state of save 3", "orders": "orders 3"}
    assert kept.command_ids == ("command-1", "command-2", "command-3")
    assert kept.alarms == []


def test_the_last_1024_commands_are_known_again(tmp_path: Path) -> None:
    store, _ = open_store(tmp_path)
    store.close()
    with closing(sqlite3.connect(tmp_path / NAME)) as db, db:
        older = [(f"command-{number}",) for number in range(MOST_COMMANDS)]
        db.executemany("INSERT INTO commands (id) VALUES (?)", older)
    store, _ = open_store(tmp_path)
    for number in range(MOST_COMMANDS, MOST_COMMANDS + 3):
        store.save({}, f"command-{number}")
    store.close()
    ids = kept_in(tmp_path).command_ids
    assert (len(ids), ids[0], ids[-1]) == (MOST_COMMANDS, "command-3", f"command-{MOST_COMMANDS + 2}")


def test_a_damaged_document_is_replaced_by_the_one_before(tmp_path: Path) -> None:
    filled(tmp_path)
    change(tmp_path, "UPDATE documents SET body = replace(body, '3', '9') WHERE name = 'state'")
    kept = kept_in(tmp_path)
    assert kept.documents["state"] == "the state of save 2"
    assert kept.alarms == ["the state on disk was damaged; the copy before it is used"]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE audit SET what = 'import_limit_w 9000' WHERE seq = 2", "at entry 2"),
        ("UPDATE audit SET who = 'operator' WHERE seq = 1", "at entry 1"),
        ("UPDATE audit SET utc_s = utc_s + 1 WHERE seq = 3", "at entry 3"),
        ("DELETE FROM audit WHERE seq = 2", "at entry 2"),
        ("DELETE FROM audit WHERE seq = 3", "ends at entry 2, 3 were written"),
    ],
)
def test_a_change_of_the_audit_trail_is_noticed(sql: str, told: str, tmp_path: Path) -> None:
    filled(tmp_path)
    assert broken_at(audit_trail(tmp_path)) is None
    change(tmp_path, sql)
    assert any(told in alarm for alarm in kept_in(tmp_path).alarms)


def test_of_a_long_audit_trail_the_newest_lines_are_kept_and_still_hang_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.store.MOST_AUDIT", 4)
    filled(tmp_path, 9)
    trail = audit_trail(tmp_path)
    assert [one.seq for one in trail] == [5, 6, 7, 8, 9]
    assert broken_at(trail) is None
    assert kept_in(tmp_path).alarms == []
    assert broken_at([*trail[:2], replace(trail[2], what="nothing"), *trail[3:]]) == 7
    assert broken_at(trail[1:]) == 5
    change(tmp_path, "DELETE FROM audit WHERE seq = 6")
    assert any("at entry 6" in alarm for alarm in kept_in(tmp_path).alarms)


def test_each_bit_of_an_audit_line_counts(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    entry = audit_trail(tmp_path)[0]
    what = entry.what.encode("latin-1")
    for bit in range(len(what) * 8):
        flipped = bytearray(what)
        flipped[bit // 8] ^= 1 << bit % 8
        assert broken_at([replace(entry, what=flipped.decode("latin-1"))]) == 1


def test_a_state_of_a_later_version_is_set_aside_and_the_last_start_takes_its_place(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    filled(tmp_path, 2)  # begins with a copy of what the first run left
    change(tmp_path, "PRAGMA user_version = 99")
    kept = kept_in(tmp_path)
    assert kept.documents["state"] == "the state of save 1"
    assert "is of version 99" in kept.alarms[0]
    assert "set aside as state.db.aside-1" in kept.alarms[0]
    with closing(sqlite3.connect(tmp_path / "state.db.aside-1")) as aside:
        assert aside.execute("PRAGMA user_version").fetchone() == (99,)


def test_two_damaged_generations_are_set_aside_and_it_starts_with_nothing(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / NAME).write_bytes(b"no database at all" * 100)
    (tmp_path / BEFORE).write_bytes(b"")
    kept = kept_in(tmp_path)
    assert kept.documents == {}
    assert any("set aside" in alarm for alarm in kept.alarms)
    assert (tmp_path / "state.db.aside-1").read_bytes().startswith(b"no database at all")


def test_only_so_many_files_set_aside_are_kept(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / NAME).write_text(f"damage {number}", encoding="utf-8")
        kept_in(tmp_path)
    aside = sorted(one.name for one in tmp_path.glob("*.aside-*"))
    assert aside == [f"state.db.aside-{number}" for number in range(4, 9)]


def damaged(data: bytes, place: int, cut: bool) -> bytes:
    return data[:place] if cut else data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def running_files(folder: Path) -> dict[str, bytes]:
    """All files of a store as a kill in the middle of a run leaves them."""
    filled(folder, 2)
    store, _ = open_store(folder)
    store.save({"state": "the state of save 3"}, "command-3", [(None, "owner", "a third")])
    files = {one.name: one.read_bytes() for one in folder.iterdir()}
    store.close()
    return files


@pytest.mark.parametrize("cut", [False, True], ids=["flipped", "cut"])
@pytest.mark.parametrize("name", [NAME, f"{NAME}-wal", BEFORE])
def test_it_always_starts_whatever_byte_is_flipped_or_wherever_a_file_ends(
    name: str, cut: bool, tmp_path: Path
) -> None:
    files = running_files(tmp_path / "whole")
    places = range(len(files[name]))
    chosen = list(places) if SOAK else random.Random(name).sample(places, 12)
    whole = {f"the state of save {number}" for number in (1, 2, 3)}
    for number, place in enumerate(chosen):
        folder = tmp_path / str(number)
        folder.mkdir()
        for one, data in files.items():
            (folder / one).write_bytes(damaged(data, place, cut) if one == name else data)
        kept = kept_in(folder)
        assert kept.documents.get("state", "the state of save 1") in whole, (name, place)
        assert kept.documents or kept.alarms or cut, (name, place)
        store, _ = open_store(folder)
        store.save({"state": "after"})
        store.close()
        assert kept_in(folder).documents["state"] == "after"


def test_after_an_error_of_the_disk_all_is_put_into_a_new_file(tmp_path: Path) -> None:
    filled(tmp_path)
    old = (tmp_path / NAME).stat().st_ino
    rewrite(tmp_path)
    assert (tmp_path / NAME).stat().st_ino != old
    assert kept_in(tmp_path).command_ids == ("command-1", "command-2", "command-3")


def test_a_power_cut_in_the_middle_of_that_loses_nothing(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / NAME).replace(tmp_path / NEXT)
    assert kept_in(tmp_path).documents["state"] == "the state of save 3"
    assert not (tmp_path / NEXT).exists()


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="File exists"):
        open_store(tmp_path / "file")
    with pytest.raises(StoreError):
        open_store(Path("/proc/penstock"))


def test_what_a_killed_run_left_is_read_without_writing_beside_it(tmp_path: Path) -> None:
    files = running_files(tmp_path / "whole")
    folder = tmp_path / "left"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    assert read_only(folder).documents["state"] == "the state of save 3"
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == files


def test_where_nothing_can_be_written_anywhere_it_is_read_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = running_files(tmp_path / "whole")
    folder = tmp_path / "left"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    assert read_only(folder).documents["state"] == "the state of save 3"
    with pytest.raises(StoreError, match="cannot be copied to read it"):
        audit_trail(folder)


@pytest.mark.parametrize("left", [None, b""], ids=["missing", "empty"])
def test_a_state_that_is_missing_or_empty_beside_its_copy_was_lost_and_the_copy_serves(
    left: bytes | None, tmp_path: Path
) -> None:
    filled(tmp_path, 1)
    filled(tmp_path, 2)  # begins with a copy of what the first run left
    (tmp_path / NAME).unlink()
    if left is not None:
        (tmp_path / NAME).write_bytes(left)
    for kept in (read_only(tmp_path), kept_in(tmp_path)):
        assert kept.documents["state"] == "the state of save 1"
        assert "is missing or empty" in kept.alarms[0]
        assert kept.alarms[1] == "the state of the last start is used"
    assert kept_in(tmp_path) == Kept(kept.documents, kept.command_ids, [])


def test_a_power_cut_between_setting_aside_and_the_copy_loses_no_more_than_the_damage(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    filled(tmp_path, 2)
    (tmp_path / NAME).write_bytes(b"no database at all" * 100)
    set_aside(tmp_path / NAME)
    (tmp_path / f"{NAME}.part").write_bytes((tmp_path / BEFORE).read_bytes()[:700])
    assert kept_in(tmp_path).documents["state"] == "the state of save 1"


def test_a_damaged_state_on_a_disk_that_takes_nothing_is_replaced_by_its_copy(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    filled(tmp_path, 2)
    (tmp_path / NAME).write_bytes(b"no database at all" * 100)
    assert read_only(tmp_path).documents["state"] == "the state of save 1"
    (tmp_path / BEFORE).write_bytes(b"nor this one" * 100)
    with pytest.raises(StoreError, match="cannot be read"):
        read_only(tmp_path)


def test_a_file_that_was_removed_or_replaced_meanwhile_keeps_nothing_and_that_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    filled(folder, 1)
    store, _ = open_store(folder)
    folder.rename(tmp_path / "moved")
    with pytest.raises(StoreError, match="No such file"):
        store.save({"state": "into nowhere"})
    store.close()
    store, _ = open_store(folder)
    (tmp_path / "moved" / NAME).replace(folder / NAME)
    with pytest.raises(StoreError, match="was replaced by another file"):
        store.save({"state": "into nowhere"})
    store.close()


def test_a_save_that_fails_leaves_all_of_before(tmp_path: Path) -> None:
    filled(tmp_path)
    store = Store(tmp_path / NAME)
    store.prepare()
    store.read()
    store._db.execute("DROP TABLE audit")
    with pytest.raises(StoreError):
        store.save({"state": "half"}, "command-half", [(None, "nobody", "nothing")])
    store.close()
    with closing(sqlite3.connect(tmp_path / NAME)) as db:
        assert db.execute("SELECT count(*) FROM documents WHERE body = 'half'").fetchone() == (0,)
