"""A device that has fallen behind with its answers is given time: a pause, then half of the questions.

Some data loggers queue what they are asked and answer hundreds of requests later, each answer with the
transaction number of a request that nobody waits for any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

import pytest

from drivers.device import DeviceError
from drivers.modbus import modbus_meter
from drivers.profile import load_profile
from tests.unit.raw_modbus import frame, in_virtual_time, linked, now_s, words_pdu

METER = load_profile("eastron-sdm630")
BEHIND_S = 2.0


class Backlog:
    """For two seconds it answers the requests of a client before us; nothing is asked in vain after that."""

    def __init__(self) -> None:
        self.waiting = deque([(60_001, 4), (60_002, 4), (60_003, 4), (60_004, 4)])
        self.asked_at_s: list[float] = []

    async def handle(self, writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
        self.asked_at_s.append(now_s())
        self.waiting.append((transaction, int.from_bytes(pdu[3:5], "big")))
        if now_s() > BEHIND_S:
            while len(self.waiting) > 1:
                self.waiting.popleft()
        oldest, count = self.waiting.popleft()
        writer.write(frame(oldest, unit, words_pdu(pdu[0], [0] * count)))


def test_a_device_that_answers_old_requests_is_left_for_a_second_and_asked_half_as_often_for_10_minutes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    device = Backlog()
    age_at_s: dict[int, float] = {}
    failed: list[int] = []

    async def scenario() -> None:
        async with linked(device.handle) as (link, raw):
            meter = modbus_meter("grid", METER, link, 1)
            for beat in range(640):
                try:
                    age_at_s[beat] = now_s() - (await meter.read(beat + 0.6)).taken_at_s
                except DeviceError:
                    failed.append(beat)
                await asyncio.sleep(beat + 1.0 - now_s())
            # Anew after two requests without an answer, at 1.5 s; then the third wrong answer came at 2 s.
            assert raw.connected_at_s == [0.0, pytest.approx(1.7, abs=0.1), pytest.approx(3.0)]

    with caplog.at_level(logging.WARNING, logger="drivers.modbus.polling"):
        in_virtual_time(scenario())
    assert [round(at_s) for at_s in device.asked_at_s if at_s < 10.0] == [0, 1, 2, 3, 5, 7, 9]
    assert len([at_s for at_s in device.asked_at_s if 3.0 <= at_s < 600.0]) == 299
    assert len([at_s for at_s in device.asked_at_s if 605.0 <= at_s < 640.0]) == 35
    assert failed == [0, 1, 2]
    assert max(age_at_s.values()) == pytest.approx(1.0), (
        "between two answers stands the older one, with its age"
    )
    assert [one.getMessage() for one in caplog.records] == [
        "grid: answers to older requests came: it is behind, and asked half as often for 10 min"
    ]
