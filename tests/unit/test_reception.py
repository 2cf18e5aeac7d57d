"""Commands to a running site: what is applied, what is clamped, what is refused, and when it ends."""

from __future__ import annotations

import json

import pytest

from controller.clock import WallClock, local_time
from controller.dispatch.modes import Mode
from controller.dispatch.orders import LocalTime
from controller.reception import MOST_IDS
from simulators.virtual_time import run
from tests.unit.ordered_site import LIMITED, LOAD_W, OrderedSite, on_a_site

NOON_UTC_S = 1_790_000_000.0
NOON = "2026-09-21T14:13:20Z"


def trusted() -> tuple[float, LocalTime]:
    """A clock that is right and stands still."""
    return NOON_UTC_S, local_time(NOON_UTC_S, None)


def unknown() -> tuple[float, None]:
    """The same, before anything has confirmed it."""
    return NOON_UTC_S, None


def test_a_setpoint_is_followed_from_the_next_beat_until_its_time_is_over() -> None:
    async def work(site: OrderedSite) -> None:
        assert site.setpoint_w == pytest.approx(LOAD_W)
        reply = await site.asked("setpoint", "a", battery_discharge_w=-1500.0, valid_for_s=10.0)
        assert (reply["result"], reply["in_force"]) == ("applied", {"battery_discharge_w": -1500.0})
        assert reply["ends_in_s"] == 10.0
        await site.seconds(1.0)
        assert (site.setpoint_w, site.cycles[-1].decision.policy) == (-1500.0, "follow")
        await site.seconds(8.0)
        assert site.setpoint_w == -1500.0
        await site.seconds(1.5)
        assert (site.setpoint_w, site.cycles[-1].decision.policy) == (
            pytest.approx(LOAD_W, abs=1.0),
            "self_consumption",
        )
        assert site.events("command")[-1]["text"] == "setpoint: has ended"

    on_a_site(work)


def test_a_setpoint_for_the_pcc_is_held_there() -> None:
    async def work(site: OrderedSite) -> None:
        await site.asked("setpoint", "a", pcc_import_w=1000.0)
        await site.seconds(5.0)
        assert site.setpoint_w == pytest.approx(LOAD_W - 1000.0, abs=1.0)

    on_a_site(work)


def test_when_an_order_ends_the_policy_counts_again_and_not_the_order_before() -> None:
    async def work(site: OrderedSite) -> None:
        await site.asked("setpoint", "a", battery_discharge_w=-3000.0, valid_for_s=600.0)
        await site.seconds(2.0)
        await site.asked("setpoint", "b", battery_discharge_w=-1000.0, valid_for_s=2.0)
        await site.seconds(4.0)
        assert site.setpoint_w == pytest.approx(LOAD_W, abs=1.0)

    on_a_site(work)


def test_a_setpoint_beyond_what_the_batteries_can_is_clamped_and_says_by_what() -> None:
    async def work(site: OrderedSite) -> None:
        reply = await site.asked("setpoint", "a", battery_discharge_w=1e9)
        assert (reply["result"], reply["limited_by"]) == ("clamped", "rating")
        assert reply["reason"] == "battery_discharge_w: asked for 1e+09 W, rating allows 5000 W"
        assert reply["in_force"] == {"battery_discharge_w": 5000.0}

    on_a_site(work)


def test_no_command_widens_a_limit_of_the_site_file_or_lowers_its_reserve() -> None:
    async def work(site: OrderedSite) -> None:
        wide = await site.asked("limits", "a", import_limit_w=1e9, export_limit_w=50_000.0)
        assert (wide["result"], wide["limited_by"]) == ("clamped", "import_limit")
        assert wide["in_force"] == {"import_limit_w": 17_250.0, "export_limit_w": 3000.0}
        operator = await site.asked("operator", "b", export_limit_w=1e6)
        assert (operator["result"], operator["in_force"]) == ("clamped", {"export_limit_w": 3000.0})
        reserve = await site.asked("reserve", "c", reserve_pct=0.0)
        assert (reserve["result"], reserve["limited_by"]) == ("clamped", "reserve")
        assert reserve["in_force"] == {"reserve_pct": 20.0}
        out = await site.asked("setpoint", "d", pcc_import_w=-9000.0)
        assert (out["limited_by"], out["in_force"]) == ("export_limit", {"pcc_import_w": -3000.0})

    on_a_site(work)


