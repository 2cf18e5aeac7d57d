"""Signing off: what an order came to, from registers read back and power measured, second by second."""

from __future__ import annotations

from itertools import pairwise

import pytest

from drivers.control import Control
from drivers.modbus.signoff import GIVE_WAY_S, SignOff
from drivers.profile.model import Response
from drivers.registers import Value

WATTS = Control("enabled_watts", "w", "ena")
DIRECTED = Control(
    "directed_watts",
    "w",
    "ena",
    direction="mode",
    charging_code=1.0,
    discharging_code=2.0,
    idle_code=0.0,
    on=802.0,
    off=803.0,
)
QUICK = Response(dead_time_s=1.0, time_constant_s=0.6)  # settled after 1 + 5 x 0.6 + 1 = 5 s


def ordered(order_w: float, at_s: float = 0.0, response: Response = QUICK) -> SignOff:
    sign_off = SignOff(WATTS, response, "battery")
    sign_off.ordered(at_s, order_w, {"w": order_w, "ena": 1.0}, {"w": 0.0, "ena": 0.0})
    return sign_off


def held(order_w: float, enabled: float = 1.0) -> dict[str, Value]:
    return {"w": order_w, "ena": enabled}


def test_nothing_ordered_has_no_outcome() -> None:
    assert SignOff(WATTS, QUICK, "battery").outcome == ""


def test_an_order_is_pending_until_power_follows_and_applied_then() -> None:
    sign_off = ordered(-1500.0)
    sign_off.read_back(held(-1500.0))
    for at_s, power_w in ((1.0, 0.0), (2.0, -900.0)):
        sign_off.measured(at_s, power_w)
        assert sign_off.outcome == "pending"
    sign_off.measured(3.0, -1400.0)
    assert sign_off.outcome == "applied"


def test_power_that_never_follows_although_the_registers_hold_it_is_clamped() -> None:
    """As of a battery that is full: three readings after it should have settled."""
    sign_off = ordered(-1500.0)
    sign_off.read_back(held(-1500.0))
    seen = []
    for at_s in range(1, 9):
        sign_off.measured(float(at_s), 0.0)
        seen.append(sign_off.outcome)
    assert seen == ["pending"] * 6 + ["clamped"] * 2


@pytest.mark.parametrize(
    ("power_w", "outcome"),
    [(0.0, "ignored"), (-1000.0, "clamped"), (1500.0, "ignored"), (-2500.0, "ignored")],
)
def test_a_device_that_cannot_be_read_back_is_judged_by_its_power_alone(power_w: float, outcome: str) -> None:
    sign_off = SignOff(WATTS, QUICK, "battery")
    sign_off.ordered(0.0, -1500.0, {}, {})
    for at_s in range(1, 9):
        sign_off.read_back({})
        sign_off.measured(float(at_s), power_w)
    assert sign_off.outcome == outcome


def test_an_order_that_changes_every_second_is_judged_by_all_that_may_still_be_on_their_way() -> None:
    sign_off = SignOff(WATTS, QUICK, "battery")
    for second in range(20):
        order_w = 100.0 * second
        sign_off.ordered(float(second), order_w, held(order_w), {})
        sign_off.measured(second + 0.9, max(0.0, order_w - 300.0))  # three seconds behind
    assert sign_off.outcome == "applied"


def test_a_slow_ramp_is_given_its_time() -> None:
    sign_off = SignOff(WATTS, Response(1.0, 0.6, ramp_w_per_s=100.0), "battery")
    sign_off.ordered(0.0, 0.0, held(0.0), {})
    sign_off.ordered(6.0, 2000.0, held(2000.0), {})
    sign_off.read_back(held(2000.0))
    for second in range(7, 26):
        sign_off.measured(float(second), min(2000.0, 100.0 * (second - 7)))
        assert sign_off.outcome in ("pending", "applied")


def test_a_device_of_unknown_speed_has_15_s() -> None:
    sign_off = ordered(-1500.0, response=Response())
    for second in range(1, 15):
        sign_off.measured(float(second), 0.0)
    assert sign_off.outcome == "pending"


@pytest.mark.parametrize(
    ("before_it_was_held", "found", "outcome"),
    [
        (False, held(0.0, 0.0), "ignored"),  # as it was before
        (False, held(-1000.0), "clamped"),
        (False, held(900.0), "foreign"),
        (True, held(-1500.0, 0.0), "reverted"),
        (True, held(900.0), "foreign"),
        (True, held(-1495.0), "applied"),  # the step of its register
    ],
)
def test_registers_that_hold_something_else_say_what_happened(
    before_it_was_held: bool, found: dict[str, Value], outcome: str
) -> None:
    sign_off = ordered(-1500.0)
    if before_it_was_held:
        sign_off.read_back(held(-1500.0))
    sign_off.read_back(found)
    sign_off.measured(9.0, -1500.0 if outcome == "applied" else 0.0)
    assert sign_off.outcome == outcome
    assert sign_off.disputed == (outcome in ("ignored", "foreign", "reverted"))


def test_modes_must_be_exactly_what_was_written_however_near_they_are() -> None:
    sign_off = SignOff(DIRECTED, QUICK, "battery")
    expected: dict[str, Value] = {"w": 1500.0, "mode": 1.0, "ena": 802.0}
    sign_off.ordered(0.0, -1500.0, expected, {})
    sign_off.read_back(expected)
    seen: list[str] = []
    for other in ({"ena": 803.0}, {"mode": 2.0}):
        sign_off.read_back(expected | other)
        seen.append(sign_off.outcome)
        sign_off.ordered(1.0, -1500.0, expected, {})
    assert seen == ["reverted", "foreign"]


