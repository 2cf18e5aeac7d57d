"""SunSpec meters, batteries and PV inverters: read and ordered by what they say of themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from drivers.sunspec import sunspec_battery, sunspec_meter, sunspec_pv
from tests.unit.sunspec_site import (
    COMMON,
    HYBRID,
    HYBRID_103,
    IDLE_704,
    RATING_120,
    SOC_713,
    STORAGE,
    SUNNY,
    Bus,
    error_of,
    image,
    in_virtual_time,
    on_a_bus,
    soon,
)

METER_203 = {
    "W": -2000,
    "WphA": -500,
    "WphB": -700,
    "WphC": -800,
    "W_SF": 0,
    "PhVphA": 2300,
    "PhVphB": 2315,
    "PhVphC": 2290,
    "V_SF": -1,
    "AphA": 220,
    "AphB": 300,
    "AphC": 350,
    "A_SF": -2,
    "Hz": 5001,
    "Hz_SF": -2,
    "TotWhExp": 250,
    "TotWhImp": 12345,
    "TotWh_SF": 2,
}
FLOAT_METER = {"W": 1234.5, "Hz": 49.5, "TotWhImp": 1000.0}


async def test_a_meter_with_scale_factors_is_read_whole() -> None:
    async with on_a_bus(image((1, COMMON), (203, METER_203))) as bus:
        reading = await sunspec_meter("grid", bus.link, 1).read(soon())
    assert reading.pcc_import_w == -2000.0
    assert reading.phase_import_w == (-500.0, -700.0, -800.0)
    assert reading.phase_voltage_v == (230.0, 231.5, 229.0)
    assert reading.phase_current_a == (2.2, 3.0, 3.5)
    assert (reading.frequency_hz, reading.import_wh, reading.export_wh) == (50.01, 1_234_500.0, 25_000.0)


@pytest.mark.parametrize("model_id", [211, 212, 213, 214])
async def test_a_float_meter_is_read_at_its_own_base(model_id: int) -> None:
    async with on_a_bus(image((1, COMMON), (model_id, FLOAT_METER), base=0)) as bus:
        reading = await sunspec_meter("grid", bus.link, 1).read(soon())
    assert (reading.pcc_import_w, reading.frequency_hz, reading.import_wh) == (1234.5, 49.5, 1000.0)
    assert (reading.phase_import_w, reading.export_wh) == ((), None)


@pytest.mark.parametrize(("model_id", "phases"), [(201, 1), (202, 2), (203, 3), (204, 3)])
async def test_a_meter_has_the_phases_of_its_model(model_id: int, phases: int) -> None:
    async with on_a_bus(image((1, COMMON), (model_id, METER_203), base=50000)) as bus:
        reading = await sunspec_meter("grid", bus.link, 1).read(soon())
    assert reading.phase_import_w == (-500.0, -700.0, -800.0)[:phases]


async def test_solaredge_counts_export_as_positive_and_is_turned_round() -> None:
    inverter = {"Mn": "SolarEdge ", "Md": "SE5K", "SN": "7"}
    models = ((1, inverter), (103, HYBRID_103), (1, COMMON), (203, METER_203))
    async with on_a_bus(image(*models)) as bus:
        reading = await sunspec_meter("grid", bus.link, 1).read(soon())
    assert (reading.pcc_import_w, reading.phase_import_w) == (2000.0, (500.0, 700.0, 800.0))
    assert reading.import_wh == 1_234_500.0


async def test_a_meter_whose_scale_factor_is_missing_has_no_reading() -> None:
    async with on_a_bus(image((1, COMMON), (203, METER_203 | {"W_SF": -32768}))) as bus:
        told = await error_of(sunspec_meter("grid", bus.link, 1).read(soon()))
    assert told == "grid: pcc_import_w is not available (its scale factor, register 40092, holds 0x8000)"


@pytest.mark.parametrize(
    ("model_id", "values"),
    [(101, HYBRID_103), (102, HYBRID_103), (103, HYBRID_103), (113, {"W": -3200.0, "Hz": 50.0, "St": 4})]
    + [(one, {"W": -3200.0, "St": 4}) for one in (111, 112)]
    + [(701, {"W": -320, "W_SF": 1, "InvSt": 3, "Hz": 50_000, "Hz_SF": -3})],
)
async def test_a_battery_behind_any_inverter_model_is_read(model_id: int, values: dict[str, Any]) -> None:
    models = ((1, COMMON), (model_id, values), (120, RATING_120), (704, IDLE_704), (713, SOC_713))
    async with on_a_bus(image(*models)) as bus:
        reading = await sunspec_battery("bat1", bus.link, 1).read(soon())
    assert (reading.battery_discharge_w, reading.soc_pct, reading.fault) == (-3200.0, 62.9, False)
    assert (reading.max_charge_w, reading.max_discharge_w) == (5000.0, 4500.0)
    assert (reading.capacity_wh, reading.setpoint_w) == (10_000.0, None)


async def test_a_fault_of_the_inverter_shows() -> None:
    for model_id, values in ((103, {"W": 0, "W_SF": 0, "St": 7}), (701, {"W": 0, "W_SF": 0, "InvSt": 6})):
        models = ((1, COMMON), (model_id, values), (120, RATING_120), (704, IDLE_704))
        async with on_a_bus(image(*models)) as bus:
            reading = await sunspec_battery("bat1", bus.link, 1).read(soon())
        assert reading.fault is True
        assert reading.soc_pct is None


async def test_nameplate_and_capacity_come_from_model_702_and_802_where_those_say_them() -> None:
    rating = {"WChaRteMaxRtg": 30, "WDisChaRteMaxRtg": 25, "W_SF": 2}
    bank = {"WHRtg": 15, "WHRtg_SF": 3, "SoC": 40, "SoC_SF": 0}
    models = ((1, COMMON), (701, {"W": 0, "W_SF": 0}), (702, rating), (704, IDLE_704), (802, bank))
    async with on_a_bus(image(*models)) as bus:
        reading = await sunspec_battery("bat1", bus.link, 1).read(soon())
    assert (reading.max_charge_w, reading.max_discharge_w) == (3000.0, 2500.0)
    assert (reading.capacity_wh, reading.soc_pct) == (15_000.0, 40.0)


MODULES = [
    {"IDStr": "MPPT 1", "DCW": 2500},
    {"IDStr": "StCha 3", "DCW": 1200, "DCSt": 4},
    {"IDStr": "StDisCha 4", "DCSt": 4},
]


@pytest.mark.parametrize(
    ("charging", "discharging", "battery_discharge_w"),
    [
        ({"DCW": 1200, "DCSt": 4}, {"DCSt": 4}, -1200.0),
        ({"DCSt": 4}, {"DCW": 700, "DCSt": 4}, 700.0),
        ({"DCW": 0, "DCSt": 4}, {"DCW": 0, "DCSt": 4}, 0.0),
        ({"DCSt": 8}, {"DCSt": 2}, 0.0),
    ],
)
async def test_a_hybrid_ordered_at_its_battery_is_read_at_its_battery(
    charging: dict[str, int], discharging: dict[str, int], battery_discharge_w: float
) -> None:
    modules = [MODULES[0], {"IDStr": "StCha 3", **charging}, {"IDStr": "StDisCha 4", **discharging}]
    models = (*STORAGE, (160, {"N": 3, "DCW_SF": 0, "module": modules}))
    async with on_a_bus(image(*models)) as bus:
        reading = await sunspec_battery("bat1", bus.link, 1).read(soon())
    assert reading.battery_discharge_w == battery_discharge_w


async def test_a_fronius_hybrid_shows_its_battery_as_modules_3_and_4_whatever_their_names() -> None:
    modules = [{"DCW": 2500}, {"DCW": 0}, {"DCW": 900, "DCSt": 4}, {"DCSt": 4}]
    models = ((1, COMMON | {"Mn": "Fronius"}), *STORAGE[1:], (160, {"N": 4, "DCW_SF": 0, "module": modules}))
    async with on_a_bus(image(*models)) as bus:
        reading = await sunspec_battery("bat1", bus.link, 1).read(soon())
    assert reading.battery_discharge_w == -900.0


async def test_storage_inputs_that_say_nothing_while_they_run_are_no_reading() -> None:
    modules = [{"IDStr": "StCha 3", "DCSt": 4}, {"IDStr": "StDisCha 4", "DCSt": 2}]
    async with on_a_bus(image(*STORAGE, (160, {"N": 2, "DCW_SF": 0, "module": modules}))) as bus:
        told = await error_of(sunspec_battery("bat1", bus.link, 1).read(soon()))
    assert told == "bat1: battery_discharge_w is not available"


async def test_a_hybrid_ordered_at_its_ac_side_is_read_there() -> None:
    async with on_a_bus(image(*HYBRID, (160, {"N": 3, "DCW_SF": 0, "module": MODULES}))) as bus:
        reading = await sunspec_battery("bat1", bus.link, 1).read(soon())
    assert reading.battery_discharge_w == -3200.0


@pytest.mark.parametrize(
    ("models", "open_device", "told"),
    [
        (HYBRID, sunspec_meter, "dev: it is no meter: its models are 1, 103, 120, 704, 713"),
        (((1, COMMON), (203, METER_203)), sunspec_pv, "dev: it is no inverter: its models are 1, 203"),
        (SUNNY, sunspec_battery, "dev: it takes no orders as a battery: its models are 1, 103, 121, 123"),
        (SUNNY[:2], sunspec_pv, "dev: it cannot be curtailed: its models are 1, 103"),
        ((*SUNNY[:2], SUNNY[3]), sunspec_pv, "dev: it cannot be curtailed: its models are 1, 103, 123"),
    ],
)
async def test_a_device_in_the_wrong_role_is_told_what_is_missing(
    models: Any, open_device: Any, told: str
) -> None:
    async with on_a_bus(image(*models)) as bus:
        assert (await error_of(open_device("dev", bus.link, 1).read(soon()))).startswith(told)


def test_after_a_reconnect_the_models_are_walked_again_and_the_order_is_taken_over() -> None:
    async def scenario(bus: Bus) -> None:
        battery = sunspec_battery("bat1", bus.link, 1)
        await battery.order(700.0, soon())
        await bus.hang_up()
        bus.device.reads.clear()
        bus.device.writes.clear()
        assert (await battery.read(soon())).battery_discharge_w == -3200.0
        assert (40000, 2) in bus.device.reads
        await battery.order(700.0, soon())
        assert len(bus.device.writes) == 6

    in_virtual_time(image(*HYBRID), scenario)


def test_models_in_another_order_after_a_reconnect_are_refused_until_they_are_back() -> None:
    async def scenario(bus: Bus) -> None:
        battery = sunspec_battery("bat1", bus.link, 1)
        await battery.order(700.0, soon())
        as_before = dict(bus.device.registers)
        bus.device.registers = image(*HYBRID[:2], HYBRID[3], HYBRID[2], HYBRID[4])
        await bus.hang_up()
        bus.device.writes.clear()
        for attempt in (battery.read(soon()), battery.order(700.0, soon()), battery.release(soon())):
            told = await error_of(attempt)
            assert told.startswith("bat1: its SunSpec models have changed: 1@40002+68 103@40070+52 704@40122")
        assert bus.device.writes == []
        bus.device.registers = as_before
        await asyncio.sleep(6.0)
        assert (await battery.read(soon())).setpoint_w == 700.0

    in_virtual_time(image(*HYBRID), scenario)


def test_another_device_at_the_same_address_is_refused() -> None:
    async def scenario(bus: Bus) -> None:
        inverter = sunspec_pv("roof", bus.link, 1)
        await inverter.read(soon())
        bus.device.registers = image((1, COMMON | {"SN": "S-2"}), *SUNNY[1:])
        await bus.hang_up()
        told = await error_of(inverter.read(soon()))
        assert told.startswith("roof: another device answers: Acme/One/S-2, before it was Acme/One/S-1")

    in_virtual_time(image(*SUNNY), scenario)


def test_a_device_that_gave_no_serial_number_at_first_is_known_by_the_one_it_gives_later() -> None:
    async def scenario(bus: Bus) -> None:
        inverter = sunspec_pv("roof", bus.link, 1)
        await inverter.read(soon())
        for serial, told in (("S-1", None), ("S-2", "another device answers"), (None, "does not say who it")):
            bus.device.registers = image((1, COMMON | {"SN": serial}), *SUNNY[1:])
            await bus.hang_up()
            await asyncio.sleep(6.0)
            if told is None:
                assert (await inverter.read(soon())).pv_generation_w == 3600.0
            else:
                assert told in await error_of(inverter.read(soon()))

    in_virtual_time(image((1, COMMON | {"SN": None}), *SUNNY[1:]), scenario)


def test_a_device_that_hangs_up_in_a_reading_is_walked_before_that_reading_counts() -> None:
    async def scenario(bus: Bus) -> None:
        meter = sunspec_meter("grid", bus.link, 1)
        await meter.read(soon())
        await bus.hang_up()
        bus.device.registers = image((1, COMMON), [64_999, 0], (203, METER_203))
        told = await error_of(meter.read(soon()))
        assert "models have changed" in told

    in_virtual_time(image((1, COMMON), (203, METER_203)), scenario)


async def test_before_its_first_walk_a_device_claims_no_lease() -> None:
    async with on_a_bus(image(*HYBRID)) as bus:
        facts = sunspec_battery("bat1", bus.link, 1).facts
    assert (facts.id, facts.profile, facts.lease_s) == ("bat1", "sunspec", None)
