"""What a running controller keeps over a restart, and that no disk ever makes it wait."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from controller.clock import WallClock
from controller.dispatch.care import CareState
from controller.dispatch.decision import Memory
from controller.dispatch.demand import DemandState
from controller.dispatch.islanding import IslandState
from controller.dispatch.limits import Latches
from controller.dispatch.modes import Mode
from controller.dispatch.orders import LocalTime
from controller.dispatch.settings import BatterySettings, DemandSettings, DispatchConfig, LoadSettings
from controller.energy import Books, Counter, MeterCounters, Totals
from controller.errors import RunError
from controller.keeper import MOST_WAITING, Budgets, Keeper
from controller.loop import ControlLoop, Cycle
from controller.state_file import (
    KeptBattery,
    KeptOrder,
    State,
    kept_batteries,
    kept_demand,
    kept_energy,
    kept_island,
    restored_books,
    restored_memory,
)
from controller.store import Store, open_store
from controller.store_read import audit_trail
from drivers.guard import Guard
from simulators.virtual_time import run
from tests.unit.test_loop import ScriptedBattery, ScriptedMeter

CONFIG = DispatchConfig(
    (BatterySettings("bat1", 10_000.0), BatterySettings("bat2", 5_000.0)),
    loads=(LoadSettings("boiler", 3000.0), LoadSettings("pump", 700.0)),
    demand=DemandSettings(900, 2000.0),
)
ONE_BATTERY = DispatchConfig((BatterySettings("bat1", 10_000.0),))
BEGIN_UTC_S = 1_800_000_000.0


def wall(begin_utc_s: float = BEGIN_UTC_S) -> WallClock:
    def read() -> tuple[float, LocalTime]:
        utc_s = begin_utc_s + asyncio.get_running_loop().time()
        return utc_s, LocalTime(utc_s, 3600.0)

    return read


@dataclass
class Site:
    """A controller with scripted devices and its keeper, in a folder."""

    folder: Path
    begin_utc_s: float = BEGIN_UTC_S
    config: DispatchConfig = ONE_BATTERY
    budgets: Budgets = field(default_factory=dict)
    fault: str = ""
    cycles: list[Cycle] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    battery: ScriptedBattery = field(default_factory=lambda: ScriptedBattery(power_w=1000.0))

    async def lives(self, seconds: float, killed: bool = False) -> Keeper:
        """Control for so long, then end in order or as if killed."""
        clock = wall(self.begin_utc_s)
        keeper = Keeper(self.folder, self.config, clock, self.budgets)
        memory, books, fault = await keeper.open()
        control = ControlLoop(
            self.config,
            ScriptedMeter(3600.0),
            (self.battery,),
            listeners=(keeper.heard, self.cycles.append, lambda _: self.alarms.append(keeper.alarm)),
            clock=clock,
            memory=memory,
            books=books,
            publishable=lambda books: keeper.publishable(),
            fault=fault or self.fault,
        )
        self.keeper, self.control = keeper, control
        saving = asyncio.create_task(keeper.run())
        asyncio.get_running_loop().call_later(seconds, control.stop)
        await control.run()
        saving.cancel()
        if killed:
            await keeper._disk.do(keeper._closed)
            keeper._disk.close()
            keeper._lock.release()
        else:
            await keeper.close(orderly=True)
        return keeper


def document(folder: Path, name: str = "state") -> Any:
    store, kept = open_store(folder)
    store.close()
    return json.loads(kept.documents[name])


def test_what_matters_of_the_memory_comes_back_by_the_ids_of_the_site_file() -> None:
    memory = Memory(
        mode=Mode.RUNNING,
        fresh_since_s=5.0,
        setpoint_w=900.0,
        latches=(Latches(empty=True, at_reserve=True), Latches(full=True)),
        demand=DemandState(1_800_000_900.0, 123.4, 24_321, 4321.0, 77.0, 70.0, True, 5.0, 24_320, 99.0),
        care=(CareState(1_790_000_000.0, 30.0, 76.0), CareState(1_791_000_000.0)),
        island=IslandState(50.0, 60.0, (False, True), (55.0, 56.0)),
    )
    state = State(
        batteries=kept_batteries(CONFIG, memory),
        demand=kept_demand(memory.demand),
        island=kept_island(CONFIG, memory.island),
    )
    swapped = replace(CONFIG, batteries=CONFIG.batteries[::-1], loads=CONFIG.loads[::-1])
    back = restored_memory(swapped, State.model_validate_json(state.model_dump_json()), 1000.0)
    assert back == Memory(
        latches=(Latches(full=True), Latches(empty=True, at_reserve=True)),
        demand=DemandState(1_800_000_900.0, 123.4, 24_321, 4321.0, left_month=24_320, left_peak_w=99.0),
        care=(CareState(1_791_000_000.0), CareState(1_790_000_000.0)),
        island=IslandState(1000.0, None, (True, False), (float("-inf"), float("-inf"))),
    )


def test_a_battery_that_is_new_in_the_site_file_begins_without_a_past() -> None:
    state = State(batteries={"bat2": KeptBattery(full=True), "gone": KeptBattery(empty=True)})
    assert restored_memory(CONFIG, state, 0.0).latches == (Latches(), Latches(full=True))


def test_energy_books_come_back_exactly() -> None:
    books = Books(
        Counter(10**15 + 1, 0.123456789),
        Counter(2, 0.1 + 0.2),
        Counter(3),
        Counter(4),
        Counter(5),
        Counter(6),
        MeterCounters(1234.5, 6.7, 99.0, 1_800_000_000.5, 3.0, 4.0),
    )
    back = restored_books(State.model_validate_json(State(energy=kept_energy(books)).model_dump_json()))
    assert back == replace(books, meter=MeterCounters(1234.5, 6.7, None, 1_800_000_000.5))


def test_counters_go_on_after_an_orderly_end_and_lose_a_minute_at_most_when_killed(tmp_path: Path) -> None:
    # The battery gives 1000 W, the meter shows 3600 W: 1 Wh a second.
    first = Site(tmp_path)
    run(first.lives(600.5))
    assert document(tmp_path)["energy"]["imported"]["milliwh"] == 600_000
    killed = Site(tmp_path, BEGIN_UTC_S + 1000.0)
    run(killed.lives(100.5, killed=True))
    last = Site(tmp_path, BEGIN_UTC_S + 2000.0)
    run(last.lives(10.5))
    assert killed.cycles[-1].books.totals.import_wh == 700
    assert 640 <= last.cycles[0].energy.import_wh <= 700
    told = [cycle.energy for one in (first, killed, last) for cycle in one.cycles]
    for name in Totals.__dataclass_fields__:
        values = [getattr(one, name) for one in told]
        assert values == sorted(values), f"{name} went back"


def test_a_fault_stays_latched_after_a_power_cut_and_goes_with_an_orderly_end(tmp_path: Path) -> None:
    run(Site(tmp_path, fault="bat1: refused an order").lives(20.5, killed=True))
    cut = Site(tmp_path)
    run(cut.lives(20.5))
    assert {cycle.decision.mode for cycle in cut.cycles[:-1]} == {Mode.FAULT}
    assert "bat1: refused an order" in cut.cycles[0].decision.reason
    after = Site(tmp_path)
    run(after.lives(20.5))
    assert after.cycles[-2].decision.mode is Mode.RUNNING
    whats = [one.what for one in audit_trail(tmp_path)]
    assert "the fault is still latched: bat1: refused an order" in whats


def test_the_audit_trail_says_what_was_changed_in_the_site_file(tmp_path: Path) -> None:
    run(Site(tmp_path).lives(1.5))
    changed = DispatchConfig((BatterySettings("bat1", 12_000.0),), export_limit_w=0.0)
    run(Site(tmp_path, config=changed).lives(1.5))
    assert [(one.who, one.what) for one in audit_trail(tmp_path)] == [
        ("penstock", "started, version 0.1.0"),
        ("penstock", "stopped in order"),
        ("penstock", "started, version 0.1.0"),
        ("site file", "batteries.bat1.capacity_wh: 10000 -> 12000"),
        ("site file", "export_limit_w: none -> 0"),
        ("penstock", "stopped in order"),
    ]


def test_a_command_that_was_acknowledged_outlives_a_kill_at_once(tmp_path: Path) -> None:
    order = KeptOrder(
        name="limits.import_limit_w",
        value=4200.0,
        expires_utc_s=BEGIN_UTC_S + 900.0,
        left_s=900.0,
        trusted=True,
    )

    folder = tmp_path / "run"

    async def commanded() -> None:
        keeper = Keeper(folder, CONFIG, wall(), {})
        await keeper.open()
        assert await keeper.keep_command([order], "c1", "grid operator", "import_limit_w 4200 for 900 s")
        copy = Path(shutil.copytree(folder, tmp_path / "as-killed"))
        after = Keeper(copy, CONFIG, wall(), {})
        await after.open()
        assert after.orders == (order,)
        assert after.command_ids == ("c1",)
        assert audit_trail(copy)[-1].who == "grid operator"
        await after.close(orderly=True)
        await keeper.close(orderly=True)

    run(commanded())


def test_the_time_an_order_has_left_is_kept_up_to_date_and_its_end_follows_a_clock_that_is_set(
    tmp_path: Path,
) -> None:
    """At 100 s a clock that was 1000 s behind is set: 900 s less 100 s are left, by the right clock."""

    def clock() -> tuple[float, LocalTime]:
        now_s = asyncio.get_running_loop().time()
        utc_s = BEGIN_UTC_S + now_s - (1000.0 if now_s < 100.0 else 0.0)
        return utc_s, LocalTime(utc_s, 3600.0)

    async def kept() -> None:
        keeper = Keeper(tmp_path / "run", ONE_BATTERY, clock, {})
        await keeper.open()
        control = ControlLoop(
            ONE_BATTERY, ScriptedMeter(0.0), (ScriptedBattery(),), listeners=(keeper.heard,), clock=clock
        )
        running, saving = asyncio.create_task(control.run()), asyncio.create_task(keeper.run())
        left = KeptOrder(
            name="limits.import_limit_w",
            value=4200.0,
            expires_utc_s=BEGIN_UTC_S - 100.0,
            left_s=900.0,
            trusted=True,
        )
        assert await keeper.keep_command([left], "c1", "owner", "import_limit_w 4200 for 900 s")
        await asyncio.sleep(110.0)
        (found,) = document(Path(shutil.copytree(tmp_path / "run", tmp_path / "as-killed")), "orders")
        assert found["left_s"] == pytest.approx(800.0, abs=6.0)
        assert found["expires_utc_s"] == pytest.approx(BEGIN_UTC_S + 900.0, abs=0.001)
        await asyncio.sleep(900.0)
        assert keeper.orders == ()
        control.stop()
        saving.cancel()
        await running
        await keeper.close(orderly=True)

    run(kept())


def test_write_budgets_of_registers_that_wear_out_are_remembered(tmp_path: Path) -> None:
    guard = Guard(0.0, 0.0, writes_per_day=3)
    guard.remember([7200.0, 60.0], 0.0)
    run(Site(tmp_path, budgets={"bat1": {40149: guard}}).lives(1.5))
    after = Guard(0.0, 0.0, writes_per_day=3)
    # An hour later: 2 h and 61.5 s have become 3 h and 1 h 1 min 1.5 s.
    run(Site(tmp_path, BEGIN_UTC_S + 3601.5, budgets={"bat1": {40149: after}}).lives(1.5))
    assert [round(one) for one in after.spent_ago_s(0.0)] == [10_802, 3662]


def test_a_second_controller_of_the_same_site_is_refused(tmp_path: Path) -> None:
    async def both() -> None:
        first, second = Keeper(tmp_path, CONFIG, wall(), {}), Keeper(tmp_path, CONFIG, wall(), {})
        await first.open()
        with pytest.raises(RunError, match="another penstock controls this site"):
            await second.open()
        await first.close(orderly=True)
        await second.open()
        await second.close(orderly=True)

    run(both())


def test_a_disk_that_is_full_costs_no_cycle_and_is_used_again_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(15.0, resource.setrlimit, resource.RLIMIT_FSIZE, (0, limits[1]))
        loop.call_later(305.0, resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        await site.lives(400.5)

    try:
        run(whole())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(site.cycles) == 402
    assert [cycle.decision.mode for cycle in site.cycles[10:-1]] == [Mode.RUNNING] * 391
    assert (site.alarms[14], site.alarms[-2]) == ("", "")
    assert site.alarms[300] != ""
    # Frozen while nothing can be kept, so that a restart takes nothing back.
    assert len({cycle.energy.import_wh for cycle in site.cycles[100:300]}) == 1
    assert document(tmp_path)["energy"]["imported"]["milliwh"] == 400_000
    assert [record.message for record in caplog.records if "control goes on" in record.message][1:] == []


def test_a_folder_that_cannot_be_written_at_all_costs_no_cycle(tmp_path: Path) -> None:
    site = Site(Path("/proc/penstock"))
    run(site.lives(100.5))
    assert len(site.cycles) == 102
    assert site.cycles[-2].decision.mode is Mode.RUNNING
    assert "/proc/penstock" in site.keeper.alarm


def test_a_folder_that_is_removed_meanwhile_is_noticed_before_anything_is_said_to_be_kept(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "state"

    async def commanded() -> None:
        keeper = Keeper(folder, CONFIG, wall(), {})
        await keeper.open()
        assert await keeper.keep_command([], "c1", "owner", "x")
        folder.rename(tmp_path / "gone")
        assert not await keeper.keep_command([], "c2", "owner", "x")
        assert keeper.rings(asyncio.get_running_loop().time())
        await asyncio.sleep(10.5)
        assert await keeper.keep_command([], "c3", "owner", "x")
        assert keeper.alarm == ""
        with pytest.raises(RunError, match="another penstock controls this site"):
            await Keeper(folder, CONFIG, wall(), {}).open()
        await keeper.close(orderly=True)
        after = Keeper(folder, CONFIG, wall(), {})
        await after.open()
        assert after.command_ids == ("c3",)
        await after.close(orderly=True)

    run(commanded())


def test_counters_that_cannot_be_read_are_not_told_from_nought(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    site = Site(tmp_path)
    run(site.lives(100.5))
    assert site.cycles[-2].decision.mode is Mode.RUNNING
    assert {cycle.energy for cycle in site.cycles} == {None}
    assert site.keeper.alarm != ""


def test_a_disk_that_does_not_answer_costs_no_cycle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each save waits, as on a dying SD card."""
    answers, asked = threading.Event(), threading.Event()
    save = Store.save

    def slow(store: Store, *what: Any) -> None:
        asked.set()
        answers.wait()
        save(store, *what)

    monkeypatch.setattr(Store, "save", slow)

    async def whole() -> None:
        keeper = Keeper(tmp_path, CONFIG, wall(), {})
        await keeper.open()
        waiting = [asyncio.create_task(keeper.keep_command([], f"c{n}", "owner", "x")) for n in range(40)]
        for _ in range(100):
            await asyncio.sleep(0)
        done = [task.result() for task in waiting if task.done()]
        assert done == [False] * (40 - MOST_WAITING), "the loop went on, and only so many wait"
        await asyncio.to_thread(asked.wait)
        now_s = asyncio.get_running_loop().time()
        assert (keeper.rings(now_s), keeper.rings(now_s + 11.0)) == (False, True), "ten seconds may pass"
        answers.set()
        assert await asyncio.gather(*waiting) == [True] * MOST_WAITING + [False] * (40 - MOST_WAITING)
        assert not keeper.rings(now_s + 11.0)
        await keeper.close(orderly=True)

    asyncio.run(whole())


def test_an_audit_line_stays_one_line_whatever_was_sent(tmp_path: Path) -> None:
    async def noted() -> None:
        keeper = Keeper(tmp_path, CONFIG, wall(), {})
        await keeper.open()
        keeper.note("x\n2  owner", "a\r\n3  penstock: stopped in order\x1b[2J" + "y" * 10_000)
        await keeper.close(orderly=True)

    run(noted())
    entry = audit_trail(tmp_path)[1]
    assert entry.who == "x\\n2  owner"
    assert entry.what.startswith("a\\r\\n3  penstock: stopped in order\\x1b[2Jyyy")
    assert len(entry.what) == 400
