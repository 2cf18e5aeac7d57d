"""Whether the clock of the host can be trusted: by what the kernel was told, not by what has started."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.clock import SYNCHRONIZED_BELOW_US, kernel_max_error_us, system_clock

UNSYNCHRONISED_US, SYNCHRONISED_US = 16_000_000, 21_500


def host(folder: Path, *files: str) -> Path:
    """What a time service has put below /run."""
    for one in files:
        (folder / one).parent.mkdir(parents=True, exist_ok=True)
        (folder / one).touch()
    return folder


@pytest.mark.parametrize(
    ("files", "max_error_us", "trusted"),
    [
        ((), UNSYNCHRONISED_US, True),
        (("chrony/chronyd.pid",), UNSYNCHRONISED_US, False),
        (("chrony/chronyd.pid",), SYNCHRONISED_US, True),
        (("ntpd.pid",), UNSYNCHRONISED_US, False),
        (("systemd/timesync/started",), UNSYNCHRONISED_US, False),
        (("systemd/timesync/started",), SYNCHRONISED_US, True),
        (("systemd/timesync/started", "chrony/chronyd.pid"), UNSYNCHRONISED_US, False),
        (("systemd/timesync/synchronized",), UNSYNCHRONISED_US, True),
    ],
)
def test_a_clock_is_trusted_once_a_time_service_has_set_it_or_where_there_is_none(
    files: tuple[str, ...], max_error_us: int, trusted: bool, tmp_path: Path
) -> None:
    utc_s, local = system_clock(None, host(tmp_path, *files), lambda: max_error_us)()
    assert (utc_s is not None, local is not None) == (True, trusted)


def test_a_clock_that_was_synchronised_stays_trusted_without_the_network(tmp_path: Path) -> None:
    errors_us = iter([UNSYNCHRONISED_US, SYNCHRONISED_US])
    clock = system_clock(None, host(tmp_path, "chrony/chronyd.pid"), lambda: next(errors_us))
    assert [clock()[1] is not None for _ in range(4)] == [False, True, True, True]


def test_the_kernel_of_this_host_says_by_how_much_its_clock_may_be_off() -> None:
    assert 0 <= kernel_max_error_us() <= SYNCHRONIZED_BELOW_US
