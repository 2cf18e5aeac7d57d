"""Killed again and again: child processes that save as fast as they can, and their last acknowledged save.

`python -m tests.contract.store_writer FOLDER KILLS SEED` prints one JSON line for each kill: the number of
the last save that was acknowledged, and what was found afterwards.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path

from controller.store import Kept, broken_at, open_store
from controller.store_read import audit_trail


def write(folder: Path, acknowledged: int) -> None:
    """Save one number after the other, everywhere the same; tell each when it is acknowledged."""
    store, kept = open_store(folder)
    number = int(kept.documents.get("state", "0"))
    while True:
        number += 1
        text = str(number)
        store.save({"state": text, "orders": text}, text, [(None, "writer", text)])
        os.write(acknowledged, number.to_bytes(8, "big"))


def killed_once(folder: Path, saves: int, spins: int) -> int:
    """Start a writer, kill it a little after it acknowledged some `saves`; the last acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        write(folder, writing)
        os._exit(1)
    os.close(writing)
    told = b""
    while len(told) < 8 * saves:
        told += os.read(reading, 8)
    for _ in range(spins):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reading, 4096):
        told += more
    os.close(reading)
    return int.from_bytes(told[-8:], "big")


def found(kept: Kept, folder: Path) -> dict[str, object]:
    trail = audit_trail(folder)
    return {
        "state": kept.documents["state"],
        "orders": kept.documents["orders"],
        "newest_command": kept.command_ids[-1],
        "audit": len(trail),
        "broken_at": broken_at(trail),
        "alarms": kept.alarms,
    }


def main() -> None:
    folder, kills, chance = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    for _ in range(kills):
        acknowledged = killed_once(folder, chance.randint(1, 4), chance.randrange(100_000))
        store, kept = open_store(folder)
        store.close()
        print(json.dumps({"acknowledged": acknowledged, **found(kept, folder)}))


if __name__ == "__main__":
    main()
