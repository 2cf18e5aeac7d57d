"""Memory over power cuts and flight recorder of a running site, in one object for the supervisor."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from controller.clock import WallClock
from controller.config import Config
from controller.devices import Devices
from controller.keeper import Budgets, Keeper
from controller.loop import ControlLoop, Cycle
from controller.recorder import Recorder
from drivers.modbus import ModbusBattery, ModbusPv


@dataclass(slots=True)
class BlackBox:
    """`prepare` before the loop runs, `heard` on each cycle, `run` beside it, `close` after it."""

    keeper: Keeper
    recorder: Recorder

    async def prepare(self, control: ControlLoop) -> None:
        """Give the loop what was kept. Raises RunError when another controller runs this site."""
        control.memory, control.books, control.fault = await self.keeper.open()
        control.publishable = lambda books: self.keeper.publishable()
        self.recorder.begin(control.memory)

    def heard(self, cycle: Cycle) -> None:
        """One cycle; never waits."""
        self.keeper.heard(cycle)
        self.recorder.heard(cycle)

    def alarms(self) -> tuple[str, ...]:
        """The names of what rings now."""
        now_s = asyncio.get_running_loop().time()
        disk = ("disk",) if self.keeper.rings(now_s) or self.recorder.rings(now_s) else ()
        return (*disk, "set_aside") if self.keeper.set_aside else disk

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self.keeper.run())
            both.create_task(self.recorder.run())

    async def close(self, control: ControlLoop, orderly: bool) -> None:
        """Save the last; when the loop ended by an error, also what the core was asked to decide."""
        if not orderly:
            self.recorder.failed(control.snapshot)
        await asyncio.gather(self.keeper.close(orderly), self.recorder.close())


def black_box(config: Config, clock: WallClock, devices: Devices) -> BlackBox:
    """The black box of a site."""
    return BlackBox(
        Keeper(config.state.folder, config.dispatch, clock, _budgets(devices)),
        Recorder(config.site, config.dispatch, config.state),
    )


def _budgets(devices: Devices) -> Budgets:
    """The write budgets that some profiles set for their registers."""
    profiled = (
        one for one in (*devices.batteries, *devices.pvs) if isinstance(one, ModbusBattery | ModbusPv)
    )
    return {one.facts.id: one.write_budgets for one in profiled if one.write_budgets}
