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


def fleet_site(folder: Path, ports: Sequence[int], batteries: int, pvs: int = 0) -> Path:
    """A meter, batteries and PV inverters, dealt out over these ports: a link each, with units in turn."""
    kinds = [("meter", "grid", 'profile = "eastron-sdm630"')]
    kinds += [
        ("battery", f"bat{n}", 'profile = "sunspec-hybrid"\ncapacity_wh = 10_000') for n in range(batteries)
    ]
    kinds += [("pv", f"pv{n}", 'profile = "sunspec-pv"') for n in range(pvs)]
    tables = [
        f'[[{role}]]\nid = "{name}"\n{about}\n{_at(ports[number % len(ports)], 1 + number)}'
        for number, (role, name, about) in enumerate(kinds)
    ]
    path = folder / "fleet.toml"
    path.write_text('site = "fleet"\n' + "\n".join(tables), encoding="utf-8")
    return path


def _at(port: int, unit: int) -> str:
    return f'connection = "tcp://127.0.0.1:{port}"\nunit = {unit}\n'
