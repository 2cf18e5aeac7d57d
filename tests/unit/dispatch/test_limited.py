"""A power that every limit may move: the last that moved it bound, and import limits leave the sun alone."""

from __future__ import annotations

import pytest

from controller.dispatch.limited import Limited
from controller.dispatch.limits import INFINITE_W


def test_the_rating_is_the_first_to_bind() -> None:
    limited = Limited(7000.0, -5000.0, 4000.0)
    assert (limited.power_w, limited.limited_by, limited.charge_room_w) == (4000.0, "rating", 5000.0)
    assert Limited(4000.0, -5000.0, 4000.0).limited_by == ""
    assert Limited(-6000.0, -5000.0, 4000.0).power_w == -5000.0


def test_a_limit_that_does_not_move_the_power_does_not_bind() -> None:
    limited = Limited(1000.0, -5000.0, 5000.0)
    assert not limited.narrow("import_limit", None)
    assert not limited.narrow("import_limit", (-5000.0, 5000.0))
    assert not limited.narrow("export_limit", (-INFINITE_W, 1000.0))
    assert (limited.lower_w, limited.upper_w, limited.limited_by) == (-5000.0, 1000.0, "")
    assert limited.narrow("export_limit", (-INFINITE_W, 900.0))
    assert (limited.power_w, limited.limited_by) == (900.0, "export_limit")
    assert limited.narrow("import_limit", (950.0, INFINITE_W)) is False, "the stronger one has spoken"


@pytest.mark.parametrize(
    ("name", "lower_w", "room_w"),
    [
        ("fuse", -3000.0, 3000.0),
        ("ramp", -100.0, 100.0),
        ("fuse", 200.0, 0.0),
        ("fuse", -6000.0, 5000.0),
        ("import_limit", -3000.0, 5000.0),
        ("demand", 0.0, 5000.0),
    ],
)
def test_what_may_be_charged_from_the_sun_is_a_matter_of_the_batteries(
    name: str, lower_w: float, room_w: float
) -> None:
    limited = Limited(1000.0, -5000.0, 5000.0)
    limited.narrow(name, (lower_w, 4000.0))
    assert limited.charge_room_w == room_w


def test_a_question_goes_to_the_side_that_has_room_up_to_its_edge() -> None:
    def asked_w(power_w: float, lower_w: float, upper_w: float) -> float:
        limited = Limited(power_w, lower_w, upper_w)
        assert limited.ask(75.0) is (limited.power_w != power_w), "it says whether there was room"
        return limited.power_w

    assert asked_w(100.0, -5000.0, 5000.0) == 25.0
    assert asked_w(100.0, 25.0, 5000.0) == 25.0
    assert asked_w(100.0, 26.0, 175.0) == 175.0
    assert asked_w(100.0, 26.0, 174.0) == 100.0
