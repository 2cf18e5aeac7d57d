"""docs/add-a-device.md: complete, and enough to write a profile that works by path, without any install."""

from __future__ import annotations

import asyncio
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.config import load_config
from controller.devices import open_devices
from controller.lab.emulate import built, emulated
from drivers.control import STYLES
from drivers.link import Link
from drivers.modbus import modbus_battery
from drivers.profile import load_profile, profile_schema
from drivers.profile.model import GIVES, IDENTITY
from tests.contract.plants import Battery, in_virtual_time, soon
from tests.penstock import free_ports, result_of

PAGE = (Path(__file__).parent.parent.parent / "docs" / "add-a-device.md").read_text(encoding="utf-8")
ACME = Path(__file__).parent / "acme-hb5.toml"
SNIPPETS = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)

SITE = """
site = "house-7"

[[meter]]
id = "grid"
profile = "eastron-sdm72dm-v2"
connection = "tcp://127.0.0.1:{}"

[[battery]]
id = "bat1"
profile = "./acme-hb5.toml"
connection = "tcp://127.0.0.1:{}"
capacity_wh = 10_000
max_charge_w = 4_000
max_discharge_w = 4_000
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of somebody who has never seen our source: a site file, and a profile beside it."""
    shutil.copy(ACME, tmp_path)
    path = tmp_path / "house.toml"
    path.write_text(SITE.format(*free_ports(2)), encoding="utf-8")
    return path


def keys_of(schema: dict[str, Any]) -> Iterator[str]:
    tables = [schema, *schema["$defs"].values()]
    for table in tables:
        yield from table.get("properties", {})


def test_the_page_explains_every_key_style_and_field() -> None:
    fields = {name.partition(".")[0] for fields in GIVES.values() for name in fields} | set(IDENTITY)
    missing = [
        word
        for word in {*keys_of(profile_schema()), *STYLES, *fields}
        if not re.search(rf"(?<![a-z_]){word}(?![a-z_])", PAGE)
    ]
    assert missing == []


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: text.splitlines()[0])
def test_every_snippet_of_the_page_is_toml(snippet: str) -> None:
    assert tomllib.loads(snippet)


def test_the_profile_has_every_register_of_the_printed_sheet() -> None:
    printed = [int(first) - 40001 for first in re.findall(r"^> \| (4\d{4})", PAGE, flags=re.MULTILINE)]
    assert printed == [point.address for point in load_profile(str(ACME)).points.values()]


def test_penstock_check_takes_a_profile_by_path_from_the_site_file(site: Path) -> None:
    result = result_of("check", str(site))
    assert (result.returncode, result.stderr) == (0, "")
    assert "bat1     battery: Acme HB5" in result.stdout


def test_penstock_check_says_what_is_wrong_with_ones_own_profile(site: Path) -> None:
    profile = site.parent / "acme-hb5.toml"
    text = profile.read_text(encoding="utf-8")
    profile.write_text(
        text.replace('address = 200, type = "s32", scale = -1', 'address = 200, type = "s32", scale = 1')
    )
    result = result_of("check", str(site))
    assert result.returncode == 78
    assert "battery_discharge_w comes out as 3200.0, the example says -3200.0" in result.stderr


async def test_ones_own_profile_is_emulated_read_ordered_and_released(site: Path) -> None:
    config = load_config(site)
    async with emulated(built(config)):
        devices = open_devices(config)
        try:
            late = asyncio.get_running_loop().time() + 5.0
            (battery,) = devices.batteries
            reading = await battery.read(late)
            assert (reading.max_charge_w, reading.max_discharge_w, reading.fault) == (4000.0, 4000.0, False)
            await battery.order(-1500.0, late)
            await battery.release(late)
        finally:
            await devices.close()


def test_orders_to_the_acme_reach_its_plant_with_its_watchdog_armed() -> None:
    plant = Battery()
    profile = load_profile(str(ACME))

    async def scenario(link: Link) -> None:
        battery = modbus_battery("bat1", profile, link, 1)
        assert (await battery.read(soon())).battery_discharge_w == -3200.0
        for order_w in (-1500.0, 2000.0, 0.0):
            await battery.order(order_w, soon())
        await battery.release(soon())

    in_virtual_time(profile, plant, scenario)
    assert plant.diary == [(-1500.0, 30.0), (2000.0, 30.0), (0.0, 30.0), None]
