"""`[[policy.window]]`: what a good window becomes, and what a bad one is told."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from controller.dispatch.settings import Window
from controller.schedule import WindowTable
from drivers.doors import DoorError, validate

ALL_DAYS = frozenset(range(7))


class PolicyTable(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: Literal["schedule"] = "schedule"
    window: list[WindowTable] = Field(default_factory=list)


class SiteTables(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    policy: PolicyTable


def read(text: str) -> list[Window]:
    site = validate(Path("house.toml"), text, SiteTables, tomllib.loads(text))
    return [table.window() for table in site.policy.window]


def window(*lines: str) -> Window:
    return read("\n".join(["[[policy.window]]", *lines]))[0]


def refusal(*lines: str) -> list[str]:
    with pytest.raises(DoorError) as refused:
        window(*lines)
    return str(refused.value).splitlines()


NIGHT = ('from = "22:00"', 'to = "06:00"')
DAY_USAGE = "known here: fri, mon, sat, sun, thu, tue, wed"


def test_a_full_window_becomes_seconds_weekdays_and_ordinals() -> None:
    found = window(
        *NIGHT,
        'days = ["mon", "sun"]',
        "first_date = 2026-11-01",
        "last_date = 2027-03-31",
        'action = "charge"',
        "power_w = 3_000",
        "soc_pct = 80",
    )
    assert found == Window(
        from_s=79_200,
        to_s=21_600,
        action="charge",
        power_w=3000.0,
        soc_pct=80.0,
        weekdays=frozenset({0, 6}),
        first_day=date(2026, 11, 1).toordinal(),
        last_day=date(2027, 3, 31).toordinal(),
    )


def test_what_is_left_out_bounds_nothing() -> None:
    found = window('from = "00:00"', 'to = "24:00"', 'action = "hold"')
    assert found == Window(0, 86_400, "hold", 0.0, None, ALL_DAYS, None, None)


def test_minutes_count_and_a_pcc_target_may_export() -> None:
    found = window('from = "06:59"', 'to = "23:01"', 'action = "pcc"', "power_w = -500.5")
    assert found == Window(25_140, 82_860, "pcc", -500.5)


def test_a_pcc_target_of_zero_is_a_target() -> None:
    assert window(*NIGHT, 'action = "pcc"', "power_w = 0").power_w == 0.0


def test_windows_keep_the_order_of_the_file() -> None:
    text = """
