"""Scenario files: what they may say, and how they are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.dispatch.orders import Order
from controller.lab.hil import run_scenario
from controller.lab.scenario import Scenario, load_scenario
from drivers.doors import DoorError
from tests.bench.sites import SITE

HEAD = f'''title = "A test"
duration_s = 60

[site]
file = "{SITE}"
'''
CLAIM = """
[[claim]]
claim = "settles"
signal = "pcc_import_w"
to = 0
tolerance = 100
after_s = 0
within_s = 20
"""


def scenario(folder: Path, *parts: str) -> Scenario:
    path = folder / "test.toml"
    path.write_text("".join(parts), encoding="utf-8")
    return load_scenario(path)


def refusal(folder: Path, *parts: str) -> str:
    with pytest.raises(DoorError) as caught:
        scenario(folder, *parts)
    return str(caught.value).replace(str(folder / "test.toml"), "test.toml")


@pytest.mark.parametrize("how", ["fast", "virtual"])
def test_a_constant_load_is_covered_in_every_way_of_running(how: str, tmp_path: Path) -> None:
    made = scenario(tmp_path, HEAD, "[load]\npower_w = 1_000\n", CLAIM)
    record = run_scenario(made, how)  # type: ignore[arg-type]  # one of the ways
    # After the proof of 2 s the soft start of 500 W a second is there after another 2 s.
    assert made.claims[0].claim.judge(record).held
    assert record.signals["load_w"] == [1000.0] * 241  # 60 s at four samples a second, both ends included
    assert record.signals["bat1.discharge_w"][-1] == pytest.approx(1000.0, abs=100.0)  # it asks the meter
    assert record.imbalance_wh < 1e-9


def test_the_same_scenario_decides_the_same_again_and_another_seed_otherwise(tmp_path: Path) -> None:
    invented = "[load]\ninvented = true\n[sun]\ninvented = true\n"
    first = run_scenario(scenario(tmp_path, HEAD, invented, CLAIM))
    again = run_scenario(scenario(tmp_path, HEAD, invented, CLAIM))
    other = run_scenario(scenario(tmp_path, "seed = 2\n", HEAD, invented, CLAIM))
    assert first.trace_hash == again.trace_hash
    assert first.trace_hash != other.trace_hash


def test_of_two_orders_the_later_holds_wherever_it_stands_in_the_file(tmp_path: Path) -> None:
    later = "[[step]]\nat_s = 30\norder = {operator_import_w = 750, for_s = 20}\n"
    earlier = "[[step]]\nat_s = 10\norder = {operator_import_w = 0, for_s = 5}\n"
    made = scenario(tmp_path, HEAD, later, earlier, "[load]\npower_w = 1_000\n", CLAIM)
    assert made.told(12.0, 100.0).orders.operator_import_w == Order(0.0, 115.0)
    assert made.told(30.0, 100.0).orders.operator_import_w == Order(750.0, 150.0)


def test_what_a_scenario_puts_on_top_of_its_site_is_in_force(tmp_path: Path) -> None:
    on_top = '[site.grid]\nexport_limit_w = 7\n[[site.battery]]\nid = "bat1"\nmin_soc_pct = 33\n'
    config = scenario(tmp_path, HEAD, on_top, CLAIM).config
    assert config.dispatch.export_limit_w == 7.0
    assert config.dispatch.import_limit_w == 17_250.0
    assert [one.min_soc_pct for one in config.dispatch.batteries] == [33.0]
    assert config.dispatch.batteries[0].capacity_wh == 10_000.0


FROZEN = '[[fault]]\ndevice = "grid"\nat_s = 1\nfault = "frozen"\n'


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (CLAIM.replace("pcc_", "pc_"), ':9: claim[0].signal is "pc_import_w"; did you mean "pcc_import_w"?'),
        (CLAIM.replace("settles", "setles"), ':8: claim[0].claim is "setles"; did you mean "settles"?'),
        (CLAIM.replace("tolerance", "toleranc"), 'toleranc is not a known key; did you mean "tolerance"?'),
        (
            FROZEN.replace("grid", "gird") + CLAIM,
            ":7: fault[0].device: there is no 'gird' here",
        ),
        (FROZEN.replace("frozen", "deaf") + CLAIM, "grid is a meter; deaf is a fault of battery"),
        (FROZEN.replace("frozen", "slow") + 'period_s = "1"\n' + CLAIM, ':10: fault[0].period_s is "1"'),
        ("[site.grid]\nexport_limit = 0\n" + CLAIM, ":7: grid.export_limit is not a known key; did you mean"),
        ("[load]\npower_w = 5\ninvented = true\n" + CLAIM, ":6: load: give one of power_w, values_w"),
        ('[load]\ncsv = "none.csv"\n' + CLAIM, ":7: load.csv:"),
        ("", "claim is missing"),
    ],
)
def test_a_bad_scenario_is_told_with_file_line_key_and_what_would_be_right(
    part: str, told: str, tmp_path: Path
) -> None:
    assert told in refusal(tmp_path, HEAD, part)


def test_a_site_file_that_is_not_there_is_told_with_the_line_that_names_it(tmp_path: Path) -> None:
    told = refusal(tmp_path, HEAD.replace(str(SITE), "none.toml"), CLAIM)
    assert (
        told == f"test.toml:5: site.file: {tmp_path / 'none.toml'}: cannot be read: No such file or directory"
    )
