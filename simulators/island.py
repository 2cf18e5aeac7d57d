"""The house without its grid: who carries the load, when it goes dark, and how it comes back.

Each inverter that can form a grid takes its part of load minus PV, in proportion to what its battery allows.
PV that nobody can take is curtailed at once, as the frequency of such an island tells PV inverters to
(EN 50549-1, 4.6.1, names the droop). Load beyond what the batteries may give ends in the dark, for all of the
house. Nothing of the order in force reaches an inverter that forms a grid; one that cannot form one rests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from math import inf

from simulators.grid import Grid
from simulators.inverter import BatteryInverter
from simulators.pv import PvInverter


class Supply(Enum):
    """Where the house has its power from; RETURNED is the grid too, but no inverter has joined it yet."""

    GRID = auto()
    RETURNED = auto()
    ISLAND = auto()
    DARK = auto()


@dataclass(frozen=True, slots=True)
class IslandParams:
    """How long the changes take.

    `transfer_s` is between the loss of the grid and the island. After an overload the next attempt comes no
    sooner than `restart_s`. The grid has been back for `resync_s` before inverters join it (60 s is the
    usual default of EN 50549-1, 4.10).
    """

    transfer_s: float = 0.02
    restart_s: float = 10.0
    resync_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("transfer_s", "restart_s", "resync_s"):
            if not 0 <= getattr(self, name) < inf:
                raise ValueError(f"{name} is {getattr(self, name):g}; give a number of at least 0")


class Transfer:
    """The switch between grid and island, and what it does to the inverters on either side.

    `turn_s` is when it next acts by itself; the house calls `settle` then, and after every change of load,
    PV or battery while the house is not simply on the grid.
    """

    __slots__ = ("_batteries", "_formers", "_grid", "_params", "_pvs", "_ready_s", "supply", "turn_s")

    def __init__(
        self,
        params: IslandParams,
        grid: Grid,
        batteries: Sequence[BatteryInverter],
        formers: Sequence[BatteryInverter],
        pvs: Sequence[PvInverter],
    ) -> None:
        self._params = params
        self._grid = grid
        self._batteries = batteries
        self._formers = formers
        self._pvs = pvs
        self._ready_s = inf  # no attempt at an island sooner
        self.supply = Supply.GRID
        self.turn_s = inf

    @property
    def connected(self) -> bool:
        """Whether the house hangs on the grid now."""
        return self.supply is Supply.GRID or self.supply is Supply.RETURNED

    def grid_went(self, now_s: float) -> None:
        """The grid is gone from now on."""
        if self.supply is Supply.ISLAND:  # it had come back for less than `resync_s`
            self.turn_s = inf
        else:
            self._stop(Supply.DARK)
            self._ready_s = self.turn_s = now_s + self._params.transfer_s

    def grid_came(self, now_s: float) -> None:
        """The grid is back: a dark house has it at once, an island and the inverters later."""
        if self.supply is Supply.DARK:
            self.supply = Supply.RETURNED
        self.turn_s = now_s + self._params.resync_s

    def settle(self, now_s: float, demand_w: float) -> None:
        """Join the grid, carry the island on, try one, or go dark, whatever is right now."""
        due = self.turn_s <= now_s
        if self._grid.present and due:
            self._join()
        elif self.supply is Supply.ISLAND:
            if not self._carries(demand_w):
                self._overloaded(now_s)
        elif self.supply is Supply.DARK:
            if due:
                self.turn_s = inf
            if now_s >= self._ready_s and self._can_start() and self._carries(demand_w):
                self.supply = Supply.ISLAND

    def _join(self) -> None:
        self.supply, self.turn_s = Supply.GRID, inf
        for battery in self._batteries:
            battery.impose(None)
        for pv in self._pvs:
            pv.throttle(inf)

    def _overloaded(self, now_s: float) -> None:
        if self._grid.present:
            self._stop(Supply.RETURNED)
        else:
            self._stop(Supply.DARK)
            self._ready_s = self.turn_s = now_s + self._params.restart_s

    def _stop(self, supply: Supply) -> None:
        self.supply = supply
        for battery in self._batteries:
            battery.impose(0.0)
        for pv in self._pvs:
            pv.throttle(0.0)

    def _can_start(self) -> bool:
        return any(former.max_discharge_w > 0 for former in self._formers)

    def _carries(self, load_w: float) -> bool:
        """Let the formers carry this beside the PV, which gives what they can take; False if they cannot."""
        offered_w = give_w = take_w = 0.0
        for pv in self._pvs:
            pv.throttle(inf)
            offered_w += pv.power_w
        for former in self._formers:
            give_w += former.max_discharge_w
            take_w += former.max_charge_w
        net_w = load_w - offered_w
        if net_w > give_w:
            for pv in self._pvs:
                pv.throttle(0.0)
            return False
        if net_w < -take_w:
            part = (load_w + take_w) / offered_w
            for pv in self._pvs:
                pv.throttle(pv.power_w * part)
            net_w = -take_w
        for former in self._formers:
            if net_w > 0:
                former.impose(net_w * (former.max_discharge_w / give_w))
            else:
                former.impose(net_w * (former.max_charge_w / take_w) if take_w else 0.0)
        return True
