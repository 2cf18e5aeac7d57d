"""`penstock demo`: an emulated house on real sockets, the controller, a broker and a view in one."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

from rich.console import Console

from controller.config import Config, DeviceEntry, load_config
from controller.lab.emulate import built, emulated
from controller.lab.inject import injector
from controller.lab.live import injectable
from controller.lab.rehearsal import day_ahead, house_clock, lived
from controller.lab.view import View
from controller.planner_beside import Rehearsal
from controller.supervisor import run_site
from drivers.address import Address, parse_connection

LONGEST_GAP_S = 5.0
"""A reading stands for so long at most, in real time."""


async def run_demo(seconds: float | None, speed: float, mqtt_port: int) -> None:
    """Run until Ctrl-C or for `seconds`; RunError when a port cannot be had."""
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as folder:
        config = _demo_config(mqtt_port, Path(folder))
        stop = asyncio.Event()
        console = Console()
        stage = built(config, speed)
        async with emulated(stage), injectable(config.site, stage.board):
            view = View(console, config, stage.house)
            if seconds is not None:
                asyncio.get_running_loop().call_later(seconds, stop.set)
            with view:
                played = Rehearsal(
                    house_clock(config, stage.house),
                    speed,
                    lived(config, config.planning.history_s),
                    LONGEST_GAP_S * speed,
                    day_ahead(config),
                    view.plan,
                )
                await run_site(config, (view.show,), stop, played, injector(stage))
        view.summary()


def _demo_config(mqtt_port: int, folder: Path) -> Config:
    """The demo's site file, on free ports when its own are taken, with its state in `folder`."""
    with as_file(files("controller.lab") / "demo.toml") as path:
        config = load_config(path)
    assert config.mqtt is not None, "the demo's site file has a broker"
    return replace(
        config,
        meter=_on_free_port(config.meter),
        batteries=tuple(_on_free_port(entry) for entry in config.batteries),
        pvs=tuple(_on_free_port(entry) for entry in config.pvs),
        mqtt=replace(config.mqtt, port=_free_port(mqtt_port)),
        state=replace(config.state, folder=folder),
    )


def _on_free_port(entry: DeviceEntry) -> DeviceEntry:
    address = parse_connection(entry.connection)
    assert isinstance(address, Address), "the devices of the demo are on TCP"
    return replace(entry, connection=f"tcp://{address.host}:{_free_port(address.port)}")


def _free_port(wanted: int) -> int:
    """The wanted port of 127.0.0.1 if nothing listens there, else any that is free."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted
