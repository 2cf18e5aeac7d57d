"""A register shared with others: only our bits of it are judged, and only they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.link import Link
from drivers.profile import ProfileError, load_profile
from tests.contract.plants import RATING, Obeying, battery_of, in_virtual_time, soon

TEXT = """
name = "Acme B1"
role = "battery"
source = ["sheet"]
confidence = "high"

[defaults]
type = "s16"

[points]
power = {address = 10, unit = "W", gives = "battery_discharge_w", every = "fast"}
ordered = {address = 11, unit = "W", access = "rw", every = "third", emulated = 0}
remote = {address = 12, type = "bits16", bits = 0x0003, access = "rw", every = "third", emulated = 0}

[control]
style = "enabled_watts"
setpoint = "ordered"
enable = "remote"
on = 2

[lease]
none = "the last power stays on"

[[image]]
address = 12
words = "8100"

[[examples]]
source = "by hand: 0xFA24 = -1500; of 0x8102 two bits are ours, and they hold 2, so that is ordered"
registers.10 = "FA24 FA24 8102"
reading.battery_discharge_w = -1500.0
reading.setpoint_w = -1500.0

[[examples]]
source = "by hand: the bits beside ours stay"
registers.12 = "8100"
take_w = 700
writes = ["11 02BC", "12 8102"]

[[examples]]
source = "by hand"
registers.12 = "8102"
release = true
writes = ["12 8100"]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_an_order_leaves_the_bits_of_others_as_they_stand_at_that_moment(path: Path) -> None:
    plant, profile = Obeying(), load_profile(str(path))

    async def scenario(link: Link) -> None:
        async def register() -> int:
            return (await link.read(1, "holding", 12, 1, soon())).words[0]

        battery = battery_of(profile, link)
        await battery.order(-1500.0, soon())
        assert await register() == 0x8102
        assert (await battery.read(soon())).setpoint_w == -1500.0
        await link.write(1, 12, (0x4102,), soon())  # somebody else moves a bit that is not ours
        for _ in range(4):
            await battery.read(soon())
            await battery.order(-1500.0, soon())
        assert battery.outcome in ("pending", "applied"), "nobody touched what is ours"
        await battery.release(soon())
        assert await register() == 0x4100

    in_virtual_time(profile, plant, scenario, RATING)
    assert plant.diary[0] == (-1500.0, pytest.approx(float("inf")))
    assert plant.diary[-1] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("on = 2", "on = 4"), "remote: 4 has other bits than 0x0003"),
        (('type = "bits16", bits', "bits"), "is s16; bits are for u16, bits16 and enum16"),
        (('access = "rw", every = "third", emulated = 0}\n\n[c', 'access = "w"}\n\n[c'), "the other bits"),
    ],
)
def test_bits_that_cannot_be_are_told_what_to_do(path: Path, change: tuple[str, str], said: str) -> None:
    path.write_text(TEXT.replace(*change), encoding="utf-8")
    with pytest.raises(ProfileError, match=said):
        load_profile(str(path))
