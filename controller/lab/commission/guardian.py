"""A second program beside a commissioning: when that is killed, this one releases what it had ordered.

A lease ends an order by itself, but not every device has one. The commissioning says through a pipe which
devices it orders, and at the end that all is well; if the pipe ends without that word, it is gone.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from controller.config import Config, load_config
from controller.devices import open_devices
from controller.lab.commission.bench import released

WELL = ".well"
"""No device is called so: an id has no dots."""
GONE_WITHIN_S = 5.0


class Guardian:
    """The commissioning's end of the pipe."""

    def __init__(self, site: Path) -> None:
        # A session of its own: neither Ctrl-C nor a closed terminal reaches it.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "controller.lab.commission.guardian", str(site)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._guarded: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say that all is well, unless an error came that nobody has foreseen."""
        if error is None:
            self._say(WELL)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        if error is None:
            self._process.wait(GONE_WITHIN_S)

    def guard(self, device: str) -> None:
        """This device is ordered from now on."""
        if device not in self._guarded:
            self._guarded.add(device)
            self._say(device)

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{word}\n".encode())
            self._process.stdin.flush()


async def release_all(config: Config, ids: Sequence[str]) -> list[str]:
    """Release these devices; what could not be released is said."""
    devices = open_devices(config)
    try:
        ordered = [one for one in (*devices.batteries, *devices.pvs) if one.facts.id in ids]
        return [why for why in await asyncio.gather(*(released(one) for one in ordered)) if why]
    finally:
        await devices.close()


def main(site: Path) -> None:
    """Wait for the end of the pipe."""
    config = load_config(site)
    ids = [line.strip() for line in sys.stdin]
    if not ids or WELL in ids:
        return
    wrong = asyncio.run(release_all(config, ids))
    said = wrong or [f"{', '.join(ids)}: released, for penstock commission was killed"]
    print("\n".join(said), file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
