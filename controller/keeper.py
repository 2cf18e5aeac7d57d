"""Keeps what must survive: takes it from the running loop, has it written by a thread, never makes it wait.

Saved are the newest memory and counters once a minute, at once when something latches, and each command
before it is acknowledged. While the disk is full, read-only or slow, control goes on; the newest is tried
again, and an alarm says that a power cut would now forget something.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from controller import __version__
from controller.clock import WallClock
from controller.disk_thread import DiskThread, Result
from controller.dispatch.decision import Memory
from controller.dispatch.modes import Mode
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from controller.energy import Books, Totals
from controller.errors import RunError
from controller.kept_orders import later, resumed
from controller.loop import Cycle
from controller.settings_text import changes, flat
from controller.site_lock import SiteLock
from controller.state_file import (
    KeptOrder,
    State,
    kept_batteries,
    kept_demand,
    kept_energy,
    kept_island,
    restored_books,
    restored_memory,
)
from controller.store import (
    BEFORE,
    DamagedError,
    Kept,
    Store,
    StoreError,
    open_store,
    rewrite,
)
from controller.store_read import read_only
from drivers.doors import one_line
from drivers.guard import Guard

log = logging.getLogger("penstock.state")

SAVE_EVERY_S = 60.0
"""Of the counters at most this much is lost at a power cut (fault catalogue, E08)."""
FIRST_SAVE_S = 10.0
"""The first save comes sooner, for a program that never lives for a minute."""
SAVE_AGAIN_S = 5.0
"""What cannot wait for its turn is still not saved more often than this."""
RETRY_S = 10.0
"""A disk that refused is asked again after this time, not before (fault catalogue, E05)."""
COPY_EVERY_S = 86_400.0
OPEN_WITHIN_S = 10.0
CLOSE_WITHIN_S = 2.0
CLOCK_SET_S = 5.0
"""A clock that gains or loses so much within a cycle was set."""
MOST_WAITING = 32
"""So many commands may wait for the disk; the next is refused."""
MOST_NOTES = 500
LONGEST_NOTE = 400
MOST_TOLD_CHANGES = 20
_AT_ONCE = frozenset({Mode.FAULT, Mode.ISLANDED})

Budgets = Mapping[str, Mapping[int, Guard]]
"""For each device the registers that wear out, and what they may still be written."""
_ORDERS = TypeAdapter(tuple[KeptOrder, ...])
_SETTINGS = TypeAdapter(dict[str, str])


class Keeper:
    """The memory of one site on disk: `open` before the loop, `heard` on each cycle, `run` beside it."""

    def __init__(self, folder: Path, config: DispatchConfig, clock: WallClock, budgets: Budgets) -> None:
        self._folder = folder
        self._config = config
        self._clock = clock
        self._budgets = budgets
        self._disk = DiskThread("state")
        self._store: Store | None = None
        self._lock = SiteLock(folder)
        self._newest: Cycle | None = None
        self._notes: list[tuple[float | None, str, str]] = []
        self._bell = asyncio.Event()
        self._waiting = 0
        self._mode = Mode.STARTING
        self._saved: dict[str, str] = {}
        self._durable: Totals | None = None
        self._untrusted = False
        self._retry_at_s = self._copied_at_s = self._orders_at_s = 0.0
        self._clock_ahead_s: float | None = None
        self.orders: tuple[KeptOrder, ...] = ()
        """The orders in force: at first those of before the restart."""
        self.command_ids: tuple[str, ...] = ()
        """The commands carried out before the restart, oldest first."""
        self.alarm = ""
        """Why a power cut would now forget something; empty when all is well."""
        self.set_aside = False
        """Whether something of before the start could not be used."""

    async def open(self) -> tuple[Memory, Books, str]:
        """What was kept: memory, energy books, and a latched fault (empty: none).

        RunError when another controller runs this site. A disk that does not answer is no reason to wait.
        """
        now_s = asyncio.get_running_loop().time()
        self._lock.take()
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                kept, error = await self._disk.do(self._opened)
        except TimeoutError:
            kept, error = None, StoreError(f"{self._folder}: no answer within {OPEN_WITHIN_S:g} s")
        if error is not None:
            self._alarmed(error)
        if kept is None:
            # What is there and could not be read must not be written over with less.
            self._retry_at_s = inf
            kept = Kept({}, (), [])
        else:
            self._copied_at_s = now_s
        for text in kept.alarms:
            self._found_damaged(text)
        state = self._understood(kept, "state", State.model_validate_json) or State()
        utc_s, local = self._clock()
        orders = self._understood(kept, "orders", _ORDERS.validate_json) or ()
        self.orders, self._orders_at_s = resumed(orders, utc_s, local is not None), now_s
        self._clock_ahead_s = None if local is None else local.utc_s - now_s
        self.command_ids = kept.command_ids
        self._restore_budgets(state)
        books = restored_books(state)
        if self._retry_at_s < inf:
            self._durable = books.totals
        self._note_start(state, self._understood(kept, "settings", _SETTINGS.validate_json))
        return restored_memory(self._config, state, now_s), books, state.fault

    def publishable(self) -> Totals | None:
        """What no restart takes back: the counters as they were last saved; None if those are not known."""
        return self._durable

    def rings(self, now_s: float) -> bool:
        """Whether a power cut would now forget something."""
        return self.alarm != "" or self._disk.silent(now_s)

    def heard(self, cycle: Cycle) -> None:
        """One cycle; never waits."""
        self._newest = cycle
        if self._clock_was_set(cycle.snapshot):
            self._bell.set()
        mode, before = cycle.decision.mode, self._mode
        if mode is not before:
            self._mode = mode
            if mode is Mode.FAULT:
                self.note("penstock", cycle.decision.reason)
            if mode in _AT_ONCE or before in _AT_ONCE:
                self._bell.set()

    def note(self, who: str, what: str) -> None:
        """One line for the audit trail; it is saved with the next save."""
        if len(self._notes) < MOST_NOTES:
            self._notes.append((self._clock()[0], one_line(who), one_line(what)[:LONGEST_NOTE]))

    async def keep_command(self, orders: Sequence[KeptOrder], command_id: str, who: str, what: str) -> bool:
        """Keep the orders now in force and that this command was carried out; True once the disk has it."""
        self.orders, self._orders_at_s = tuple(orders), asyncio.get_running_loop().time()
        self.note(who, what)
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        try:
            return await self._save(command_id)
        finally:
            self._waiting -= 1

    async def run(self) -> None:
        """Save now and again, until cancelled."""
        await self._save()
        wait_s = FIRST_SAVE_S
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    await self._bell.wait()
            except TimeoutError:
                pass
            self._bell.clear()
            await self._save()
            wait_s = RETRY_S if self.alarm else SAVE_EVERY_S
            await asyncio.sleep(SAVE_AGAIN_S)

    async def close(self, orderly: bool) -> None:
        """The last save. After an orderly end a fault is not latched any more: somebody has been there."""
        if orderly:
            self.note("penstock", "stopped in order")
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._save(orderly=orderly)
                await self._disk.do(self._closed)
        except TimeoutError:
            log.warning("%s: the last state was not saved within %g s", self._folder, CLOSE_WITHIN_S)
        self._disk.close()
        self._lock.release()

    # --- on the loop -----------------------------------------------------------------------------------

    def _clock_was_set(self, snapshot: Snapshot) -> bool:
        """Whether the wall clock is another than one cycle ago: by it the ends of orders are kept."""
        before_s, local = self._clock_ahead_s, snapshot.local
        now_s = self._clock_ahead_s = None if local is None else local.utc_s - snapshot.now_s
        if before_s is None or now_s is None:
            return before_s is not now_s
        return abs(now_s - before_s) > CLOCK_SET_S

    async def _save(self, command_id: str = "", orderly: bool = False) -> bool:
        loop = asyncio.get_running_loop()
        if loop.time() < self._retry_at_s and (self._retry_at_s == inf or not orderly):
            return False
        notes, cycle = self._notes, self._newest
        self._notes = []
        utc_s, local = self._clock()
        passed_s, self._orders_at_s = loop.time() - self._orders_at_s, loop.time()
        self.orders = later(self.orders, passed_s, utc_s, local is not None)
        documents = {
            "orders": _ORDERS.dump_json(self.orders).decode(),
            "settings": _SETTINGS.dump_json(flat(self._config)).decode(),
        }
        changed = {name: body for name, body in documents.items() if self._saved.get(name) != body}
        if cycle is not None:
            changed["state"] = self._state(cycle, orderly).model_dump_json()
        copy = loop.time() - self._copied_at_s >= COPY_EVERY_S

        def write() -> None:
            store = self._ready_store()
            store.save(changed, command_id, notes)
            if copy:
                store.copy_to(BEFORE)

        try:
            await self._disk.do(write)
        except StoreError as error:
            self._notes = [*notes, *self._notes][:MOST_NOTES]
            self._saved = {}
            self._alarmed(error)
            await self._disk.do(self._closed)
            return False
        self._saved |= documents
        self._copied_at_s = loop.time() if copy else self._copied_at_s
        if cycle is not None:
            self._durable = cycle.books.totals
        if self.alarm:
            log.info("the state is kept again in %s", self._folder)
        self.alarm, self._untrusted = "", False
        return True

    def _alarmed(self, error: StoreError) -> None:
        if not self.alarm:
            log.error("%s; control goes on, but a power cut would now forget the newest state", error)
        self.alarm = str(error)
        self._untrusted = self._untrusted or error.untrusted
        self._retry_at_s = asyncio.get_running_loop().time() + RETRY_S

    def _state(self, cycle: Cycle, orderly: bool) -> State:
        memory, utc_s, now_s = cycle.memory, self._clock()[0], asyncio.get_running_loop().time()
        budgets = {
            device: {
                address: [(utc_s or 0.0) - ago_s for ago_s in guard.spent_ago_s(now_s)]
                for address, guard in each.items()
            }
            for device, each in self._budgets.items()
        }
        return State(
            saved_utc_s=utc_s,
            mode=cycle.decision.mode,
            fault="" if orderly else cycle.snapshot.fault,
            batteries=kept_batteries(self._config, memory),
            demand=kept_demand(memory.demand),
            island=kept_island(self._config, memory.island),
            energy=kept_energy(cycle.books),
            budgets_utc_s={device: each for device, each in budgets.items() if any(each.values())},
        )

    def _understood(self, kept: Kept, name: str, read: Callable[[str], Result]) -> Result | None:
        if not kept.documents.get(name):
            return None
        try:
            return read(kept.documents[name])
        except ValidationError as error:
            wrong = error.errors()[0]
            at = ".".join(str(one) for one in wrong["loc"])
            self._found_damaged(
                f"the {name} of before cannot be understood ({at}: {wrong['msg']}); it is left out"
            )
            return None

    def _found_damaged(self, alarm: str) -> None:
        self.set_aside = True
        log.error("%s: %s", self._folder, alarm)
        self.note("penstock", alarm)

    def _restore_budgets(self, state: State) -> None:
        utc_s, now_s = self._clock()[0], asyncio.get_running_loop().time()
        for device, each in self._budgets.items():
            for address, guard in each.items():
                written = state.budgets_utc_s.get(device, {}).get(address, [])
                guard.remember([(utc_s or at_s) - at_s for at_s in written], now_s)

    def _note_start(self, state: State, settings: dict[str, str] | None) -> None:
        """Who changed what since the last start: the program, the site file, or the power."""
        cut_off = "" if state.mode in (Mode.STOPPED, Mode.STARTING) else f"; cut off in {state.mode.value}"
        self.note("penstock", f"started, version {__version__}{cut_off}")
        if settings is not None:
            found = changes(settings, flat(self._config))
            for line in found[:MOST_TOLD_CHANGES]:
                self.note("site file", line)
            if len(found) > MOST_TOLD_CHANGES:
                self.note("site file", f"and {len(found) - MOST_TOLD_CHANGES} changes more")
        if state.fault:
            self.note("penstock", f"the fault is still latched: {state.fault}")

    # --- in the thread ---------------------------------------------------------------------------------

    def _opened(self) -> tuple[Kept | None, StoreError | None]:
        try:
            self._store, kept = open_store(self._folder)
        except StoreError as error:
            try:
                return read_only(self._folder), error
            except StoreError:
                return None, error
        return kept, None

    def _ready_store(self) -> Store:
        if self._store is None:
            if self._untrusted:
                with suppress(DamagedError):  # then it is set aside below
                    rewrite(self._folder)
            try:
                self._lock.take()
            except RunError as error:
                raise StoreError(str(error)) from None
            self._store, kept = open_store(self._folder)
            for text in kept.alarms:
                self.set_aside = True
                log.error("%s", text)
        return self._store

    def _closed(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(StoreError):
                store.close()
