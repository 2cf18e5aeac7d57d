"""PV behind the meter: taken off like the battery, and its silence is not a jump of the load."""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.observe import observe
from controller.dispatch.plausible import NO_DOUBT
from controller.dispatch.response import NOTHING_HEARD, Response, moved, with_pv
from controller.dispatch.site import Site, Snapshot
from drivers.device import MeterReading
from tests.unit.dispatch.sites import PV, a_config, a_snapshot
from tests.unit.dispatch.test_response_edges import a_response, after

CONFIG = a_config(pvs=PV)
SHINING = a_response(900.0, samples=((0.0, 300.0), (10.0, 300.0)), values=((10.0, 600.0),), pv_w=300.0)
SILENT = replace(SHINING, pv_known=False)


def seen(response: Response, snapshot: Snapshot) -> tuple[Site, Response]:
    site, response, _ = observe(CONFIG, response, NO_DOUBT, snapshot)
    assert isinstance(site, Site)
    return site, response


def test_pv_that_goes_on_being_heard_or_silent_changes_nothing() -> None:
    assert with_pv(SHINING, 700.0) is SHINING
    assert with_pv(SILENT, None) is SILENT


def test_pv_that_falls_silent_is_taken_to_give_what_it_gave_last() -> None:
    assert with_pv(SHINING, None) == SILENT


def test_pv_that_is_heard_again_leaves_the_net_load_what_it_was_and_forgets_the_past() -> None:
    assert with_pv(SILENT, 500.0) == replace(
        SHINING, net_load_w=1100.0, battery_then_w=200.0, samples=(), values=(), pv_w=300.0, pv_known=True
    )


def test_pv_heard_before_the_meter_was_ever_read_changes_no_load() -> None:
    blind = replace(NOTHING_HEARD, pv_known=False)
    assert with_pv(blind, 500.0) == NOTHING_HEARD


def test_house_and_pv_are_told_apart() -> None:
    site, response = seen(NOTHING_HEARD, a_snapshot(-200.0, 100.0, pv_generation_w=700.0))
    assert (site.net_load_w, site.load_w, site.pv_generation_w) == (-100.0, 600.0, 700.0)
    assert (response.net_load_w, response.pv_w, response.pv_known) == (600.0, 700.0, True)
    assert response.samples == ((10.0, 800.0),)


def test_what_pv_gave_last_is_kept_while_the_meter_shows_nothing_new() -> None:
    _, response = seen(NOTHING_HEARD, a_snapshot(-200.0, 100.0, pv_generation_w=700.0))
    same = replace(
        a_snapshot(-200.0, 100.0, pv_generation_w=720.0, now_s=11.0), meter=MeterReading(11.0, -200.0)
    )
    site, later = seen(response, same)
    assert (later.pv_w, later.pv_known, later.net_load_w) == (720.0, True, 600.0)
    assert (site.is_news, site.net_load_w) == (False, -120.0)


def test_silent_pv_leaves_the_net_load_and_its_return_does_too() -> None:
    _, response = seen(NOTHING_HEARD, a_snapshot(-200.0, 100.0, pv_generation_w=700.0))
    site, response = seen(response, a_snapshot(-201.0, 100.0, now_s=11.0, pvs=(None,)))
    assert (site.net_load_w, site.load_w, site.pv_generation_w) == (-101.0, None, None)
    assert (response.pv_w, response.pv_known) == (700.0, False)
    site, response = seen(response, a_snapshot(-200.0, 100.0, pv_generation_w=300.0, now_s=12.0))
    assert (site.net_load_w, site.load_w) == (-100.0, 200.0)
    assert response.pv_known


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
    _, response = seen(response, a_snapshot(-1000.0, 100.0, now_s=11.0, pvs=(None,)))
    _, response = seen(response, a_snapshot(-1000.0, 100.0, now_s=12.0, pvs=(None,)))
    for second in range(8):
        back = a_snapshot(-1000.0, 100.0, pv_generation_w=1500.0, now_s=13.0 + second)
        site, response = seen(response, back)
        assert (site.net_load_w, site.load_w) == (-900.0, 600.0)
        assert not moved(response, response.samples, 5000.0)
