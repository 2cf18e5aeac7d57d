"""The planner's process: one request a line on standard input, one answer a line on standard output.

It ends with its input, so it never outlives the controller. Started by `planner_process.py`.
"""

from __future__ import annotations

import os
import signal
import sys

from controller.planner_wire import MOST_BYTES, answer_line, refusal_line, request_of
from controller.planning.inputs import PlanError
from controller.planning.request import plan_for

NICE = 10
"""The loop goes first."""


def main() -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the controller's; it closes our input
    os.nice(NICE)
    while line := sys.stdin.buffer.readline(MOST_BYTES):
        try:
            answer = answer_line(plan_for(request_of(line)))
        except PlanError as error:
            answer = refusal_line(str(error))
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
