"""The bench's site: the demo's, on ports of its own."""

from __future__ import annotations

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