def test_limits_narrow_each_other_and_a_setpoint_with_them() -> None:
    async def work(site: OrderedSite) -> None:
        await site.asked("operator", "a", import_limit_w=4200.0)
        await site.asked("limits", "b", import_limit_w=6000.0, max_charge_w=2000.0)
        grid = await site.asked("setpoint", "c", pcc_import_w=8000.0)
        assert (grid["limited_by"], grid["in_force"]) == ("operator_import", {"pcc_import_w": 4200.0})
        await site.seconds(1.0)
        battery = await site.asked("setpoint", "d", battery_discharge_w=-2500.0)
        assert (battery["limited_by"], battery["in_force"]) == ("order", {"battery_discharge_w": -2000.0})

    on_a_site(work)


def test_a_grid_operators_order_holds_for_what_the_policy_wants_too() -> None:
    async def work(site: OrderedSite) -> None:
        await site.asked("setpoint", "a", battery_discharge_w=-5000.0, valid_for_s=600.0)
        await site.asked("operator", "b", import_limit_w=4200.0, valid_for_s=600.0)
        await site.seconds(15.0)
        decision = site.cycles[-1].decision
        assert (decision.setpoint_w, decision.limited_by) == (LOAD_W - 4200.0, "operator_import")
        await site.asked("operator", "c")
        await site.seconds(5.0)
        assert site.setpoint_w == -5000.0

    on_a_site(work)


def test_a_higher_reserve_stays_until_it_is_changed() -> None:
    async def work(site: OrderedSite) -> None:
        reply = await site.asked("reserve", "a", reserve_pct=60.0)
        assert (reply["result"], reply["ends_in_s"]) == ("applied", None)
        await site.seconds(3600.0)
        assert (site.setpoint_w, site.cycles[-1].decision.limited_by) == (0.0, "reserve")
        assert site.newest("orders")["reserve_pct"] == 60.0
        await site.asked("reserve", "b", reserve_pct=None)
        await site.seconds(5.0)
        assert site.setpoint_w == pytest.approx(LOAD_W, abs=1.0)

    on_a_site(work)


def test_a_policy_stays_until_changed_and_one_for_a_time_gives_way_to_it() -> None:
    async def work(site: OrderedSite) -> None:
        await site.asked("policy", "a", policy="standby")
        await site.seconds(1.0)
        assert site.cycles[-1].decision.policy == "standby"
        await site.asked("policy", "b", policy="self_consumption", valid_for_s=30.0)
        await site.seconds(1.0)
        assert site.cycles[-1].decision.policy == "self_consumption"
        await site.seconds(30.0)
        assert site.cycles[-1].decision.policy == "standby"
        await site.asked("policy", "c", policy=None)
        await site.seconds(1.0)
        assert site.newest("orders")["policy"] == "self_consumption"

    on_a_site(work)


def test_a_policy_that_the_site_file_does_not_prepare_is_refused_with_those_it_does() -> None:
    async def work(site: OrderedSite) -> None:
        reply = await site.asked("policy", "a", policy="schedule")
        assert reply["result"] == "refused"
        assert reply["reason"].endswith("this site can do self_consumption, follow, standby")

    on_a_site(work)


def test_stop_hands_the_devices_back_and_start_takes_them_again() -> None:
    async def work(site: OrderedSite) -> None:
        assert (await site.asked("start", "a"))["reason"] == "the site is not stopped"
        await site.asked("stop", "b")
        await site.seconds(1.0)
        assert site.cycles[-1].decision.mode is Mode.STOPPED
        assert site.cycles[-1].decision.battery_setpoints_w == (None,)
        refused = await site.asked("setpoint", "c", battery_discharge_w=100.0)
        assert refused["reason"] == "the site is stopped; send start first"
        assert (await site.asked("start", "d"))["result"] == "applied"
        await site.seconds(5.0)
        assert site.cycles[-1].decision.mode is Mode.RUNNING

    on_a_site(work)


def test_a_stop_for_a_time_ends_by_itself() -> None:
    async def work(site: OrderedSite) -> None:
        await site.asked("stop", "a", valid_for_s=60.0)
        await site.seconds(58.0)
        assert site.cycles[-1].decision.mode is Mode.STOPPED
        await site.seconds(8.0)
        assert site.cycles[-1].decision.mode is Mode.RUNNING

    on_a_site(work)