def test_read_back_at_once_can_only_confirm() -> None:
    sign_off = ordered(-1500.0)
    sign_off.read_back(held(0.0, 0.0), at_once=True)
    assert (sign_off.outcome, sign_off.disputed) == ("pending", False)


def rewritten_at_s(sign_off: SignOff, until_s: int = 900) -> list[int]:
    """When a dispute that never ends is written again, if that is asked every second."""
    return [second for second in range(until_s) if sign_off.may_rewrite(float(second))]


def test_a_disputed_order_is_rewritten_twice_a_minute_then_given_way_to_for_30_s_and_then_tried_again() -> (
    None
):
    sign_off = ordered(-1500.0)
    sign_off.read_back(held(0.0, 0.0))
    assert sign_off.outcome == "ignored"
    # 0 and 1; given way to from 2 to 32; the third of this minute; from 33 to 63, and so on.
    assert rewritten_at_s(sign_off, 96) == [0, 1, 32, 63, 94]
    assert sign_off.yielding_s(95.0) == GIVE_WAY_S


def test_a_controller_that_is_still_there_is_given_way_to_for_twice_as_long_each_time() -> None:
    sign_off = ordered(-1500.0)
    sign_off.read_back(held(900.0))
    assert sign_off.outcome == "foreign"
    times_s = rewritten_at_s(sign_off, 1200)
    pauses_s = [after - before for before, after in pairwise(times_s) if after - before > 1]
    assert pauses_s == [31, 61, 121, 241, 301, 301]
    most = max(sum(at_s <= one < at_s + 60 for one in times_s) for at_s in times_s)
    assert most == 3, "in any minute"


def test_who_comes_and_goes_is_not_fought_either_and_the_next_try_is_made_when_it_was_said() -> None:
    sign_off = ordered(-1500.0)
    sign_off.read_back(held(900.0))
    assert rewritten_at_s(sign_off, 5) == [0, 1]
    sign_off.seen_while_yielding(5.0, held(900.0, 0.0))  # nobody orders it
    assert [sign_off.may_rewrite(at_s) for at_s in (6.0, 9.0)] == [True, False]
    # It is there again: 60 s, twice as long as before, and the minute with three rewrites is over then too.
    assert sign_off.yielding_s(9.0) == 60.0
    assert [sign_off.may_rewrite(at_s) for at_s in (68.0, 69.0)] == [False, True]


def test_the_fourth_rewrite_waits_until_the_first_of_three_is_a_minute_ago() -> None:
    sign_off = ordered(-1500.0)
    sign_off.read_back(held(900.0))
    rewritten_at_s(sign_off, 5)
    sign_off.seen_while_yielding(5.0, held(900.0, 0.0))
    sign_off.outcome = "ignored"
    assert [sign_off.may_rewrite(at_s) for at_s in (6.0, 9.0, 39.0, 59.0, 60.0)] == [True] + [False] * 3 + [
        True
    ]


def test_two_disputes_in_more_than_a_minute_are_no_fight() -> None:
    sign_off = ordered(-1500.0)
    assert all(sign_off.may_rewrite(31.0 * n) for n in range(20))


@pytest.mark.parametrize(
    ("given_way_to", "found", "over"),
    [
        (held(900.0), held(900.0), False),
        (
            held(900.0),
            held(-1500.0),
            True,
        ),  # it holds our order: it was read wrongly, or nobody is there any more
        (held(900.0), held(900.0, 0.0), True),  # it runs its own program: nobody orders it any more
        (held(-1500.0, 0.0), held(-1500.0, 0.0), False),  # that is why it was given way to
    ],
)
def test_giving_way_is_over_as_soon_as_nobody_else_orders_the_device(
    given_way_to: dict[str, Value], found: dict[str, Value], over: bool
) -> None:
    sign_off = ordered(-1500.0)
    sign_off.read_back(held(-1500.0))
    sign_off.read_back(given_way_to)
    rewritten_at_s(sign_off, 5)
    assert sign_off.yielding_s(5.0) == 27.0
    sign_off.seen_while_yielding(5.0, found)
    assert sign_off.yielding_s(5.0) == (0.0 if over else 27.0)


def test_a_device_that_keeps_our_last_order_instead_of_the_new_one_ignores_it() -> None:
    sign_off = ordered(-1500.0)
    sign_off.read_back(held(-1500.0))
    sign_off.ordered(10.0, 1000.0, held(1000.0), held(-1500.0))
    sign_off.read_back(held(-1500.0))
    assert (sign_off.outcome, sign_off.disputed) == ("ignored", True), "nobody else is there"


@pytest.mark.parametrize(("power_w", "outcome"), [(0.0, "applied"), (2000.0, "applied"), (3500.0, "ignored")])
def test_a_cap_is_applied_as_long_as_no_more_is_generated(power_w: float, outcome: str) -> None:
    sign_off = SignOff(WATTS, QUICK, "pv")
    sign_off.ordered(0.0, 2000.0, held(2000.0), {})
    sign_off.read_back(held(2000.0))
    for second in range(1, 10):
        sign_off.measured(float(second), power_w)
    assert sign_off.outcome == outcome


def test_a_release_forgets_all() -> None:
    sign_off = ordered(-1500.0)
    sign_off.read_back(held(900.0))
    sign_off.released()
    assert (sign_off.outcome, sign_off.disputed) == ("", False)
