"""The emulated SunSpec devices before the reference client, which knows SunSpec, but not our profiles."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sunspec2.modbus.client as sunspec  # type: ignore[import-untyped]  # it has no annotations

from drivers.profile import load_profile
from drivers.wire import ModbusTcpServer, serve
from simulators.emulator import emulated_unit, emulated_units
from tests.certificates import Authority
from tests.contract.plants import PLANTS, RATING, Battery, Pv
from tests.penstock import free_ports


def scanned(port: int) -> sunspec.SunSpecModbusClientDeviceTCP:
    device = sunspec.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=5)
    device.scan(delay=0)
    return device


async def test_the_sunspec_reference_client_reads_and_orders_the_emulated_hybrid() -> None:
    profile, plant = load_profile("sunspec-hybrid"), Battery()
    server = ModbusTcpServer({1: emulated_unit(profile, plant, serial="SN-1", rating=RATING)})
    port = await server.start("127.0.0.1", 0)

    def client() -> None:
        device = scanned(port)
        try:
            assert [key for key in device.models if isinstance(key, int)] == [
                1,
                103,
                120,
                121,
                123,
                124,
                704,
                713,
            ]
            common, inverter, ratings = device.common[0], device.models[103][0], device.models[120][0]
            assert (common.Mn.value, common.Md.value, common.SN.value) == (
                "Penstock",
                "Emulated hybrid",
                "SN-1",
            )
            assert (inverter.W.cvalue, inverter.Hz.cvalue, inverter.St.value) == (-3200, 50.0, 4)
            assert (ratings.DERTyp.value, ratings.WHRtg.cvalue) == (82, 10_000)
            assert (ratings.MaxChaRte.cvalue, ratings.MaxDisChaRte.cvalue) == (5000, 4500)
            assert device.models[713][0].SoC.cvalue == pytest.approx(62.9)
            controls = device.models[704][0]
            assert (controls.WSetEna.value, controls.WSetRvrtRem.value) == (0, 0)
            controls.WSetRvrtTms.cvalue = 30
            controls.write()
            controls.WSetEna.cvalue, controls.WSetMod.cvalue, controls.WSet.cvalue = 1, 1, -1500
            controls.write()
            controls.WSetEna.cvalue = 0
            controls.write()
        finally:
            device.close()

    await asyncio.get_running_loop().run_in_executor(None, client)
    await server.stop()
    assert plant.diary == [(-1500.0, pytest.approx(30.0)), None]


async def test_the_sunspec_reference_client_orders_the_emulated_hybrid_over_tls(tmp_path: Path) -> None:
    authority, plant = Authority(tmp_path), Battery()
    (port,) = free_ports(1)
    device = emulated_unit(load_profile("sunspec-hybrid"), plant, rating=RATING)
    server = await serve(f"tls://127.0.0.1:{port}?{authority.sign('device')}", emulated_units(1, device))
    ours = dict(option.split("=", 1) for option in authority.sign("client").split("&"))

    def client() -> None:
        files = {"cafile": ours["ca"], "certfile": ours["cert"], "keyfile": ours["key"]}
        device = sunspec.SunSpecModbusClientDeviceTCP(1, "127.0.0.1", port, timeout=5, tls=True, **files)
        try:
            device.scan(delay=0)
            assert device.models[103][0].W.cvalue == -3200
            controls = device.models[704][0]
            controls.WSetRvrtTms.cvalue = 30
            controls.write()
            controls.WSetEna.cvalue, controls.WSetMod.cvalue, controls.WSet.cvalue = 1, 1, -700
            controls.write()
        finally:
            device.close()

    await asyncio.get_running_loop().run_in_executor(None, client)
    await server.stop()
    assert plant.diary == [(-700.0, pytest.approx(30.0))]


async def test_the_sunspec_reference_client_reads_and_curtails_the_emulated_pv_inverter() -> None:
    profile, plant = load_profile("sunspec-pv"), Pv()
    server = ModbusTcpServer({1: emulated_unit(profile, plant, serial="SN-1")})
    port = await server.start("127.0.0.1", 0)

    def client() -> None:
        device = scanned(port)
        try:
            assert [key for key in device.models if isinstance(key, int)] == [1, 103, 120, 121, 123]
            assert (device.models[103][0].W.cvalue, device.models[121][0].WMax.cvalue) == (3600, 5000)
            controls = device.models[123][0]
            assert (controls.Conn.value, controls.WMaxLimPct.cvalue, controls.WMaxLim_Ena.value) == (
                1,
                100,
                0,
            )
            controls.WMaxLimPct.cvalue, controls.WMaxLimPct_RvrtTms.cvalue = 40.0, 30
            controls.WMaxLim_Ena.cvalue = 1
            controls.write()
        finally:
            device.close()

    await asyncio.get_running_loop().run_in_executor(None, client)
    await server.stop()
    assert plant.diary == [(2000.0, pytest.approx(30.0))]


@pytest.mark.parametrize("name", ["sunspec-hybrid", "sunspec-pv"])
async def test_what_a_sunspec_emulator_does_not_model_is_not_implemented(name: str) -> None:
    profile = load_profile(name)
    server = ModbusTcpServer({1: emulated_unit(profile, PLANTS[profile.role](), rating=RATING)})
    port = await server.start("127.0.0.1", 0)
    modelled = {at for point in profile.points.values() for at in range(point.address, point.end)}

    def said_without_being_asked() -> set[str]:
        device, found = scanned(port), set()
        try:
            for number in [key for key in device.models if isinstance(key, int)]:
                model = device.models[number][0]
                for key, point in model.points.items():
                    beyond = model.model_addr + point.offset not in modelled
                    if beyond and key not in ("ID", "L", "Pad") and point.value is not None:
                        found.add(f"{number}.{key}")
        finally:
            device.close()
        return found

    said = await asyncio.get_running_loop().run_in_executor(None, said_without_being_asked)
    await server.stop()
    assert said == {"103.Evt1", "103.Evt2", "120.DERTyp"}