def test_a_fault_is_left_only_by_clear_fault() -> None:
    async def work(site: OrderedSite) -> None:
        assert (await site.asked("clear_fault", "a"))["reason"] == "there is no fault to clear"
        site.control.fault = "bat1: order outside of the nameplate"
        await site.seconds(5.0)
        assert site.cycles[-1].decision.mode is Mode.FAULT
        assert (await site.asked("clear_fault", "b"))["result"] == "applied"
        await site.seconds(1.0)
        assert site.cycles[-1].decision.mode is Mode.STOPPED
        await site.seconds(5.0)
        assert site.cycles[-1].decision.mode is Mode.RUNNING

    on_a_site(work)


def test_a_retained_command_is_never_applied() -> None:
    async def work(site: OrderedSite) -> None:
        site.hear("stop", b'{"id": "a"}', retained=True)
        await site.seconds(2.0)
        assert site.replies["a"][0]["reason"].startswith("is retained")
        assert site.cycles[-1].decision.mode is Mode.RUNNING
        site.send("stop", "a")
        await site.seconds(2.0)
        assert site.replies["a"][1]["result"] == "applied", "it was never carried out, so its id is free"

    on_a_site(work)


def test_the_same_command_twice_is_applied_once_and_answered_twice() -> None:
    async def work(site: OrderedSite) -> None:
        first = await site.asked("setpoint", "a", battery_discharge_w=-1000.0, valid_for_s=5.0)
        await site.seconds(8.0)
        again = await site.asked("setpoint", "a", battery_discharge_w=-1000.0, valid_for_s=5.0)
        assert again == first
        await site.seconds(3.0)
        assert site.setpoint_w == pytest.approx(LOAD_W, abs=1.0)
        other = await site.asked("setpoint", "a", battery_discharge_w=-2000.0)
        assert other["reason"] == "its id was already used for another command"

    on_a_site(work)


def test_the_last_1024_ids_are_known() -> None:
    async def work(site: OrderedSite) -> None:
        for number in range(MOST_IDS + 1):
            await site.asked("start", f"n{number}")
            await site.seconds(0.1)
        assert len(site.outside.reception.answered) == MOST_IDS
        assert "n0" not in site.outside.reception.answered

    on_a_site(work)


@pytest.mark.parametrize(
    ("issued_at", "reason"),
    [
        ("2026-09-21T14:12:19Z", "was issued 61 s ago, allowed are 60 s"),
        ("2026-09-21T14:14:21Z", "was issued 61 s in the future: one clock is wrong"),
        ("2026-09-21T16:13:20+02:00", ""),
    ],
)
def test_an_old_command_is_refused_while_our_clock_can_be_trusted(issued_at: str, reason: str) -> None:
    async def work(site: OrderedSite) -> None:
        reply = await site.asked("limits", "a", import_limit_w=5000.0, issued_at=issued_at)
        assert (reply["result"], reply["reason"]) == ("refused" if reason else "applied", reason)

    on_a_site(work, clock=trusted)


def test_the_time_a_command_was_on_its_way_counts() -> None:
    async def work(site: OrderedSite) -> None:
        on_its_way = "2026-09-21T14:13:00Z"
        reply = await site.asked("limits", "a", import_limit_w=5000.0, issued_at=on_its_way)
        assert reply["ends_in_s"] == 40.0
        late = await site.asked("operator", "b", import_limit_w=5000.0, issued_at=on_its_way, valid_for_s=15)
        assert late["reason"] == "was issued 20 s ago, allowed are 15 s"

    on_a_site(work, clock=trusted)


def test_without_a_trusted_clock_only_the_order_of_commands_is_judged() -> None:
    async def work(site: OrderedSite) -> None:
        old = await site.asked("limits", "a", import_limit_w=5000.0, issued_at="2020-01-01T00:00:00Z")
        assert old["result"] == "applied"
        await site.seconds(2.0)
        older = await site.asked("limits", "b", import_limit_w=6000.0, issued_at="2019-01-01T00:00:00Z")
        assert older["reason"] == "was issued before one that was already applied"

    on_a_site(work, clock=unknown)


