"""The plant of a site with a fault board in front of every device: what emulators and scenarios stand on."""

from __future__ import annotations

from math import nan

from controller.config import Config
from controller.lab.house import build_house
from controller.lab.record import ENERGIES, Record
from simulators.faults import Board
from simulators.faults.behaviour import FaultyBattery, FaultyMeter, FaultyPv
from simulators.relays import SwitchedLoad
from simulators.traces import Trace

PLACES = {"host": "host"}
"""What can have a fault beside the devices."""


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
        self.board = Board({one.id: one.role for one in config.devices} | PLACES)
        active = self.board.active
        house = self.house
        self.meter = FaultyMeter(house.meter(), active(config.meter.id), wired)
        self.batteries = tuple(
            FaultyBattery(house.battery(index), active(entry.id), wired)
            for index, entry in enumerate(config.batteries)
        )
        self.pvs = tuple(
            FaultyPv(house.pv(index), active(entry.id), wired) for index, entry in enumerate(config.pvs)
        )
        self.loads = tuple(SwitchedLoad(house, one.sheds_w) for one in config.switches)

    def record(self) -> Record:
        """An empty record of this site."""
        config = self.config
        return Record(
            tuple(one.id for one in config.batteries), tuple(one.id for one in config.pvs), config.phases
        )

    def turn(self, now_s: float) -> None:
        """Move the plant on, and let faults begin and end, although nobody asks."""
        self.house.advance(now_s)
        for battery in self.batteries:
            battery.turn(now_s)

    def look(self, record: Record, now_s: float) -> None:
        """Take a sample of the plant as it is."""
        self.turn(now_s)
        books = self.house.energies
        at_s = now_s - self.begin_s
        before = len(record.times_s)
        record.sample(at_s, self._truth())
        if len(record.times_s) > before:
            for name in ENERGIES:
                record.energies.setdefault(name, []).append(getattr(books, f"{name}_wh"))

    def close(self, record: Record, duration_s: float) -> None:
        """The end of a run: what came to the devices, and whether the books close."""
        record.duration_s = duration_s
        orders = [one.orders for one in self.batteries] + [one.orders for one in self.pvs]
        for entry, came in zip((*self.config.batteries, *self.config.pvs), orders, strict=True):
            record.orders[entry.id] = [
                (at_s - self.begin_s, power_w) for at_s, power_w in came if at_s - self.begin_s <= duration_s
            ]
        books = self.house.energies
        through_wh = books.import_wh + books.pv_wh + books.discharged_wh
        record.imbalance_wh = abs(through_wh - books.load_wh - books.export_wh - books.charged_wh)

    def _truth(self) -> dict[str, float]:
        house = self.house
        discharge_w = stored_wh = capacity_wh = 0.0
        found: dict[str, float] = {}
        for entry, battery in zip(self.config.batteries, house.batteries, strict=True):
            found[f"{entry.id}.discharge_w"] = battery.power_w
            found[f"{entry.id}.soc_pct"] = battery.cells.soc_pct
            discharge_w += battery.power_w
            stored_wh += battery.cells.stored_wh
            capacity_wh += battery.cells.params.capacity_wh
        for entry, pv in zip(self.config.pvs, house.pvs, strict=False):
            found[f"{entry.id}.generation_w"] = pv.power_w
        for number, power_w in enumerate(house.phase_import_w(), start=1):
            found[f"phase{number}_import_w"] = power_w
        return found | {
            "pcc_import_w": house.pcc_import_w,
            "load_w": house.load_w,
            "pv_generation_w": house.pv_generation_w,
            "battery_discharge_w": discharge_w,
            "soc_pct": 100.0 * stored_wh / capacity_wh if capacity_wh else nan,
        }
