"""What all tests share: a real MQTT broker, and how hypothesis looks for examples."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.mosquitto import Mosquitto, MosquittoError

# `make test` tries the same examples every time, so that a red build can be repeated; `make soak` looks
# further, and its seed repeats it. No deadline: the tests must not depend on how fast this machine is.
settings.register_profile("steady", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("mutants", derandomize=True, max_examples=15, deadline=None, database=None)
settings.register_profile("soak", max_examples=2000, deadline=None, print_blob=True)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "steady")
settings.load_profile(PROFILE)
# What talks to programs that only `make soak` fetches.
collect_ignore = [] if PROFILE == "soak" else ["soak"]


def pytest_report_header(config: pytest.Config) -> str:
    if PROFILE != "soak":
        return "hypothesis: the same examples every time (make soak looks further)"
    seed = config.getoption("hypothesis_seed")
    return f"hypothesis: profile {PROFILE}, seed {seed} (make soak SEED={seed} repeats it)"


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running Mosquitto of this test's own; the test fails, and is not skipped, where none is installed."""
    broker = Mosquitto(tmp_path)
    try:
        broker.start()
    except MosquittoError as error:
        pytest.fail(str(error), pytrace=False)
    yield broker
    broker.stop()
