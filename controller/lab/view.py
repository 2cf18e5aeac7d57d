"""What `penstock demo` shows: power flows, SoC, mode, setpoint, reason; lines without a terminal."""

from __future__ import annotations

import logging
from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.logging import RichHandler
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from controller.config import Config
from controller.dispatch.modes import Mode
from controller.loop import Cycle
from controller.messages import StateMessage
from controller.telemetry import state_message
from simulators.site import House

LINE_EVERY_S = 5.0
PLAN_EVERY_S = 20.0
BAR_WIDTH = 30
HISTORY = 50
RESTING_W = 20.0
SMALLEST_SCALE_W = 500.0
_BLOCKS = " ▁▂▃▄▅▆▇█"
_MODE_COLOUR = {
    Mode.RUNNING: "green",
    Mode.STARTING: "cyan",
    Mode.HOLDING: "yellow",
    Mode.STOPPED: "cyan",
    Mode.ISLANDED: "magenta",
}


class View:
    """A listener of the control loop that draws what it hears."""

    def __init__(self, console: Console, config: Config, house: House) -> None:
        self._console = console
        self._config = config
        self._house = house
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._line_at_s = float("-inf")
        self._history: dict[str, deque[float]] = {
            name: deque(maxlen=HISTORY) for name in ("sun", "house", "battery", "grid")
        }
        self._cycles = 0
        self._plan = ""
        self._plan_at_s = float("-inf")

    def __enter__(self) -> Self:
        handler = RichHandler(console=self._console, show_path=False, markup=False)
        logging.basicConfig(level=logging.WARNING, handlers=[handler], format="%(message)s", force=True)
        for line in self._greeting():
            self._console.print(line, highlight=False, soft_wrap=True)
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def _greeting(self) -> list[str]:
        config = self._config
        lines = ["An emulated house, one day in about " + _minutes(86_400 / self._house.speed) + "."]
        lines += [
            f"  {one.id:5} {one.profile.name} at {one.connection} unit {one.unit}" for one in config.devices
        ]
        if config.mqtt is not None:
            topic = f"penstock/{config.site}/#"
            lines.append(f"  mqtt  127.0.0.1:{config.mqtt.port}, topics {topic}; in another terminal:")
            lines.append(f"        mosquitto_sub -p {config.mqtt.port} -v -t '{topic}'")
            silence = '{"id": "1", "device": "grid", "fault": "silent", "valid_for_s": 20}'
            to = f"penstock/{config.site}/command/inject"
            lines.append(f"        mosquitto_pub -p {config.mqtt.port} -t {to} -m '{silence}'")
        return [*lines, "Ctrl-C ends it.", ""]

    def plan(self, words: str) -> None:
        """The plan in force, in words."""
        now_s = self._house.now_s
        if words != self._plan and self._live is None and now_s - self._plan_at_s >= PLAN_EVERY_S:
            self._plan_at_s = now_s
            self._console.print(f"{self._clock()} plan: {words}", highlight=False, soft_wrap=True)
        self._plan = words

    def show(self, cycle: Cycle) -> None:
        """Draw one cycle; costs next to nothing without a terminal."""
        self._cycles += 1
        now_s = cycle.snapshot.now_s
        if self._live is None and now_s - self._line_at_s < LINE_EVERY_S:
            return
        self._line_at_s = now_s
        state = state_message(self._config.dispatch, cycle)
        if self._live is None:
            self._console.print(self._line(state), highlight=False, soft_wrap=True)
        else:
            self._live.update(self._panel(state, cycle))

    def _line(self, state: StateMessage) -> str:
        soc = "?" if state.soc_pct is None else f"{state.soc_pct:.0f} %"
        sun, load, grid = _kw(state.pv_generation_w), _kw(state.load_w), _kw(state.pcc_import_w)
        battery = f"{_kw(state.battery_discharge_w)} ({soc})"
        flows = f"sun {sun}, house {load}, battery {battery}, grid {grid}"
        return f"{self._clock()} {state.mode.value:8} {flows}: {state.reason}"

    def _clock(self) -> str:
        """The house's own time of day."""
        house = self._house
        passed_s = self._config.simulation.start_hour * 3600.0 + (house.now_s - house.begin_s) * house.speed
        minutes = int(passed_s // 60)
        return f"day {minutes // 1440 + 1} {minutes // 60 % 24:02d}:{minutes % 60:02d}"

    def _panel(self, state: StateMessage, cycle: Cycle) -> Panel:
        prices = cycle.snapshot.prices
        cost = (
            "no price"
            if prices is None
            else f"a kWh costs {prices.import_per_kwh:.3f}, earns {prices.export_per_kwh:.3f}"
        )
        table = Table.grid(padding=(0, 2))
        for justify in ("left", "right", "left", "left"):
            table.add_column(justify=justify)
        rows = (
            ("sun", state.pv_generation_w, "generating", ""),
            ("house", state.load_w, "using", ""),
            ("battery", state.battery_discharge_w, "discharging", "charging"),
            ("grid", state.pcc_import_w, "importing", "exporting"),
        )
        for name, power_w, plus, minus in rows:
            self._history[name].append(power_w or 0.0)
            word = "" if power_w is None or abs(power_w) < RESTING_W else plus if power_w > 0 else minus
            table.add_row(name, _kw(power_w), word, _spark(self._history[name]))
        colour = _MODE_COLOUR.get(state.mode, "red")
        soc_pct = state.soc_pct or 0.0
        filled = round(soc_pct / 100 * BAR_WIDTH)
        bar = Text.assemble("SoC ", ("█" * filled, "green"), "░" * (BAR_WIDTH - filled), f" {soc_pct:.0f} %")
        order = Text(f"ordered {_kw(state.setpoint_w)}, wanted {_kw(state.wanted_w)}")
        title = Text.assemble(self._clock(), "  ", (state.mode.value, f"bold {colour}"))
        return Panel(
            Group(table, Text(), bar, order, Text(state.reason), Text(cost), Text(f"plan: {self._plan}")),
            title=title,
            subtitle=f"cycle {state.seq}, decided in {state.decide_ms:.1f} ms",
            width=min(self._console.width, 92),
        )

    def summary(self) -> None:
        """What the house used and where it came from."""
        books = self._house.energies
        own = 100.0 * (1.0 - books.import_wh / books.load_wh) if books.load_wh > 0 else 0.0
        self._console.print(
            f"{self._cycles} cycles; the house used {books.load_wh / 1000:.1f} kWh, the sun gave "
            f"{books.pv_wh / 1000:.1f} kWh, {books.import_wh / 1000:.1f} kWh imported, "
            f"{books.export_wh / 1000:.1f} kWh exported; {own:.0f} % self-sufficient.",
            highlight=False,
        )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"


def _kw(power_w: float | None) -> str:
    return "   ?   " if power_w is None else f"{power_w / 1000:+.2f} kW"


def _spark(values: deque[float]) -> Text:
    """A line of blocks, green where power feeds the house, blue where it leaves it."""
    largest = max(SMALLEST_SCALE_W, *(abs(value) for value in values))
    text = Text()
    for value in values:
        block = _BLOCKS[min(int(abs(value) / largest * 8 + 0.5), 8)]
        text.append(block, "yellow" if value >= 0 else "blue")
    return text
