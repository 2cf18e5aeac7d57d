"""How slow a device may be when commissioning lets it go live."""

from __future__ import annotations

import pytest

from controller.lab.commission.findings import Finding
from controller.lab.commission.plausible import timing_findings


def found(took_s: float, *, serial: bool, cycle_s: float = 1.0) -> Finding:
    """Of ten readings that each took so long."""
    (finding,) = timing_findings("bat1", [took_s] * 10, cycle_s, serial)
    return finding


@pytest.mark.parametrize("serial", [True, False])
def test_a_device_that_answers_within_its_part_of_the_cycle_is_good(serial: bool) -> None:
    assert found(0.59, serial=serial).kind == "good"


def test_on_a_serial_line_others_wait_for_a_slow_device_so_it_may_not_go_live() -> None:
    finding = found(0.65, serial=True)
    assert finding.kind == "stop"
    # 0.65 s and a fifth in 0.6 of the cycle: 1.3 s.
    assert finding.text.endswith("give cycle_s = 1.3")


def test_on_a_network_a_slow_device_misses_beats_and_may_go_live() -> None:
    finding = found(0.9, serial=False)
    assert finding.kind == "warn"
    assert "it misses beats" in finding.text
    assert "never" not in finding.text


def test_a_longer_cycle_gives_a_slow_device_its_time() -> None:
    assert found(0.7, serial=False, cycle_s=1.4).kind == "good"


def test_what_takes_more_than_a_second_cannot_be_controlled() -> None:
    finding = found(1.1, serial=False)
    assert finding.kind == "stop"
    assert "never more than 1 s" in finding.text


def test_one_late_reading_in_ten_is_forgiven() -> None:
    (finding,) = timing_findings("bat1", [0.1] * 9 + [2.0], 1.0, False)
    assert finding.kind == "good"