[[policy.window]]
from = "08:00"
to = "09:00"
action = "hold"
[[policy.window]]
from = "07:00"
to = "10:00"
action = "discharge"
power_w = 700
"""
    assert [one.action for one in read(text)] == ["hold", "discharge"]


@pytest.mark.parametrize("day", range(7))
def test_each_day_has_its_number_and_monday_is_0(day: int) -> None:
    name = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day]
    assert window(*NIGHT, f'days = ["{name}"]', 'action = "hold"').weekdays == {day}


def test_a_window_may_last_for_one_date() -> None:
    found = window(*NIGHT, "first_date = 2026-12-24", "last_date = 2026-12-24", 'action = "hold"')
    assert (found.first_day, found.last_day) == (739_974, 739_974)


@pytest.mark.parametrize(
    "clock", ["25:00", "24:00", "7:00", "07:60", "0700", "07:00:00", "", "\u0660\u0667:00", "07:00 "]
)
def test_a_bad_begin_is_told_what_is_right(clock: str) -> None:
    expected = f'house.toml:2: policy.window[0].from is "{clock}": give a local time from "00:00" to "23:59"'
    hint = ' (local time such as "22:00")'
    assert refusal(f'from = "{clock}"', 'to = "06:00"', 'action = "hold"') == [expected + hint]


@pytest.mark.parametrize("clock", ["25:00", "24:01", "6:00"])
def test_a_bad_end_is_told_what_is_right(clock: str) -> None:
    (told,) = refusal('from = "22:00"', f'to = "{clock}"', 'action = "hold"')
    assert told.startswith(
        f'house.toml:3: policy.window[0].to is "{clock}": give a local time from "00:00" to "24:00" ('
    )


def test_a_time_without_quotes_is_told_how_to_write_it() -> None:
    (told,) = refusal("from = 22:00:00", 'to = "06:00"', 'action = "hold"')
    assert told.startswith("house.toml:2: policy.window[0].from is 22:00:00")
    assert told.endswith('(local time such as "22:00")')


def test_a_window_that_ends_where_it_begins_is_told_how_a_whole_day_is_written() -> None:
    (told,) = refusal('from = "22:00"', 'to = "22:00"', 'action = "hold"')
    assert told.startswith(
        'house.toml:3: policy.window[0].to is "22:00": the same as from; '
        'for a whole day give from = "00:00" and to = "24:00" ('
    )


@pytest.mark.parametrize(
    ("day", "advice"),
    [
        ("monday", 'did you mean "mon"?'),
        ("Tue", 'did you mean "tue"?'),
        ("holiday", DAY_USAGE),
    ],
)
def test_an_unknown_day_is_told_the_nearest_one(day: str, advice: str) -> None:
    told = refusal(*NIGHT, f'days = ["sun", "{day}"]', 'action = "hold"')
    assert told == [f'house.toml:4: policy.window[0].days[1] is "{day}": no day of the week; {advice}']


def test_no_days_at_all_are_refused() -> None:
    (told,) = refusal(*NIGHT, "days = []", 'action = "hold"')
    assert told.startswith("house.toml:4: policy.window[0].days is []: ")


@pytest.mark.parametrize("action", ["charge", "discharge", "pcc"])
def test_an_action_that_needs_a_power_is_told_so(action: str) -> None:
    (told,) = refusal(*NIGHT, f'action = "{action}"')
    assert told == (
        "house.toml:1: policy.window[0].power_w is missing "
        "(W; above 0 for charge and discharge, import for pcc (negative exports), none for hold)"
    )


@pytest.mark.parametrize("action", ["charge", "discharge"])
@pytest.mark.parametrize("power_w", ["0", "-500"])
def test_a_charge_or_discharge_is_given_as_a_positive_power(action: str, power_w: str) -> None:
    (told,) = refusal(*NIGHT, f'action = "{action}"', f"power_w = {power_w}")
    assert f": {action} needs more than 0 W; the action gives the direction (" in told
    assert window(*NIGHT, f'action = "{action}"', "power_w = 0.1").power_w == 0.1


def test_hold_has_no_power() -> None:
    (told,) = refusal(*NIGHT, 'action = "hold"', "power_w = 0")
    assert told.startswith("house.toml:5: policy.window[0].power_w is 0: hold is 0 W; leave power_w out (")


@pytest.mark.parametrize(("action", "power"), [("hold", ""), ("pcc", "power_w = 5")])
def test_only_charge_and_discharge_end_at_a_soc(action: str, power: str) -> None:
    (told,) = refusal(*NIGHT, f'action = "{action}"', "soc_pct = 50", power)
    assert told.startswith(
        "house.toml:5: policy.window[0].soc_pct is 50: "
        f"only for charge and discharge, not for {action}; leave soc_pct out ("
    )


def test_dates_in_the_wrong_order_are_refused() -> None:
    (told,) = refusal(*NIGHT, 'action = "hold"', "first_date = 2026-11-02", "last_date = 2026-11-01")
    assert ": before first_date 2026-11-02; such a window never begins (" in told


def test_an_open_end_of_dates_is_kept_open() -> None:
    assert window(*NIGHT, 'action = "hold"', "last_date = 2026-11-01").first_day is None
    assert window(*NIGHT, 'action = "hold"', "first_date = 2026-11-01").last_day is None


def test_a_date_with_a_time_is_refused() -> None:
    (told,) = refusal(*NIGHT, 'action = "hold"', "first_date = 2026-11-02T00:00:00")
    assert "policy.window[0].first_date" in told


@pytest.mark.parametrize("power_w", ["nan", "inf", "1_000_000_001", "-1_000_000_001", '"5"'])
def test_a_power_that_is_no_power_is_refused(power_w: str) -> None:
    (told,) = refusal(*NIGHT, 'action = "pcc"', f"power_w = {power_w}")
    assert told.startswith("house.toml:5: policy.window[0].power_w is ")


@pytest.mark.parametrize(("soc_pct", "good"), [("-0.1", False), ("0", True), ("100", True), ("100.1", False)])
def test_a_soc_is_a_percentage(soc_pct: str, good: bool) -> None:
    lines = (*NIGHT, 'action = "charge"', "power_w = 5", f"soc_pct = {soc_pct}")
    if good:
        assert window(*lines).soc_pct == float(soc_pct)
    else:
        assert "policy.window[0].soc_pct" in refusal(*lines)[0]


def test_an_unknown_key_is_told_the_nearest_one_by_the_name_it_has_in_the_file() -> None:
    told = refusal(*NIGHT, 'action = "hold"', 'form = "21:00"')
    assert told == ['house.toml:5: policy.window[0].form is not a known key; did you mean "from"?']


def test_an_unknown_action_alone_is_reported_once() -> None:
    (told,) = refusal(*NIGHT, 'action = "rest"', "power_w = 5", "soc_pct = 50")
    assert "policy.window[0].action" in told


def test_the_schema_names_the_keys_as_they_are_written() -> None:
    schema = WindowTable.model_json_schema()
    assert set(schema["properties"]) == {
        "from", "to", "action", "power_w", "soc_pct", "days", "first_date", "last_date"
    }  # fmt: skip
    assert schema["required"] == ["from", "to", "action"]
