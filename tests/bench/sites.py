"""The bench's site: the demo's, on ports of its own."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

SITE = Path(str(files("controller.lab") / "demo.toml"))


def on_ports(folder: Path, first_port: int, mqtt: bool = False) -> Path:
    """The demo's site file with its devices on `first_port` and the two after it."""
    text = SITE.read_text(encoding="utf-8")
    for number in range(3):
        text = text.replace(f":{5020 + number}", f":{first_port + number}")
    if not mqtt:
        text = text.replace('[mqtt]\nurl = "embedded"\n', "")
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def fleet_site(folder: Path, ports: Sequence[int], batteries: int) -> Path:
    """A meter and so many batteries, dealt out over these ports: a link each, with several units on it."""
    devices = [f'[[meter]]\nid = "grid"\nprofile = "eastron-sdm630"\n{_at(ports[0], 1)}']
    for number in range(1, batteries + 1):
        at = _at(ports[number % len(ports)], 1 + number)
        about = f'id = "bat{number}"\nprofile = "sunspec-hybrid"\ncapacity_wh = 10_000'
        devices.append(f"[[battery]]\n{about}\n{at}")
    path = folder / "fleet.toml"
    path.write_text('site = "fleet"\n' + "\n".join(devices), encoding="utf-8")
    return path


def _at(port: int, unit: int) -> str:
    return f'connection = "tcp://127.0.0.1:{port}"\nunit = {unit}\n'
