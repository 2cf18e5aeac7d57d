"""Every parameter of every fault has bounds: refused beyond them at each door, and at work within them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import Field
from math import inf, nan
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from controller.lab.scenario import load_scenario
from controller.lab.scenariofile import FAULT_TABLES, ScenarioFile
from drivers.device import DeviceError
from drivers.doors import DoorError
from drivers.profile import load_profile
from drivers.wire import ModbusFault
from simulators.emulator import Rating, emulated_unit
from simulators.faults import INJECTORS, Active, Board, Fault, FaultError, make_fault, parameters
from simulators.faults.behaviour import FaultyBattery, FaultyMeter, FaultyPv
from simulators.faults.frames import Frame, LinkFault
from simulators.faults.model import bounds
from simulators.faults.registers import FaultyUnit
from simulators.virtual_time import run
from tests.bench.sites import SITE
from tests.contract.plants import Battery, Meter
from tests.penstock import result_of
from tests.unit import fault_effects as effects
from tests.unit.raw_modbus import read_pdu, words_pdu


def all_parameters() -> Iterator[tuple[str, Field[Any], Any]]:
    for name, kind in INJECTORS.items():
        hints = get_type_hints(kind)
        for one in parameters(kind):
            yield name, one, hints[one.name]


SCHEMA = ScenarioFile.model_json_schema()
NUMBERS = [
    pytest.param(name, one, kind, id=f"{name}-{one.name}")
    for name, one, kind in all_parameters()
    if kind in (int, float)
]


def beyond(least: float, most: float) -> st.SearchStrategy[float]:
    return st.one_of(
        st.sampled_from([nan, inf, -inf]),
        st.floats(max_value=least, exclude_max=True, allow_infinity=False),
        st.floats(min_value=most, exclude_min=True, allow_infinity=False),
    )


def values_of(kind: Any, one: Field[Any]) -> st.SearchStrategy[Any]:
    allowed = bounds(one)
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if kind is bool:
        return st.booleans()
    assert allowed is not None
    least, most = allowed.least, allowed.most
    if kind is str:
        printable = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
        return st.text(printable, min_size=int(least), max_size=int(most))
    return st.integers(int(least), int(most)) if kind is int else st.floats(least, most)


@st.composite
def faults(draw: st.DrawFn, seams: tuple[str, ...], role: str) -> Fault:
    """Any fault of these seams that a device of this role can have, with any parameters it may have."""
    names = [name for name, kind in INJECTORS.items() if kind.seam in seams and role in kind.roles]
    kind = INJECTORS[draw(st.sampled_from(names))]
    hints = get_type_hints(kind)
    values = {one.name: draw(values_of(hints[one.name], one)) for one in parameters(kind)}
    fault = make_fault(kind.name, values)
    assume(not fault.why_not(role))
    return fault


@pytest.mark.parametrize(("name", "one", "kind"), NUMBERS)
@given(data=st.data())
@settings(max_examples=20)
def test_no_fault_takes_a_number_that_is_none_or_beyond_its_bounds(
    name: str, one: Field[Any], kind: Any, data: st.DataObject
) -> None:
    allowed = bounds(one)
    assert allowed is not None
    value = data.draw(beyond(allowed.least, allowed.most))
    for said in (value, str(value)):
        with pytest.raises(FaultError) as refused:
            make_fault(name, {one.name: said})
        assert str(refused.value).startswith(f"{name}: {one.name} is ")
        assert f"{allowed.least:.10g} to {allowed.most:.10g}" in str(refused.value)
    with pytest.raises(ValueError, match=one.name):
        FAULT_TABLES[name].model_validate({"fault": name, "device": "d", "at_s": 0, one.name: value})


@pytest.mark.parametrize(("name", "one", "kind"), NUMBERS)
def test_both_bounds_of_a_parameter_are_taken_and_stand_in_the_published_schema(
    name: str, one: Field[Any], kind: Any
) -> None:
    allowed = bounds(one)
    assert allowed is not None
    for value in (allowed.least, allowed.most):
        assert getattr(make_fault(name, {one.name: value}), one.name) == value
        table = {"fault": name, "device": "d", "at_s": 0, one.name: kind(value)}
        assert FAULT_TABLES[name].model_validate(table)
    shown = SCHEMA["$defs"][f"Fault_{name}"]["properties"][one.name]
    assert (shown["minimum"], shown["maximum"]) == (allowed.least, allowed.most)
    assert allowed.least <= shown["default"] <= allowed.most


@pytest.mark.parametrize(
    "said", ["", "NINE CHAR", "Ümlaut", "a\nb", 10**400, [1], None, True], ids=lambda one: repr(one)[:10]
)
def test_a_serial_number_is_a_few_characters_and_a_number_is_a_number(said: Any) -> None:
    if isinstance(said, str):
        with pytest.raises(FaultError, match=r"stranger: serial is .*; give 1 to 8 characters of ASCII"):
            make_fault("stranger", {"serial": said})
    with pytest.raises(FaultError, match=r"late: by_s is .*; give a number, 0 to 86400"):
        make_fault("late", {"by_s": said})


def test_a_file_is_refused_with_line_key_value_and_what_would_be_right(tmp_path: Path) -> None:
    path = tmp_path / "test.toml"
    head = f'title = "A test"\nduration_s = 60\n[site]\nfile = "{SITE}"\n'
    claim = '[[claim]]\nclaim = "never"\nmode = "FAULT"\n'
    for line, told in (
        ("share = nan", "share is nan: should be a finite number"),
        (
            "share = 1.5",
            "share is 1.5: should be less than or equal to 1 (of the happenings that are hit; 0 to 1)",
        ),
        ("by_s = -3.0", "by_s is -3.0: should be greater than or equal to 0 (how late, s; 0 to 86400)"),
        ("transaction = 70_000", "transaction is 70000: should be less than or equal to 65535"),
    ):
        fault = f'[[fault]]\ndevice = "grid"\nat_s = 1\nfault = "late"\n{line}\n'
        path.write_text(head + fault + claim, encoding="utf-8")
        with pytest.raises(DoorError) as refused:
            load_scenario(path)
        assert f"test.toml:9: fault[0].{told}" in str(refused.value)
    result = result_of("hil", str(path))
    assert (result.returncode, "transaction is 70000" in result.stderr) == (78, True)


def test_what_a_reading_does_not_have_cannot_be_shown() -> None:
    board = Board({"grid": "meter", "bat1": "battery"})
    board.add("bat1", make_fault("shows", {"field": "soc_pct"}), 0.0)
    board.add("grid", make_fault("shows", {}), 0.0)
    with pytest.raises(
        FaultError, match="grid: shows: the reading of a meter has no soc_pct; give power_w, phase"
    ):
        board.add("grid", make_fault("shows", {"field": "soc_pct"}), 0.0)


@given(faults(("link",), "meter"), st.integers(0, 125))
def test_whatever_a_link_fault_is_given_it_makes_frames_or_nothing_of_them(fault: Fault, count: int) -> None:
    assert isinstance(fault, LinkFault)
    serial = fault.wires == ("serial",)
    request = Frame(7, 1, read_pdu(3, 10, count), serial=serial)
    reply = Frame(7, 1, words_pdu(3, list(range(count))), serial=serial)
    fault.begin(0.0)
    for _ in range(3):
        sent = fault.asked(request, 1.0)
        for one in fault.sent(reply, (), 1.0) if sent is None else sent:
            assert one.after_s >= 0.0
            assert len(one.data) <= 70_000


@given(faults(("port", "unit", "link"), "meter"), faults(("port",), "battery"), faults(("port",), "pv"))
def test_whatever_a_port_fault_is_given_there_is_a_reading_or_no_answer(
    meter: Fault, battery: Fault, pv: Fault
) -> None:
    actives = [Active() for _ in range(3)]
    for active, fault in zip(actives, (meter, battery, pv), strict=True):
        active.add(fault, 0.0)
    faulty = FaultyBattery(Battery(), actives[1])
    ports = (FaultyMeter(Meter(effects.METER), actives[0]), faulty, FaultyPv(_Pv(), actives[2]))
    for now_s in (0.0, 1.0, 20.0):
        for port in ports:
            with suppress(DeviceError):
                port.reading(now_s)
        faulty.order(now_s, 1000.0, now_s + 30.0)
        faulty.turn(now_s + 0.5)


@given(faults(("unit", "port"), "battery"))
@settings(max_examples=50)
def test_whatever_a_register_fault_is_given_a_unit_answers_or_refuses(fault: Fault) -> None:
    async def work() -> None:
        profile = load_profile("sunspec-hybrid")
        active = Active()
        port = FaultyBattery(Battery(), active, wired=True)
        unit = FaultyUnit(
            lambda serial: emulated_unit(
                profile, port, serial=serial or "SN-1", rating=Rating(5000.0, 5000.0)
            ),
            active,
        )
        active.add(fault, 0.0)
        for point in profile.points.values():
            with suppress(ModbusFault):
                await unit.read("me", point.kind, point.address, point.encoding.words)
            if point.writable:
                with suppress(ModbusFault):
                    await unit.write("me", point.address, [0] * point.encoding.words)

    run(work())


class _Pv:
    """A PV inverter in the sun."""

    def reading(self, now_s: float) -> Any:
        return effects.PV

    def cap(self, now_s: float, pv_cap_w: float, expires_at_s: float) -> None:
        """It gives what it gives."""

    def release(self, now_s: float) -> None:
        """Nothing holds it."""


def test_a_foreign_order_that_the_registers_cannot_hold_is_not_written_and_the_device_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def read() -> None:
        active, plant = Active(), Battery()
        profile = load_profile("marstek-venus")
        rating = Rating(2500.0, 2500.0)
        unit = FaultyUnit(
            lambda serial: emulated_unit(profile, plant, serial=serial or "SN-1", rating=rating), active
        )
        active.add(make_fault("foreign", {"power_w": 3348.0}), 0.0)
        point = profile.gives["battery_discharge_w"]
        await unit.read("me", "holding", point.address, point.encoding.words)
        assert plant.diary == []
        assert "3348 W was not written: discharge is 3348; give 0 to 2500" in caplog.text

    run(read())
