"""The planner's process: it plans, and when it hangs, dies or talks nonsense that costs one plan."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from controller.planner_process import PlannerProcess
from controller.planner_wire import answer_line, answer_of, request_line, request_of
from controller.planning.inputs import Leave, PlanError, Storage
from controller.planning.request import SLOT_S, Course, Peak, PlanRequest, plan_for, sound

DAY = 96
BEGIN = 1_780_272_000.0
STORAGE = Storage(10_000.0, 5000.0, 5000.0, min_soc_pct=5.0)


def course(slots: int, measured: bool) -> Course:
    """Cheap nights, dear evenings; 500 W of load, and no sun."""
    prices = tuple(0.15 if slot % DAY < 24 else 0.45 if slot % DAY >= 68 else 0.30 for slot in range(slots))
    values = (500.0,) * slots if measured else ()
    return Course((0.0,) * slots, prices, (0.05,) * slots, values, (0.0,) * len(values))


REQUEST = PlanRequest(
    BEGIN,
    50.0,
    course(2 * DAY, measured=True),
    course(DAY, measured=False),
    STORAGE,
    Leave(grid_charging=True),
    (Peak(4.0, (True,) * DAY, 2500.0, 1000.0),),
    7200.0,
)


def run(work: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await work

    asyncio.run(bounded())


def test_it_plans_as_the_same_program_in_place_does_and_serves_again() -> None:
    async def asked() -> None:
        planner = PlannerProcess(60.0)
        try:
            first = await planner.ask(REQUEST)
            pid = planner.pid
            assert np.allclose(first.water_values, plan_for(REQUEST).water_values)
            assert first.expires_at_utc_s == BEGIN + 7200.0
            await planner.ask(REQUEST)
            assert planner.pid == pid
        finally:
            await planner.close()

    run(asked())


def test_a_refusal_is_told_in_its_own_words_and_the_process_lives_on() -> None:
    empty = Storage(10_000.0, -1.0, 5000.0)
    refused = PlanRequest(BEGIN, 50.0, REQUEST.past, REQUEST.ahead, empty, Leave(), (), 7200.0)

    async def asked() -> None:
        planner = PlannerProcess(60.0)
        try:
            with pytest.raises(PlanError, match="must be numbers of 0 or more"):
                await planner.ask(refused)
            pid = planner.pid
            await planner.ask(REQUEST)
            assert planner.pid == pid
        finally:
            await planner.close()

    run(asked())


def test_one_that_hangs_is_ended_at_its_deadline_and_started_anew() -> None:
    async def asked() -> None:
        planner = PlannerProcess(60.0)
        try:
            await planner.ask(REQUEST)
            hung = planner.pid
            assert hung is not None
            os.kill(hung, signal.SIGSTOP)
            planner._deadline_s = 0.2
            with pytest.raises(PlanError, match=r"did not answer within 0\.2 s and was ended"):
                await planner.ask(REQUEST)
            with pytest.raises(ProcessLookupError):
                os.kill(hung, 0)
            planner._deadline_s = 60.0
            await planner.ask(REQUEST)
            assert planner.pid not in (None, hung)
        finally:
            await planner.close()

    run(asked())


def test_one_that_was_killed_is_noticed_and_started_anew() -> None:
    async def asked() -> None:
        planner = PlannerProcess(60.0)
        try:
            await planner.ask(REQUEST)
            assert planner.pid is not None
            os.kill(planner.pid, signal.SIGKILL)
            with pytest.raises(PlanError, match="died"):
                await planner.ask(REQUEST)
            await planner.ask(REQUEST)
        finally:
            await planner.close()

    run(asked())


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import sys; sys.exit('out of memory')", "died: out of memory"),
        ("print('hello', flush=True); input()", "something that is no plan"),
        ("print('{}', flush=True); input()", "something that is no plan"),
        ("print('[' * 10000, flush=True); input()", "something that is no plan"),
        ("print('x' * 9_000_000, flush=True); input()", "cannot be asked"),
    ],
)
def test_one_that_dies_or_talks_nonsense_is_ended(program: str, says: str) -> None:
    async def asked() -> None:
        planner = PlannerProcess(30.0, (sys.executable, "-c", program))
        try:
            with pytest.raises(PlanError, match=says):
                await planner.ask(REQUEST)
            assert planner.pid is None
        finally:
            await planner.close()

    run(asked())


def test_a_program_that_is_not_there_is_said_so() -> None:
    async def asked() -> None:
        with pytest.raises(PlanError, match="cannot be asked"):
            await PlannerProcess(5.0, ("/nowhere/planner",)).ask(REQUEST)

    run(asked())


def test_requests_and_answers_pass_the_pipe_unchanged() -> None:
    assert request_of(request_line(REQUEST)) == REQUEST
    table = plan_for(REQUEST)
    again = answer_of(answer_line(table))
    for name in ("water_values", "soc_pct", "import_target_w", "battery_discharge_w"):
        assert np.array_equal(getattr(again, name), getattr(table, name))
    assert again.storage == table.storage
    with pytest.raises(PlanError, match="not a request"):
        request_of(b'{"begin_utc_s": 1}')


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("water_values", np.full((DAY, 41), np.nan), "a water value that is no price"),
        ("water_values", np.full((DAY, 41), 1e6), "a water value that is no price"),
        ("water_values", np.zeros((3, 41)), "water values of the shape"),
        ("soc_pct", np.full((DAY, 3), 120.0), "no percentage"),
        ("import_target_w", np.full(DAY, np.nan), "an import target"),
        ("net_load_w", np.full(DAY, np.inf), "figures that are no numbers"),
        ("begin_utc_s", BEGIN - SLOT_S, "a plan for another time"),
        ("expires_at_utc_s", BEGIN + 1e6, "an expiry beyond"),
        ("storage", Storage(1.0, 1.0, 1.0), "a plan for another battery"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(field: str, value: object, says: str) -> None:
    from dataclasses import replace

    table = plan_for(REQUEST)
    assert sound(table, REQUEST) is table
    with pytest.raises(PlanError, match=says):
        sound(replace(table, **{field: value}), REQUEST)
