"""Spreads the cases of a study over the cores of this machine, or over the machines of a Dask cluster.

What is done is written down line by line, so that an interrupted study goes on where it was. The figures do
not depend on who computed a case: each is a run of its own. A worker that dies costs the case it was at,
which is given to another.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, suppress
from multiprocessing import active_children, get_context
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path
from signal import SIG_BLOCK, SIG_SETMASK, SIGINT, SIGTERM, default_int_handler, pthread_sigmask, signal
from typing import Any, TypeVar

from controller.errors import RunError
from controller.lab.study.case import Case, Material, Outcome, run_case

Given = TypeVar("Given")
Found = TypeVar("Found")
Done = Callable[[Outcome], None]
TRIES = 3
"""A case whose worker died so often is what kills it."""


class Notebook:
    """The outcomes of a study on disk, one line each; those of other material are not taken."""

    def __init__(self, path: Path | None, digests: dict[str, str]) -> None:
        self._path = path
        self._digests = digests
        self.done: dict[Case, Outcome] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self._read(line)

    def _read(self, line: str) -> None:
        # A line that was cut short by an interruption is a case that was not done.
        with suppress(ValueError, KeyError, TypeError):
            kept = json.loads(line)
            found = Outcome.from_json(kept["outcome"])
            if self._digests.get(found.case.time) == kept["digest"]:
                self.done[found.case] = found

    def note(self, outcome: Outcome) -> None:
        """Keep one more; it is on disk when this returns."""
        self.done[outcome.case] = outcome
        if self._path is None:
            return
        line = json.dumps({"digest": self._digests[outcome.case.time], "outcome": outcome.to_json()})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())


def run_here(
    materials: dict[str, Material], cases: Sequence[Case], jobs: int, noted: Done
) -> dict[Case, Outcome]:
    """All cases on this machine, `jobs` at a time; RunError when one kills its worker again and again."""
    found, left, tries = {}, list(cases), dict.fromkeys(cases, 0)
    while left:
        try:
            with closing(spread(_run_taken, left, jobs, _take, (materials,))) as outcomes:
                for outcome in outcomes:
                    found[outcome.case] = outcome
                    noted(outcome)
        except BrokenProcessPool:
            left = [case for case in left if case not in found]
            for case in left[:jobs]:
                tries[case] += 1
            worst = max(left, key=lambda case: tries[case])
            if tries[worst] >= TRIES:
                raise RunError(
                    f"{worst.name}: its worker died {TRIES} times; is there enough memory? Try --jobs 1"
                ) from None
            continue
        break
    return found


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """A service manager or `timeout` ends a program as Ctrl-C does, or its workers would outlive it."""
    before = signal(SIGTERM, default_int_handler)
    try:
        yield
    finally:
        signal(SIGTERM, before)


def spread(
    call: Callable[[Given], Found],
    given: Sequence[Given],
    jobs: int,
    begin: Callable[..., None] | None = None,
    begun_with: tuple[Any, ...] = (),
) -> Generator[Found]:
    """What each call gives, as it comes, `jobs` of them at a time; `begin` once in each process before.

    With one job in this process. BrokenProcessPool when a process died. A terminal sends Ctrl-C to every
    process: the workers do not hear it, this one ends them.
    """
    if jobs == 1:
        if begin is not None:
            begin(*begun_with)
        yield from map(call, given)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), begin, begun_with) as pool:
        try:
            with _no_ctrl_c():
                running = {pool.submit(call, one) for one in given}
            while running:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for one in ended:
                    yield one.result()
        except (KeyboardInterrupt, GeneratorExit):
            # GeneratorExit: whoever takes what is found was interrupted.
            with _no_ctrl_c():
                for worker in active_children():
                    worker.terminate()
                pool.shutdown(wait=True, cancel_futures=True)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _no_ctrl_c() -> Iterator[None]:
    """Ctrl-C is put off until the end of this; a process that is begun meanwhile never hears it."""
    # It would let Ctrl-C through again if it began here.
    ensure_running()
    before = pthread_sigmask(SIG_BLOCK, {SIGINT})
    try:
        yield
    finally:
        pthread_sigmask(SIG_SETMASK, before)


_materials: dict[str, Material] = {}


def _take(materials: dict[str, Material]) -> None:
    """In each worker, once: sending a year with every case would take longer than some cases."""
    _materials.clear()
    _materials.update(materials)


def _run_taken(case: Case) -> Outcome:
    return run_case(_materials[case.time], case)


def run_on_cluster(
    materials: dict[str, Material], cases: Sequence[Case], scheduler: str, noted: Done
) -> dict[Case, Outcome]:
    """All cases on the workers of a Dask scheduler such as tcp://10.0.0.5:8786.

    RunError when it cannot be reached, or when the extra `cluster` is not installed.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise RunError("--scheduler needs Dask: install penstock[cluster]") from None
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, TimeoutError, ValueError) as error:
        raise RunError(f"no Dask scheduler at {scheduler}: {error}") from None
    found: dict[Case, Outcome] = {}
    with client:
        sent = {name: client.scatter(one, broadcast=True, hash=False) for name, one in materials.items()}
        running = [
            client.submit(run_case, sent[case.time], case, pure=False, retries=TRIES) for case in cases
        ]
        for future in as_completed(running):
            outcome = future.result()
            found[outcome.case] = outcome
            noted(outcome)
    return found
