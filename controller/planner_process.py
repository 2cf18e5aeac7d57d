"""The planner's process seen from the loop: started when needed, asked, ended when it is late or wrong."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from controller.planner_wire import MOST_BYTES, answer_of, request_line
from controller.planning.inputs import PlanError
from controller.planning.plan import PlanTable
from controller.planning.request import PlanRequest, sound

log = logging.getLogger("penstock.planner")

START_WITHIN_S = 60.0
"""The first answer of a process may take this much longer: a small computer loads numpy slowly."""
END_WITHIN_S = 2.0
LOG_BYTES = 2000
"""What is kept of the words with which a process went down."""


WORKER = (sys.executable, "-m", "controller.planner_worker")
"""How the planner is started."""


class PlannerProcess:
    """One process at a time. `ask` raises PlanError for every kind of failure, after which it is gone."""

    def __init__(self, deadline_s: float, command: Sequence[str] = WORKER) -> None:
        self._command = command
        self._deadline_s = deadline_s
        self._process: asyncio.subprocess.Process | None = None
        self._words: asyncio.Task[bytes] | None = None
        self._proven = False

    @property
    def pid(self) -> int | None:
        """Of the process that runs, if any."""
        return None if self._process is None else self._process.pid

    async def ask(self, request: PlanRequest) -> PlanTable:
        """The plan; a process that is late, dies or answers with nonsense is ended."""
        within_s = self._deadline_s + (0.0 if self._proven else START_WITHIN_S)
        try:
            async with asyncio.timeout(within_s):
                line = await self._line(request_line(request))
        except TimeoutError:
            await self.close()
            raise PlanError(f"the planner did not answer within {within_s:g} s and was ended") from None
        except (OSError, ValueError) as error:
            await self.close()
            raise PlanError(f"the planner cannot be asked: {error}") from None
        except asyncio.CancelledError:
            await self.close()
            raise
        if not line.endswith(b"\n"):
            words = await self.close()
            raise PlanError(f"the planner died{words}")
        try:
            table = answer_of(line)
            self._proven = True
            return sound(table, request)
        except PlanError as error:
            if "the planner answered with" in str(error):
                await self.close()
            raise

    async def _line(self, request: bytes) -> bytes:
        if self._process is None or self._process.returncode is not None:
            await self.close()
            # One thread a process: on a small computer all the cores are not ours.
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MOST_BYTES,
                env=environment,
            )
            assert self._process.stderr is not None, "it is a pipe"
            self._words = asyncio.create_task(_last_words(self._process.stderr))
        process = self._process
        assert process.stdin is not None, "it is a pipe"
        assert process.stdout is not None, "it is a pipe"
        process.stdin.write(request)
        with suppress(ConnectionError):
            await process.stdin.drain()
        return await process.stdout.readline()

    async def close(self) -> str:
        """End the process, and say what its last words were."""
        process, self._process, self._proven = self._process, None, False
        words, self._words = self._words, None
        if process is None:
            return ""
        with suppress(ProcessLookupError):
            process.kill()
        said = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_WITHIN_S):
                await process.wait()
                said = await words if words is not None else b""
        if words is not None:
            words.cancel()
        if process.stdin is not None:
            process.stdin.close()
        lines = said.decode(errors="replace").strip().splitlines()
        return f": {lines[-1][:200]}" if lines else ""


async def _last_words(stream: asyncio.StreamReader) -> bytes:
    """The end of what it says on standard error, read all the time so that it never waits."""
    kept = b""
    while part := await stream.read(4096):
        kept = (kept + part)[-LOG_BYTES:]
    return kept
