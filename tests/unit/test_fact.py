"""A fact is a frozen dataclass in everything but the time it takes to make one."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, fields, is_dataclass, replace
from inspect import signature

import pytest

from drivers.fact import fact, kind_of


@fact
class Reading:
    """One reading."""

    taken_at_s: float
    power_w: float
    phases_w: tuple[float, ...] = ()

    @property
    def doubled_w(self) -> float:
        return 2.0 * self.power_w


@dataclass(frozen=True, slots=True)
class Usual:
    taken_at_s: float
    power_w: float
    phases_w: tuple[float, ...] = ()


def test_a_fact_cannot_be_changed() -> None:
    reading = Reading(1.0, 2.0)
    with pytest.raises(FrozenInstanceError):
        reading.power_w = 3.0
    with pytest.raises(FrozenInstanceError):
        del reading.power_w
    assert not hasattr(reading, "__dict__")


def test_a_fact_is_filled_by_place_by_name_and_by_default() -> None:
    assert Reading(1.0, power_w=2.0) == Reading(1.0, 2.0, ())
    assert Reading(1.0, 2.0, (3.0,)).phases_w == (3.0,)
    with pytest.raises(TypeError, match="power_w"):
        Reading(1.0)
    with pytest.raises(TypeError, match="watts"):
        Reading(1.0, 2.0, watts=3.0)


def test_a_fact_compares_hashes_and_shows_itself_as_a_dataclass_does() -> None:
    one, usual = Reading(1.0, 2.0, (3.0,)), Usual(1.0, 2.0, (3.0,))
    assert hash(one) == hash(usual)
    assert one != usual
    assert repr(one) == "Reading(taken_at_s=1.0, power_w=2.0, phases_w=(3.0,))"
    assert is_dataclass(Reading)
    assert [field.name for field in fields(Reading)] == ["taken_at_s", "power_w", "phases_w"]
    assert asdict(one) == asdict(usual)
    assert one.doubled_w == 4.0


def test_a_fact_says_how_it_is_made() -> None:
    assert str(signature(Reading)).startswith("(taken_at_s: 'float', power_w: 'float', phases_w:")


def test_a_fact_is_replaced_copied_and_sent_to_other_processes() -> None:
    one = Reading(1.0, 2.0, (3.0,))
    assert replace(one, power_w=5.0) == Reading(1.0, 5.0, (3.0,))
    for other in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert (other, type(other)) == (one, kind_of(Reading))
        assert isinstance(other, Reading)


def test_a_class_that_checks_itself_is_refused() -> None:
    class Checked:
        power_w: float

        def __post_init__(self) -> None: ...

    with pytest.raises(TypeError, match="Checked"):
        fact(Checked)
