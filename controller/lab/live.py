"""Faults live: a running emulator takes them over a Unix socket, `penstock inject` sends them.

The socket lies in the user's runtime directory (or the temporary one), named after the site, and can be
used by its owner only; nothing of it is on the network. One JSON object a line in each direction.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from math import inf, isfinite
from pathlib import Path
from typing import Any

from controller.errors import RunError
from controller.lab.host_limits import squeeze
from simulators.faults import Board, FaultError, make_fault
from simulators.faults.host import FilesGone, MemoryGone, Outage

ANSWER_WITHIN_S = 3.0
LONGEST_LINE = 4096
HOST_SEAMS = ("host", "disk")
"""What happens to the controller's computer, of which an emulator knows nothing."""


def socket_path(site: str) -> Path:
    """Where the emulator of this site listens."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"penstock-{os.getuid()}-{site}.sock"


@asynccontextmanager
async def injectable(site: str, board: Board) -> AsyncIterator[Path | None]:
    """Take faults for this board; gives where, or None when another emulator of the site already does."""
    path = socket_path(site)
    if not _free(path):
        yield None
        return

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, asyncio.IncompleteReadError):
            line = await reader.readline()
            writer.write(json.dumps(_answer(board, line)).encode() + b"\n")
            await writer.drain()
        writer.close()

    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(converse, path, limit=LONGEST_LINE)
    finally:
        os.umask(before)
    try:
        yield path
    finally:
        server.close()
        await server.wait_closed()
        path.unlink(missing_ok=True)


def _free(path: Path) -> bool:
    """Whether nobody listens there; what a killed emulator left behind is taken away."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
    except FileNotFoundError:
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return True
        except OSError:
            return False
    return False


def _answer(board: Board, line: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(line)
        return {"done": _done(board, asked)}
    except FaultError as error:
        return {"error": str(error)}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {"error": "this is no request of penstock inject"}


def _done(board: Board, asked: Mapping[str, Any]) -> str:
    device = str(asked["device"])
    if asked.get("clear"):
        board.clear(None if device == "all" else device)
        return f"{device}: no faults"
    fault = make_fault(str(asked["fault"]), dict(asked.get("values", {})))
    if isinstance(fault, FilesGone | MemoryGone):
        board.check(device, fault)
        for_s = _lasting_s(asked)
        squeeze(fault, for_s)
        lasting = f"for {for_s:g} s" if isfinite(for_s) else "until that process ends"
        return f"process {fault.pid}: {fault.name} {lasting}"
    if fault.seam in HOST_SEAMS:
        raise FaultError(f"{fault.name} is a fault of the controller's host; a scenario can have it")
    if fault.seam == "broker":
        raise FaultError(f"{fault.name} is a fault of a broker: penstock proxy mqtt://... can have it")
    for_s = _lasting_s(asked)
    now_s = asyncio.get_running_loop().time()
    board.add(device, fault, now_s, now_s + for_s)
    word = "the grid" if isinstance(fault, Outage) else device
    lasting = f"for {for_s:g} s" if isfinite(for_s) else "until it is cleared"
    return f"{word}: {fault} {lasting}"


def _lasting_s(asked: Mapping[str, Any]) -> float:
    for_s = float(asked.get("for_s", inf))
    if not for_s > 0.0:
        raise FaultError(f"--for is {for_s:g}; give seconds above 0")
    return for_s


def send(site: str | None, request: Mapping[str, Any]) -> str:
    """Ask the running emulator; RunError when there is none, or when it refuses."""
    path = _only_one() if site is None else socket_path(site)
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(ANSWER_WITHIN_S)
        try:
            line.connect(str(path))
            line.sendall(json.dumps(request).encode() + b"\n")
            with line.makefile("rb") as file:
                answer = json.loads(file.readline() or b"{}")
        except (OSError, ValueError) as error:
            raise RunError(f"{path}: no running penstock emulate or demo answers there ({error})") from None
    if "done" not in answer:
        raise RunError(str(answer.get("error", "the emulator has hung up")))
    return str(answer["done"])


def _only_one() -> Path:
    """The socket of the one emulator that runs."""
    pattern = socket_path("*")
    sockets = [one for one in pattern.parent.glob(pattern.name) if stat.S_ISSOCK(one.lstat().st_mode)]
    found = sorted(one for one in sockets if not _free(one))
    if len(found) == 1:
        return found[0]
    if not found:
        raise RunError(
            "no penstock emulate or demo of yours runs on this host; start one, then inject into it"
        )
    names = [re.sub(r"^penstock-\d+-|\.sock$", "", one.name) for one in found]
    raise RunError(f"several emulators run: say which with --site, {' or '.join(names)}")
