"""Whether the meter is later, or earlier, than its profile says, from what battery and meter did."""

from __future__ import annotations

import pytest

from controller.dispatch.delay import Samples, at, off_by_s

GATE_W = 1000.0


def each(every_s: float, until_s: float = 21.0, **spikes_w: float) -> Samples:
    """A battery that goes from 0 to 600 W at 12 s, read so often; `t19=5000.0` is a wrong reading at 19 s."""
    times_s = [every_s * n for n in range(round(until_s / every_s))]
    wrong = {float(name[1:]): power_w for name, power_w in spikes_w.items()}
    return tuple([(at_s, wrong.get(at_s, 600.0 if at_s >= 12.0 else 0.0)) for at_s in times_s])


def shown(samples: Samples, late_s: float, from_s: int = 0) -> Samples:
    """What a meter that is really so late shows of a house that takes 1000 W, each second."""
    return tuple([(float(at_s), 1000.0 - at(samples, at_s - late_s)) for at_s in range(from_s, 21)])


@pytest.mark.parametrize(
    ("every_s", "said_s", "late_s", "off_s"),
    [
        (1.0, 0.0, 0.0, 0.0),
        (1.0, 0.0, 3.0, 4.0),
        (1.0, 5.0, 2.0, 4.0),  # earlier by 60 % of what is said
        (1.5, 0.0, 1.0, 2.0),  # as near as half a second to the time between two readings
    ],
)
def test_an_error_of_the_delay_is_found_with_a_second_for_doubt(
    every_s: float, said_s: float, late_s: float, off_s: float
) -> None:
    samples = each(every_s)
    assert off_by_s(said_s, samples, shown(samples, late_s), GATE_W) == pytest.approx(off_s)


def test_two_readings_are_enough() -> None:
    samples = ((0.0, 0.0), (2.0, 600.0))
    assert off_by_s(0.0, samples, shown(samples, 3.0), GATE_W) == 4.0


@pytest.mark.parametrize(("spike_w", "off_s"), [(1600.0, 3.0), (1601.0, 0.0), (-400.0, 3.0), (-401.0, 0.0)])
def test_one_reading_off_by_more_than_the_gate_is_wrong_and_says_nothing_of_the_delay(
    spike_w: float, off_s: float
) -> None:
    # Were the meter late by 2 s, its last value at 20 s would be from before the spike.
    values = shown(each(1.0), 0.0, from_s=14)
    assert off_by_s(0.0, each(1.0, t19=spike_w), values, GATE_W) == off_s


def test_the_second_reading_of_all_may_be_wrong_as_well() -> None:
    # Were the meter earlier by 2 s, its first value at 2 s would be from after the spike.
    values = shown(each(1.0), 2.0, from_s=2)
    assert off_by_s(2.0, each(1.0, t1=5000.0), values, GATE_W) == 0.0
