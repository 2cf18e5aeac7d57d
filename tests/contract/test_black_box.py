"""`penstock replay` and `penstock incident` as an installer meets them; no secret is in what they make."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.__main__ import main
from controller.config import load_config
from controller.dispatch.decision import Memory
from controller.journal import Segment, SegmentWriter, Start, segments
from controller.store import NAME, open_store
from tests.penstock import result_of, site_file
from tests.unit.recordings import recorded_site, recorder_of
from tests.unit.test_loop import ScriptedMeter


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Result]


@pytest.fixture
def penstock(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in this process: starting a new one each time takes longer than all it does."""

    def called(*words: str) -> Result:
        monkeypatch.setattr("sys.argv", ["penstock", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return Result(int(ended.value.code or 0), told.out, told.err)

    return called


CANARIES = ("canary-password", "canary-user", "canary-host", "canary-comment")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A site file full of secrets, with a state folder in which something went wrong once."""
    path = site_file(tmp_path, [5020, 5021, 5022], "mqtts://canary-host.example:8883")
    (tmp_path / "password").write_text("canary-password", encoding="utf-8")
    (tmp_path / "password").chmod(0o600)
    text = path.read_text(encoding="utf-8").replace("127.0.0.1:5020", "canary-host.example:502")
    text += 'username = "canary-user"\npassword_file = "password"\n# canary-comment\n'
    path.write_text(text, encoding="utf-8")
    folder = tmp_path / "house-state"
    broken = ScriptedMeter(broken=lambda now: 100 < now < 120)
    recorded_site(recorder_of(folder), 400.5, broken)
    store, _ = open_store(folder)
    store.save({}, "", [(1_800_000_000.0, "owner", "import_limit_w 4000 for 900 s")])
    store.close()
    return path


def test_incidents_are_listed_with_when_and_why(penstock: Command, house: Path) -> None:
    result = penstock("incident", "list", str(house))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("     1  15 Jan 2027 08:01:42 UTC  RUNNING -> HOLDING: holding the last")
    assert lines[1] == "to pack one: penstock incident 1 SITE"


def test_an_incident_is_one_file_that_can_be_sent_and_replayed_and_holds_no_secret(
    house: Path, tmp_path: Path
) -> None:
    out = tmp_path / "send-me.zip"
    packed = result_of("incident", "latest", str(house), "--out", str(out))
    assert packed.returncode == 0, packed.stderr
    assert f"packed: {out}" in packed.stdout
    with zipfile.ZipFile(out) as pack:
        inside = {info.filename: pack.read(info) for info in pack.infolist()}
    recording = next(name for name in inside if name.endswith(".penstock"))
    assert set(inside) == {
        recording,
        "what-happened.txt",
        "what-happened.html",
        "settings.txt",
        "audit.txt",
    }
    course = inside["what-happened.txt"].decode().splitlines()
    assert "  08:01:42   HOLDING: holding the last setpoint: " in "\n".join(course)
    assert "             grid: no answer" in course
    assert b"device grid = meter, eastron-sdm630, over tcp" in inside["settings.txt"]
    assert b"owner: import_limit_w 4000" in inside["audit.txt"]
    everything = b"".join(inside.values()) + packed.stdout.encode() + packed.stderr.encode()
    for canary in CANARIES:
        assert canary.encode() not in everything, canary
    replayed = result_of("replay", str(out))
    assert replayed.returncode == 0, replayed.stderr
    assert "every decision the same, to the bit" in replayed.stdout


def test_an_incident_can_be_sent_from_where_no_plots_can_be_made(
    penstock: Command, house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    out = tmp_path / "send-me.zip"
    packed = penstock("incident", "latest", str(house), "--out", str(out))
    assert packed.returncode == 0, packed.stderr
    assert "unpack it and open what-happened.txt." in packed.stdout
    with zipfile.ZipFile(out) as pack:
        assert "what-happened.html" not in pack.namelist()


def test_what_goes_on_now_can_be_packed_without_an_incident(
    penstock: Command, house: Path, tmp_path: Path
) -> None:
    for path in segments(tmp_path / "house-state" / "incidents"):
        path.unlink()
    told = (
        "one is kept 2 minutes after it happened. To send what happens now, type: penstock incident now SITE"
    )
    none = penstock("incident", "latest", str(house))
    assert none.returncode == 1
    assert told in none.stderr
    assert told in penstock("incident", "list", str(house)).stdout
    now = penstock("incident", "now", str(house), "--out", str(tmp_path / "now.zip"))
    assert now.returncode == 0, now.stderr
    assert (tmp_path / "now.zip").is_file()


def test_a_changed_program_is_told_by_exit_code_and_first_difference(
    penstock: Command, house: Path, tmp_path: Path
) -> None:
    (path,) = segments(tmp_path / "house-state" / "journal")
    segment = Segment(path)
    cycles = list(segment.cycles())
    changed = tmp_path / "changed.penstock"
    # As recorded by a program that started with another memory.
    writer = SegmentWriter(changed, Start("house-7", segment.start.config, Memory(soft_start=True)))
    writer.add([one for one in cycles if one.aside.seq > 50])
    writer.close()
    result = penstock("replay", str(changed))
    assert result.returncode == 1
    assert "decisions differ; the first:" in result.stdout
    assert "replayed   STARTING" in result.stdout


def test_a_what_if_is_answered_with_a_page_of_plots(penstock: Command, house: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    text = house.read_text(encoding="utf-8").replace("reserve_pct = 20", "reserve_pct = 60")
    text = text.replace('[[pv]]\nid = "roof"\nprofile = "sunspec-pv"\n', "").replace(
        'connection = "tcp://127.0.0.1:5022"\nunit = 1\n', "", 1
    )
    other.write_text(text, encoding="utf-8")
    report = tmp_path / "report.html"
    result = penstock("replay", str(tmp_path / "house-state"), "--with", str(other), "--report", str(report))
    assert result.returncode == 0, result.stderr
    assert "policy.reserve_pct: 0 -> 60" in result.stdout
    assert "would have been different; the first:" in result.stdout
    page = report.read_text(encoding="utf-8")
    assert "What it comes to" in page
    assert "<script src" not in page


def test_other_devices_are_no_what_if(penstock: Command, house: Path, tmp_path: Path) -> None:
    result = penstock("replay", str(house), "--with", str(house))
    assert result.returncode == 78
    assert "pvs are roof, in 000001-20270115T080000Z.penstock they are none" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("replay", "nothing.penstock"), 78, "nothing.penstock: No such file or directory"),
        (
            ("replay", "house-state/state.db"),
            78,
            "is no recording of Penstock; give a file that ends in .penstock",
        ),
        (("replay", "empty"), 78, "empty holds no recordings"),
        (("incident", "list", "empty"), 78, "empty holds no recordings; give the site file of a controller"),
        (("incident", "7", "house.toml"), 1, "there is no incident 7; see: penstock incident list SITE"),
        (("incident", "lastest", "house.toml"), 1, '"lastest" is no incident; give latest, list, now'),
    ],
)
def test_a_mistake_is_told_in_one_line(
    penstock: Command,
    words: tuple[str, ...],
    code: int,
    told: str,
    house: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(house.parent)
    (house.parent / "empty").mkdir()
    result = penstock(*words)
    assert result.returncode == code
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_state_is_where_the_site_file_or_systemd_says(
    house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_config(house).state.folder == tmp_path / "house-state"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/penstock:/var/lib/other")
    assert load_config(house).state.folder == Path("/var/lib/penstock/house-7")
    with house.open("a", encoding="utf-8") as file:
        file.write('\n[state]\nfolder = "memory"\n')
    assert load_config(house).state.folder == tmp_path / "memory"
    assert (tmp_path / "house-state" / NAME).is_file()


def test_several_recordings_are_replayed_side_by_side(
    penstock: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.lab.replay_command.WORTH_PROCESSES", 1)
    monkeypatch.setattr("controller.recorder.SEGMENT_S", 60.0)
    recorded_site(recorder_of(tmp_path), 200.5)
    (tmp_path / "journal" / "000009-cut.penstock").write_bytes(b"")
    result = penstock("replay", str(tmp_path))
    assert result.returncode == 0, result.stdout
    lines = result.stdout.splitlines()
    assert "000009-cut.penstock is no recording of Penstock" in lines[0]
    assert lines[-1] == "3 recordings, 202 cycles, 0 decisions differ"


def test_replay_says_what_is_missing_between_recordings(
    penstock: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five files of a minute each, of which one is gone and the next one torn; then a second run, by a clock
    that was set back."""
    monkeypatch.setattr("controller.recorder.SEGMENT_S", 60.0)
    recorded_site(recorder_of(tmp_path), 300.5)
    paths = segments(tmp_path / "journal")
    cycles = sum(len(list(Segment(path).cycles())) for path in paths[1:3])
    paths[1].unlink()
    paths[2].write_bytes(paths[2].read_bytes()[:-1])
    recorded_site(recorder_of(tmp_path), 30.5)
    result = penstock("replay", str(tmp_path))
    assert result.returncode == 0, result.stdout
    assert [line for line in result.stdout.splitlines() if "missing" in line] == [
        f"  missing    {cycles} cycles, from 15 Jan 2027 08:00:59 UTC to 15 Jan 2027 08:03:00 UTC",
        "  missing    all from 15 Jan 2027 08:05:00 UTC to 15 Jan 2027 08:00:00 UTC; "
        "the controller was started anew meanwhile",
    ]
    packed = penstock("incident", "now", str(tmp_path), "--out", str(tmp_path / "now.zip"))
    assert "the controller was started anew meanwhile" in packed.stdout


def test_a_recording_of_which_no_cycle_can_be_read_is_not_said_to_be_the_same(
    penstock: Command, tmp_path: Path
) -> None:
    recorded_site(recorder_of(tmp_path), 30.5)
    (path,) = segments(tmp_path / "journal")
    path.write_bytes(path.read_bytes()[:-1])
    result = penstock("replay", str(path))
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        f"{path.name}: site house-7, not one cycle that can be read",
        "  note: the file ends in the middle of a frame; everything before that is good",
        "  replayed   nothing",
    ]


@pytest.mark.parametrize(
    "damage",
    [
        lambda pack: pack[:2000] + bytes([pack[2000] ^ 1]) + pack[2001:],
        lambda pack: pack[:2000] + pack[2040:],
        lambda pack: pack[500:],
        lambda pack: pack.replace(b"PK\1\2", b"PK\1\3", 1),
        lambda pack: pack[:1000],
    ],
    ids=["a bit", "a piece lost", "its head lost", "its list", "its end lost"],
)
def test_an_incident_that_came_damaged_is_told_so_in_one_line(
    penstock: Command, house: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    out = tmp_path / "send-me.zip"
    assert penstock("incident", "latest", str(house), "--out", str(out)).returncode == 0
    out.write_bytes(damage(out.read_bytes()))
    result = penstock("replay", str(out))
    assert result.returncode == 78
    assert len(result.stderr.splitlines()) == 1
    assert "cannot be unpacked" in result.stderr or "is no recording of Penstock" in result.stderr
