"""PV behind the meter: taken off like the battery, and its silence is not a jump of the load."""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.observe import observe
from controller.dispatch.plausible import NO_DOUBT
from controller.dispatch.response import NOTHING_HEARD, Response, moved, with_pv
from controller.dispatch.site import Site, Snapshot
from drivers.device import MeterReading, PvReading
from tests.unit.dispatch.sites import PV, a_config, a_snapshot
from tests.unit.dispatch.test_response_edges import a_response, after

CONFIG = a_config(pvs=PV)
SHINING = a_response(
    900.0, samples=((0.0, 300.0), (10.0, 300.0)), values=((10.0, 600.0),), pv_w=300.0, pv_heard=(True,)
)
SILENT = replace(
    SHINING,
    net_load_w=600.0,
    battery_then_w=-300.0,
    samples=((0.0, 0.0), (10.0, 0.0)),
    pv_w=0.0,
    pv_heard=(False,),
)
"""A house of 900 W with 300 W of sun, and what it is taken for while nobody hears of those 300 W."""


def roof(pv_generation_w: float, taken_at_s: float = 10.0) -> tuple[PvReading, ...]:
    return (PvReading(taken_at_s, pv_generation_w, 5000.0),)


def seen(response: Response, snapshot: Snapshot) -> tuple[Site, Response]:
    site, response, _ = observe(CONFIG, response, NO_DOUBT, snapshot)
    assert isinstance(site, Site)
    return site, response


def test_pv_that_goes_on_being_heard_or_silent_changes_nothing() -> None:
    assert with_pv(SHINING, roof(700.0), (True,)) is SHINING
    assert with_pv(SILENT, roof(700.0), (False,)) is SILENT


def test_what_pv_gave_when_it_fell_silent_is_less_load_from_then_on() -> None:
    assert with_pv(SHINING, roof(300.0), (False,)) == SILENT


def test_what_pv_gives_when_it_is_heard_again_is_taken_for_load_no_longer() -> None:
    assert with_pv(SILENT, roof(300.0), (True,)) == SHINING
    # 600 W at the meter with 500 W of sun are a house of 1100 W.
    more = with_pv(SILENT, roof(500.0), (True,))
    assert (more.net_load_w, more.pv_w, more.battery_then_w) == (1100.0, 500.0, 200.0)
    assert more.samples == ((0.0, 500.0), (10.0, 500.0))


def test_of_several_only_those_that_fall_silent_or_are_heard_again_count() -> None:
    three = (PvReading(10.0, 100.0), PvReading(10.0, 20.0), None)
    before = replace(SHINING, pv_heard=(True, False, False))
    after_it = with_pv(before, three, (False, True, False))
    assert (after_it.net_load_w, after_it.pv_w) == (900.0 - 100.0 + 20.0, 300.0 - 100.0 + 20.0)


def test_the_first_word_of_pv_has_no_load_to_change() -> None:
    assert with_pv(NOTHING_HEARD, roof(500.0), (True,)) == replace(NOTHING_HEARD, pv_heard=(True,))


def test_house_and_pv_are_told_apart() -> None:
    site, response = seen(NOTHING_HEARD, a_snapshot(-200.0, 100.0, pv_generation_w=700.0))
    assert (site.net_load_w, site.load_w, site.pv_generation_w) == (-100.0, 600.0, 700.0)
    assert (response.net_load_w, response.pv_w, response.pv_heard) == (600.0, 700.0, (True,))
    assert response.samples == ((10.0, 800.0),)


def test_what_pv_gave_last_is_kept_while_the_meter_shows_nothing_new() -> None:
    _, response = seen(NOTHING_HEARD, a_snapshot(-200.0, 100.0, pv_generation_w=700.0))
    same = replace(
        a_snapshot(-200.0, 100.0, pv_generation_w=720.0, now_s=11.0), meter=MeterReading(11.0, -200.0)
    )
    site, later = seen(response, same)
    assert (later.pv_w, later.pv_heard, later.net_load_w) == (720.0, (True,), 600.0)
    assert (site.is_news, site.net_load_w) == (False, -120.0)


def test_silent_pv_leaves_the_net_load_and_its_return_does_too() -> None:
    _, response = seen(NOTHING_HEARD, a_snapshot(-200.0, 100.0, pv_generation_w=700.0))
    site, response = seen(response, a_snapshot(-201.0, 100.0, now_s=13.0, pvs=roof(700.0)))
    assert (site.net_load_w, site.load_w, site.pv_each_w, site.pv_silent) == (-101.0, -101.0, (0.0,), (True,))
    assert (response.pv_w, response.pv_heard) == (0.0, (False,))
    site, response = seen(response, a_snapshot(-200.0, 100.0, pv_generation_w=300.0, now_s=14.0))
    assert (site.net_load_w, site.load_w, site.pv_silent) == (-100.0, 200.0, ())
    assert (response.pv_w, response.pv_heard) == (300.0, (True,))


def test_a_turn_within_five_seconds_of_the_last_is_not_looked_into_again() -> None:
    def turned(turned_at_s: float) -> tuple[float, float, float, float]:
        before = a_response(500.0, moved_w=400.0, moved_at_s=9.0, slack_s=4.0, turned_at_s=turned_at_s)
        now = after(before, 100.0)
        return now.slack_s, now.turned_at_s, now.moved_w, now.moved_at_s

    assert turned(6.5) == (4.0, 6.5, -400.0, 11.0)
    assert turned(6.0) == (2.0, 11.0, -400.0, 11.0)


def test_pv_that_changed_while_it_was_silent_makes_no_meter_frozen() -> None:
    # 700 W of PV fall silent and come back as 1500; the meter has seen it long before, and nothing moves now.
    _, response = seen(NOTHING_HEARD, a_snapshot(-200.0, 100.0, pv_generation_w=700.0))
    _, response = seen(response, a_snapshot(-1000.0, 100.0, now_s=13.0, pvs=roof(700.0)))
    _, response = seen(response, a_snapshot(-1000.0, 100.0, now_s=14.0, pvs=roof(700.0)))
    for second in range(8):
        back = a_snapshot(-1000.0, 100.0, pv_generation_w=1500.0, now_s=15.0 + second)
        site, response = seen(response, back)
        assert (site.net_load_w, site.load_w) == (-900.0, 600.0)
        assert not moved(response, response.samples, 5000.0)
