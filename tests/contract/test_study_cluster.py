"""A study on a real Dask scheduler with two worker processes, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.errors import RunError
from controller.lab.study.asked import asked
from controller.lab.study.case import Case, Outcome
from controller.lab.study.work import run_here, run_on_cluster
from tests.unit.study.sites import a_site, measured


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers on free ports of 127.0.0.1; ended by pid."""
    told = folder / "scheduler.json"
    common = ["--host", "127.0.0.1", "--no-dashboard"]
    processes = [_started("scheduler", *common, "--port", "0", "--scheduler-file", str(told))]
    try:
        workers = [
            _started(
                *("worker", "--scheduler-file", str(told), *common, "--nworkers", "1", "--nthreads", "1"),
                *("--no-nanny", "--local-directory", str(folder / f"worker{number}")),
            )
            for number in range(2)
        ]
        processes += workers
        yield _address(told), workers
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait(30)


def _started(kind: str, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_" + kind, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
    )


def _address(told: Path) -> str:
    from distributed import Client

    with Client(scheduler_file=str(told), timeout=60) as client:
        client.wait_for_workers(2, timeout=60)
        return str(client.scheduler.address)


def test_a_cluster_that_loses_a_worker_comes_to_the_same_figures(tmp_path: Path) -> None:
    study = asked(
        a_site(tmp_path),
        [measured(tmp_path, days=7)],
        None,
        (4000.0, 8000.0),
        (2000.0, 3000.0),
        ("self_consumption", "standby"),
    )
    alone = run_here(study.materials, study.cases, 1, lambda outcome: None)
    noted: list[Case] = []
    with scheduler(tmp_path) as (address, workers):

        def noted_and_killed(outcome: Outcome) -> None:
            noted.append(outcome.case)
            if len(noted) == 2:
                workers[0].send_signal(signal.SIGKILL)

        found = run_on_cluster(study.materials, study.cases, address, noted_and_killed)
        assert workers[0].poll() is not None or workers[0].wait(10)
    assert found == alone
    assert sorted(map(repr, noted)) == sorted(map(repr, study.cases))


def test_no_scheduler_is_said_at_once() -> None:
    with pytest.raises(RunError, match="no Dask scheduler at nowhere"):
        run_on_cluster({}, (), "nowhere", lambda outcome: None)
