"""Whatever registers hold and whatever a profile file says, out comes a value, a profile or a reason.

A million of each in `make soak`. The profiles are all that there are, cut, doubled and set together anew line
by line, with numbers and words taken from a list of the awkward ones.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from drivers.doors import DoorError, parse_toml
from drivers.profile import PROFILES, DeviceProfile, ProfileError, load_profile, profile_of, shipped_profiles
from drivers.profile.codec import field_values, memory_of, point_values
from drivers.profile.model import Image
from drivers.registers import Field, block_decoder
from tests.unit.storm import rounds

SEEDS = range(4)
DECODES = rounds(1000, 250_000)
FILES = rounds(80, 250_000)
AWKWARD_WORDS = (0, 1, 0x7F80, 0x7FC0, 0x7FFF, 0x8000, 0x8001, 0xFF7F, 0xFF80, 0xFFFE, 0xFFFF)
AWKWARD_VALUES = (
    *("0", "-1", "65535", "65536", "1e308", "-1e-308", "nan", "inf", "-inf", "true", "[]", "{}", "''", '""'),
    *('"w"', '"W"', '"fast"', '"s16"', '"f64"', '"string"', '"le"', '"rw"', '"w - w"', '"\\u0000"', "[1, 1]"),
    *("99999999999999999999999999", "0x7fffffffffffffff", "1979-05-27T07:32:00Z", "[[]]", "{a = {b = 1}}"),
)
NOISE = (
    "[",
    "]]",
    "[points]",
    "[[examples]]",
    "[control]",
    "=",
    "a.b.c = 1",
    "\0",
    "\ufeff",
    "'''",
    "# ",
    "é",
)


def words(chance: random.Random, count: int) -> tuple[int, ...]:
    awkward = chance.random() < 0.5
    pick = [chance.choice(AWKWARD_WORDS) if awkward else chance.getrandbits(16) for _ in range(count)]
    return tuple(pick)


def sensible(value: Any) -> bool:
    """Absent, yes or no, a number that is one, or a text that can be shown."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool) or (isinstance(value, str) and value.isprintable())


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_registers_hold_decodes_to_a_number_a_text_or_nothing(seed: int) -> None:
    chance = random.Random(seed)
    profiles = [load_profile(name) for name in shipped_profiles()]
    every = [one for profile in profiles for one in (profile, *profile.variants.values())]
    blocks = [(profile, block) for profile in every for block in profile.blocks]
    decoders: dict[int, Any] = {}
    for _ in range(DECODES):
        number = chance.randrange(len(blocks))
        profile, block = blocks[number]
        if number not in decoders:
            at = {point.name: index for index, point in enumerate(block.points)}
            fields = [
                Field(p.address - block.address, p.encoding, at.get(p.power_of) if p.power_of else None)
                for p in block.points
            ]
            decoders[number] = block_decoder(fields)
        found = words(chance, block.count)
        values = point_values(profile, memory_of([Image(block.kind, block.address, found)]))
        assert all(sensible(value) for value in values.values())
        assert all(sensible(value) for value in field_values(profile, values).values())
        together = decoders[number](found)
        for point, value in zip(block.points, together, strict=True):
            assert sensible(value)
            if point.sign is None:
                assert value == values[point.name], "a whole block says what each value alone says"


def broken(chance: random.Random, lines: Sequence[str], others: Sequence[str]) -> str:
    """A profile in which some lines are gone, doubled, strange or of another one."""
    text = list(lines)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(text)) if text else 0
        match chance.randrange(7):
            case 0:
                del text[at : at + chance.randrange(1, 5)]
            case 1:
                text[at:at] = text[at : at + 1]
            case 2:
                text[at:at] = [chance.choice(others)]
            case 3:
                text[at:at] = [chance.choice(NOISE)]
            case 4 | 5 if text and "=" in text[at]:
                key = text[at].rpartition("=")[0] if chance.random() < 0.5 else text[at].partition("=")[0]
                text[at] = f"{key}= {chance.choice(AWKWARD_VALUES)}{'}' if '{' in key else ''}"
            case _ if text:
                line = text[at]
                cut = chance.randrange(len(line) + 1)
                text[at] = line[:cut] + chance.choice(NOISE) + line[cut:]
    return "\n".join(text)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_stands_in_a_profile_it_is_loaded_or_refused_in_words(seed: int) -> None:
    chance = random.Random(seed)
    texts = [(PROFILES / f"{name}.toml").read_text(encoding="utf-8") for name in shipped_profiles()]
    short = [text.splitlines() for text in texts if len(text) < 4000]  # what is long is longer, not other
    others = [line for text in texts for line in text.splitlines() if line]
    path = Path("device.toml")
    loaded = refused = 0
    told: set[str] = set()
    for _ in range(FILES):
        raw = broken(chance, chance.choice(short), others).encode("utf-8", errors="replace")
        if chance.random() < 0.02:
            raw = chance.randbytes(chance.randrange(200))
        try:
            profile = profile_of(path, *parse_toml(path, raw))
        except (DoorError, ProfileError) as error:
            refused += 1
            told.update(line.partition(":")[0] for line in str(error).splitlines())
            continue
        loaded += 1
        assert isinstance(profile, DeviceProfile)
        assert all(1 <= block.count <= profile.transport.max_read_registers for block in profile.blocks)
    print(f"seed {seed}: {loaded} profiles loaded, {refused} refused, none failed otherwise")
    assert told == {"device.toml"}, "every line of a refusal says in which file"
    assert loaded > 0
