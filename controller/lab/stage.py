"""The plant of a site with a fault board in front of every device: what emulators and scenarios stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf, nan, pi

from controller.config import Config
from controller.lab.house import build_house, site_meter
from controller.lab.record import ENERGIES, Record
from drivers.address import RtuTcpAddress, SerialAddress, TlsAddress, parse_connection
from simulators.faults import Board
from simulators.faults.behaviour import FaultyBattery, FaultyMeter, FaultyPv
from simulators.faults.host import Outage
from simulators.meters import MeterParams
from simulators.relays import SwitchedLoad
from simulators.traces import Trace

PLACES = {"site": "site", "broker": "broker", "host": "host"}
"""What can have a fault beside the devices."""
FASTEST_METER_S = 0.2
"""The period of a meter that is late, but of which nobody says how often it measures."""


@dataclass(frozen=True, slots=True)
class GridAt:
    """What the grid is like from an instant on; None leaves it as it was."""

    at_s: float
    frequency_hz: float | None = None
    voltage_v: float | None = None


def _meter_params(config: Config) -> MeterParams | None:
    """The emulated meter is as late and as slow as the site file or its profile says."""
    meter = config.dispatch.meter
    if not meter.period_s and not meter.delay_s:
        return None
    period_s = meter.period_s or FASTEST_METER_S
    # Never in step with the controller: a phase that is no simple part of anything.
    return MeterParams(period_s, meter.delay_s, period_s / pi)


def wire_of(connection: str) -> str:
    """What faults of links can be had there: those of a "tcp" or "tls" connection, or of a "serial" line."""
    address = parse_connection(connection)
    if isinstance(address, SerialAddress | RtuTcpAddress):
        return "serial"
    return "tls" if isinstance(address, TlsAddress) else "tcp"


_BOOKS = tuple(f"{name}_wh" for name in ENERGIES)


class Stage:
    """A house, its ports with faults, and the board that these come from.

    `wired` says that emulators on a wire stand before the ports; faults of links and registers are theirs.
    """

    def __init__(
        self,
        config: Config,
        load: Trace,
        sun: Trace,
        sun_peak_w: float,
        *,
        wired: bool,
        speed: float = 1.0,
        begin_s: float = 0.0,
        trace_begin_s: float = 0.0,
    ) -> None:
        self.config = config
        self.house = build_house(
            config, load, sun, sun_peak_w, speed=speed, begin_s=begin_s, trace_begin_s=trace_begin_s
        )
        self.begin_s = begin_s
        wires = {one.id: wire_of(one.connection) for one in config.devices} if wired else {}
        self.board = Board({one.id: one.role for one in config.devices} | PLACES, wires)
        active = self.board.active
        house = self.house
        self.meter = FaultyMeter(
            site_meter(config, house, _meter_params(config)), active(config.meter.id), wired
        )
        self.batteries = tuple(
            FaultyBattery(house.battery(index), active(entry.id), wired)
            for index, entry in enumerate(config.batteries)
        )
        self.pvs = tuple(
            FaultyPv(house.pv(index), active(entry.id), wired) for index, entry in enumerate(config.pvs)
        )
        self.loads = tuple(SwitchedLoad(house, one.sheds_w) for one in config.switches)
        self.grid: list[GridAt] = []
        """How the grid changes, in the order of time; on the house's clock."""
        self.seen: Callable[[Sequence[float]], Sequence[float]] = lambda plant: plant
        """What is to be seen of the plant's signals; real devices put theirs in their place."""
        self.broker_reached: Callable[[], float] = lambda: nan
        """1 while the controller has a session with its broker, 0 while not; nan where there is none."""
        self.alarms: Callable[[], tuple[float, float]] = lambda: (nan, nan)
        """1 while the alarms `disk` and `set_aside` ring, 0 while not; nan where there is no disk."""
        self._changed = asyncio.Event()
        for name in self.board.roles:
            active(name).watch(self._changed.set)

    def record(self) -> Record:
        """An empty record of this site."""
        config = self.config
        return Record(
            tuple(one.id for one in config.batteries), tuple(one.id for one in config.pvs), config.phases
        )

    def turn(self, now_s: float) -> None:
        """Move the plant on, and let faults begin and end, although nobody asks."""
        house = self.house
        house.advance(now_s)
        while self.grid and self.grid[0].at_s <= now_s:
            one = self.grid.pop(0)
            house.set_grid(frequency_hz=one.frequency_hz, voltage_v=one.voltage_v)
        outages = self.board.active("site").at(now_s)
        present = all(one.present(now_s) for one in outages if isinstance(one, Outage))
        if present is not house.grid.present:
            house.set_grid(present=present)
        for battery in self.batteries:
            battery.turn(now_s)

    async def keep(self) -> None:
        """Turn whenever the grid or a fault does; until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            now_s = max(loop.time(), self.begin_s)
            self.turn(now_s)
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._next_turn_s(now_s)):
                    await self._changed.wait()

    def _next_turn_s(self, now_s: float) -> float | None:
        board = self.board
        turns = [self.grid[0].at_s] if self.grid else []
        turns += [
            edge_s for name in board.roles if (edge_s := board.active(name).next_edge_s(now_s)) is not None
        ]
        turns += [one.turns_s(now_s) for one in board.active("site").at(now_s) if isinstance(one, Outage)]
        return min((one for one in turns if one < inf), default=None)

    def look(self, record: Record, now_s: float) -> None:
        """Take a sample of the plant as it is."""
        self.turn(now_s)
        house = self.house
        pcc_import_w, phases_w = house.pcc_import_w, house.phase_import_w()
        discharge_w = stored_wh = capacity_wh = 0.0
        batteries: list[float] = []
        for battery in house.batteries:
            cells = battery.cells
            batteries += (battery.power_w, cells.true_soc_pct)
            discharge_w += battery.power_w
            stored_wh += cells.stored_wh
            capacity_wh += cells.capacity_wh
        site = (
            pcc_import_w,
            house.load_w,
            house.pv_generation_w,
            discharge_w,
            100.0 * stored_wh / capacity_wh,
        )
        pvs = [one.power_w for one in house.pvs[: len(self.pvs)]]
        books = house.energies
        record.sample(
            now_s - self.begin_s,
            self.seen(
                (
                    *site,
                    float(house.grid.present),
                    *phases_w,
                    *batteries,
                    *pvs,
                    self.broker_reached(),
                    *self.alarms(),
                )
            ),
            [getattr(books, name) for name in _BOOKS],
        )

    def close(self, record: Record, duration_s: float) -> None:
        """The end of a run: what came to the devices, and whether the books close."""
        record.duration_s = duration_s
        orders = [one.orders for one in self.batteries] + [one.orders for one in self.pvs]
        for entry, came in zip((*self.config.batteries, *self.config.pvs), orders, strict=True):
            after_s = [(at_s - self.begin_s, power_w) for at_s, power_w in came]
            # What came to a real device is there already.
            record.orders.setdefault(entry.id, [one for one in after_s if one[0] <= duration_s])
        books = self.house.energies
        through_wh = books.import_wh + books.pv_wh + books.discharged_wh
        record.imbalance_wh = abs(through_wh - books.load_wh - books.export_wh - books.charged_wh)
