"""Random sites and what happens to them, for property tests: every policy, limit and kind of order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from controller.dispatch.orders import LocalTime, Order, Orders, Plan, Prices
from controller.dispatch.settings import (
    BatterySettings,
    CareSettings,
    DemandSettings,
    DispatchConfig,
    FrequencySettings,
    LoadSettings,
    PolicySettings,
    PvSettings,
    Window,
)
from controller.dispatch.site import Snapshot
from drivers.device import BatteryReading, MeterReading, PvReading, SwitchReading

FIRST_UTC_S = 1_780_000_000.0
COLD = ((0.0, 0.0), (10.0, 1.0), (50.0, 1.0), (60.0, 0.0))
POLICIES = ("self_consumption", "economic", "schedule", "follow", "standby")

watts = st.floats(-20_000, 20_000)
sizes_w = st.floats(0, 10_000)
percents = st.floats(0, 100)


@st.composite
def batteries(draw: st.DrawFn, name: str, phases: int) -> BatterySettings:
    """One battery: any rating, chemistry, phase, minimum power, curve and care."""
    floor_pct = draw(st.floats(0, 60))
    return BatterySettings(
        name,
        draw(st.floats(500, 50_000)),
        floor_pct,
        draw(st.floats(floor_pct + 2.5, 100)),
        draw(sizes_w),
        draw(sizes_w),
        phase=draw(st.sampled_from((None, 1, 2, 3))) if phases == 3 else None,
        min_power_w=draw(st.sampled_from((0.0, 50.0, 300.0))),
        efficient_from_w=draw(st.sampled_from((0.0, 800.0))),
        lease_s=draw(st.sampled_from((None, 30.0))),
        chemistry=draw(st.sampled_from(("lithium", "lead_acid"))),
        charge_by_temperature=draw(st.sampled_from(((), COLD))),
        care=draw(st.sampled_from((CareSettings(), CareSettings(14.0), CareSettings(7.0, 7200.0)))),
    )


@st.composite
def policies(draw: st.DrawFn) -> PolicySettings:
    """Any policy with any fallback, reserve, ramp and leave."""
    windows = (
        Window(0, 43_200, draw(st.sampled_from(("charge", "discharge", "hold", "pcc"))), draw(sizes_w)),
        Window(43_200, 0, "charge", draw(sizes_w), draw(percents)),
    )
    droop = FrequencySettings(draw(st.floats(1, 20_000)), draw(sizes_w), recover_w=draw(sizes_w))
    return PolicySettings(
        draw(st.sampled_from(POLICIES)),
        draw(st.sampled_from(POLICIES)),
        target_import_w=draw(st.floats(-2000, 2000)),
        deadband_w=draw(st.sampled_from((0.0, 10.0))),
        reserve_pct=draw(percents),
        ramp_w_per_s=draw(st.sampled_from((None, 100.0, 5000.0))),
        grid_charging=draw(st.booleans()),
        battery_export=draw(st.booleans()),
        standby_soc_pct=draw(percents),
        schedule=windows,
        frequency=draw(st.sampled_from((None, droop))),
    )


@st.composite
def sites(draw: st.DrawFn) -> DispatchConfig:
    """One to four batteries, up to two PV inverters and a switched load, one or three phases."""
    phases = draw(st.sampled_from((1, 3)))
    count = draw(st.integers(1, 4))
    maybe_w = st.one_of(st.none(), st.floats(0, 20_000))
    return DispatchConfig(
        tuple(draw(batteries(f"bat{number}", phases)) for number in range(count)),
        tuple(PvSettings(f"pv{number}") for number in range(draw(st.integers(0, 2)))),
        draw(st.sampled_from(((), (LoadSettings("boiler", 2000.0),)))),
        policy=draw(policies()),
        phases=phases,
        import_limit_w=draw(maybe_w),
        export_limit_w=draw(maybe_w),
        fuse_a=draw(st.sampled_from((None, 16.0, 63.0))),
        demand=draw(st.sampled_from((None, DemandSettings(900, 3000.0)))),
        enter_service_s=60.0,
    )


def _order(draw: st.DrawFn, now_s: float, values: st.SearchStrategy[float]) -> Order | None:
    if draw(st.integers(0, 3)):
        return None
    return Order(draw(values), now_s + draw(st.floats(-2, 5)))


@st.composite
def orders(draw: st.DrawFn, now_s: float) -> Orders:
    """Few or many orders, some of them expired."""
    limits_w = st.floats(0, 15_000)
    return Orders(
        stop=draw(st.integers(0, 30)) == 0,
        operator_import_w=_order(draw, now_s, limits_w),
        operator_export_w=_order(draw, now_s, limits_w),
        import_limit_w=_order(draw, now_s, limits_w),
        export_limit_w=_order(draw, now_s, limits_w),
        max_charge_w=_order(draw, now_s, limits_w),
        max_discharge_w=_order(draw, now_s, limits_w),
        reserve_pct=_order(draw, now_s, percents),
        follow_battery_w=_order(draw, now_s, watts),
        follow_pcc_w=_order(draw, now_s, watts),
    )


@dataclass(frozen=True, slots=True)
class Grid:
    """Whether there is one in this cycle, and whether anything is heard at all."""

    present: bool | None
    meter_heard: bool
    heard: tuple[bool, ...]


@st.composite
def grids(draw: st.DrawFn, batteries_count: int) -> Grid:
    rarely = st.integers(0, 9)
    return Grid(
        draw(st.sampled_from((None, True, True, True))) if draw(rarely) else False,
        draw(rarely) > 0,
        tuple(draw(rarely) > 0 for _ in range(batteries_count)),
    )


@st.composite
def snapshots(draw: st.DrawFn, config: DispatchConfig, now_s: float) -> Snapshot:
    """One cycle of a site: readings new or too old, a grid or none, orders, prices and a plan or none."""
    grid = draw(grids(len(config.batteries)))
    phases_w = tuple(draw(st.floats(-6000, 6000)) for _ in range(config.phases))
    pcc_w = 0.0
    for one in phases_w:
        pcc_w += one
    dead = grid.present is False
    meter = MeterReading(
        now_s if grid.meter_heard else now_s - 10.0,
        pcc_w,
        phases_w if config.phases == 3 else (),
        (0.0 if dead else 230.0,) * config.phases,
        frequency_hz=draw(st.one_of(st.none(), st.floats(49, 51))),
    )
    readings = tuple(
        BatteryReading(
            now_s if heard else now_s - 10.0,
            draw(st.floats(-8000, 8000)),
            draw(st.one_of(st.none(), percents)),
            draw(st.one_of(st.none(), sizes_w)),
            draw(st.one_of(st.none(), sizes_w)),
            temperature_c=draw(st.one_of(st.none(), st.floats(-20, 70))),
            grid_present=grid.present,
        )
        for heard in grid.heard
    )
    local = draw(st.one_of(st.none(), st.just(LocalTime(FIRST_UTC_S + now_s, 7200.0))))
    values = tuple(tuple(draw(st.floats(-0.2, 0.6)) for _ in range(3)) for _ in range(2))
    plan = Plan(FIRST_UTC_S, 900.0, values, FIRST_UTC_S + draw(st.floats(-10, 2000)))
    prices = Prices(draw(st.floats(-0.3, 0.8)), draw(st.floats(-0.3, 0.5)))
    return Snapshot(
        now_s,
        meter,
        readings,
        tuple(PvReading(now_s, draw(sizes_w), draw(st.one_of(st.none(), sizes_w))) for _ in config.pvs),
        tuple(SwitchReading(now_s, draw(st.booleans())) for _ in config.loads),
        utc_s=None if local is None else local.utc_s,
        local=local,
        orders=draw(orders(now_s)),
        prices=draw(st.one_of(st.none(), st.just(prices))),
        plan=draw(st.one_of(st.none(), st.just(plan))),
    )


def without(orders: Orders) -> Orders:
    """The same without anything that tightens; the wishes for `follow` stay."""
    return replace(
        Orders(),
        stop=orders.stop,
        follow_battery_w=orders.follow_battery_w,
        follow_pcc_w=orders.follow_pcc_w,
    )
