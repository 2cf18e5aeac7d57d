"""SIGKILL at any instant: what was acknowledged is there, nothing is half there, it always starts again."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from controller.store import Kept
from controller.store_read import read_only
from tests.contract.nursery import Nursery, nursery
from tests.contract.running_site import Asker, asking
from tests.mosquitto import Mosquitto
from tests.penstock import free_ports, penstock, site_file, wait_for_port

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
WRITER_KILLS = 1000 if SOAK else 100
CONTROLLER_KILLS = 1000 if SOAK else 200
PREFIX = "penstock/house-7"


def test_a_writer_killed_again_and_again_loses_nothing_it_has_acknowledged(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.contract.store_writer", str(tmp_path), str(WRITER_KILLS), "7"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr
    rounds = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rounds) == WRITER_KILLS
    for one in rounds:
        number = int(one["state"])
        # The save that was under way is there with all its parts, or with none.
        assert number in (one["acknowledged"], one["acknowledged"] + 1)
        assert one["orders"] == one["newest_command"] == str(number)
        assert one["audit"] == number
        assert one["broken_at"] is None
        assert one["alarms"] == []


class Killed:
    """One controller after the other, killed while it starts or while a command comes; what each has left."""

    def __init__(self, born: Nursery, folder: Path, asker: Asker) -> None:
        self._born, self._folder, self._asker = born, folder, asker
        self._chance = random.Random(7)
        self._reserve_pct: float | None = None
        self._energy: dict[str, int] = {}

    async def while_it_starts(self) -> None:
        pid = self._born.start()
        await asyncio.sleep(self._chance.uniform(0.0, 0.4))
        self._left_by(pid)

    async def while_a_command_comes(self, number: int, answered: bool, works: bool = False) -> None:
        """Killed some time after the command was sent, or once it is answered; `works` for a while before."""
        self._asker.newest.pop(f"{PREFIX}/state", None)
        self._asker.newest.pop(f"{PREFIX}/availability", None)
        pid = self._born.start()
        await self._asker.until(f"{PREFIX}/availability", _is="online")
        if works:
            await self._asker.until(f"{PREFIX}/state", mode="RUNNING")
        reserve_pct = 20.0 + number % 80
        payload = json.dumps({"id": f"n{number}", "reserve_pct": reserve_pct})
        await self._asker.client.publish(f"{PREFIX}/command/reserve", payload, qos=1)
        while answered and not await self._is_answered(number):
            await self._asker.client.publish(f"{PREFIX}/command/reserve", payload, qos=1)
        await asyncio.sleep(self._chance.uniform(0.0, 0.02 if answered else 0.12))
        kept = self._left_by(pid)
        if f"n{number}" in kept.command_ids:
            self._reserve_pct = reserve_pct
        # The id of a command and what it ordered are there together, or neither.
        orders = {one["name"]: one["value"] for one in json.loads(kept.documents.get("orders", "[]"))}
        assert orders.get("reserve.reserve_pct") == self._reserve_pct

    async def _is_answered(self, number: int) -> bool:
        """Not, where the last word of the one before was taken for this one's: that it is online."""
        try:
            await self._asker.until(f"{PREFIX}/reply/n{number}", within_s=2.0)
        except TimeoutError:
            return False
        return True

    def _left_by(self, pid: int) -> Kept:
        assert self._born.killed(pid, signal.SIGKILL) == -signal.SIGKILL, "it had not ended by itself"
        kept = read_only(self._folder)
        assert kept.alarms == []
        state = json.loads(kept.documents.get("state", "{}"))
        energy = {
            name: one["milliwh"] for name, one in state.get("energy", {}).items() if isinstance(one, dict)
        }
        assert all(energy[name] >= before for name, before in self._energy.items())
        self._energy = energy
        return kept


def acknowledged(asker: Asker) -> set[str]:
    """The commands of which the controller has said that they outlive a restart."""
    replies = [body for topic, body in asker.all if topic.startswith(f"{PREFIX}/reply/")]
    return {body["id"] for body in replies if body["kept"]}


def went_back(told: list[Any]) -> list[tuple[Any, Any]]:
    """Energy messages of which one counter is below that of the message before."""
    return [(one, other) for one, other in pairwise(told) if any(other[key] < one[key] for key in COUNTERS)]


COUNTERS = ("import_wh", "export_wh", "charge_wh", "discharge_wh", "pv_wh", "load_wh")


async def test_a_controller_killed_at_any_instant_goes_on_with_all_it_has_acknowledged(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    ports = free_ports(3)
    site, log, folder = site_file(tmp_path, ports, mosquitto.url), tmp_path / "log", tmp_path / "house-state"
    site.write_text("cycle_s = 0.2\n" + site.read_text(encoding="utf-8"), encoding="utf-8")
    with penstock("emulate", str(site), "--quiet"), nursery(site, log) as born:
        await asyncio.to_thread(wait_for_port, ports[2])
        async with asking(mosquitto.port) as asker:
            killed = Killed(born, folder, asker)
            for number in range(CONTROLLER_KILLS):
                if number % 3 == 0:
                    await killed.while_it_starts()
                else:
                    await killed.while_a_command_comes(number, number % 3 == 2, works=number % 20 == 2)
            told = [body for topic, body in asker.all if topic == f"{PREFIX}/energy"]
            acked = acknowledged(asker)
    assert len(acked) >= CONTROLLER_KILLS // 3
    assert acked <= set(read_only(folder).command_ids)
    assert len(told) >= 2
    assert went_back(told) == []
    assert json.loads(read_only(folder).documents["state"])["energy"]["load"]["milliwh"] > 0
    assert "Traceback" not in log.read_text(encoding="utf-8")