def test_a_command_from_the_future_shuts_nobody_out_once_the_clock_can_be_trusted() -> None:
    clocks: list[WallClock] = [unknown]

    async def work(site: OrderedSite) -> None:
        ahead = await site.asked("limits", "a", import_limit_w=5000.0, issued_at="2040-01-01T00:00:00Z")
        assert ahead["result"] == "applied"
        await site.seconds(2.0)
        clocks[0] = trusted
        assert (await site.asked("limits", "b", import_limit_w=6000.0, issued_at=NOON))["result"] == "applied"

    on_a_site(work, clock=lambda: clocks[0]())


def test_a_number_that_does_not_rise_is_refused() -> None:
    async def work(site: OrderedSite) -> None:
        assert (await site.asked("limits", "a", import_limit_w=5000.0, seq=7))["result"] == "applied"
        await site.seconds(2.0)
        again = await site.asked("limits", "b", import_limit_w=6000.0, seq=7)
        assert again["reason"] == "seq 7 is not above the last one, 7"
        await site.seconds(1.0)
        assert (await site.asked("operator", "c", import_limit_w=6000.0, seq=1))["result"] == "applied"

    on_a_site(work)


def test_of_commands_in_one_second_the_last_one_counts() -> None:
    async def work(site: OrderedSite) -> None:
        for number in range(4):
            site.send("setpoint", f"n{number}", battery_discharge_w=-1000.0 * (number + 1))
        await site.seconds(1.1)
        results = [site.replies[f"n{number}"][0]["result"] for number in range(4)]
        assert results == ["applied", "refused", "refused", "applied"]
        assert site.replies["n1"][0]["reason"] == "a newer one came within the same second"
        await site.seconds(10.0)
        assert site.setpoint_w == -4000.0

    on_a_site(work)


def test_a_flood_is_applied_once_a_second_and_told_in_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    async def work(site: OrderedSite) -> None:
        for number in range(3000):
            site.send("limits", f"n{number}", import_limit_w=5000.0 + number)
            await site.seconds(0.001)
        await site.seconds(2.0)
        applied = [id_ for id_, (reply, *_) in site.replies.items() if reply["result"] == "applied"]
        assert 4 <= len(applied) <= 5
        assert applied[-1] == "n2999"
        assert len(site.replies) < 40
        assert len(site.events("command")) < 20
        assert site.cycles[-1].timing.overruns == 0

    on_a_site(work)
    assert len([one for one in caplog.records if one.name == "penstock.command"]) < 20


def test_a_flood_of_one_command_leaves_the_way_open_for_another() -> None:
    async def work(site: OrderedSite) -> None:
        for number in range(500):
            site.send("setpoint", f"n{number}", battery_discharge_w=1e9)
            site.hear("limits", b"nonsense")
            await site.seconds(0.001)
        assert (await site.asked("stop", "a"))["result"] == "applied"

    on_a_site(work)


def test_an_answer_goes_to_the_topic_that_was_asked_for_with_what_belongs_to_it() -> None:
    async def work(site: OrderedSite) -> None:
        site.hear("start", b'{"id": "a"}', response_topic="answers/mine", tag=b"\x01\x02")
        letters = [await site.outside.outbox.next_letter()]
        site.outside.outbox.sent(letters[0], 0.0)
        letters.append(await site.outside.outbox.next_letter())
        assert [one.topic for one in letters] == ["penstock/house-7/reply/a", "answers/mine"]
        assert [one.correlation for one in letters] == [None, b"\x01\x02"]
        assert json.loads(letters[0].payload) == json.loads(letters[1].payload)

    async def without_a_broker() -> None:
        await work(OrderedSite(LIMITED, trusted, 50.0))

    run(without_a_broker())


@pytest.mark.parametrize(
    "topic",
    [
        "penstock/house-8/command/stop",
        "penstock/house-7/state",
        "homeassistant/device/x/config",
        "$SYS/x",
        "a/#",
        "a/+",
        "/x",
        "x" * 300,
    ],
)
def test_nobody_makes_us_publish_where_we_are_believed(topic: str) -> None:
    async def work(site: OrderedSite) -> None:
        site.hear("start", b'{"id": "a"}', response_topic=topic)
        await site.seconds(1.0)
        assert len(site.replies["a"]) == 1
        assert not [one for one, body in site.told if one == topic and "result" in body]

    on_a_site(work)
