"""What each fault does, seen where it does it: tables that the tests of faults go through.

Frames are those of a read of two registers at 10 of unit 1 with transaction 7, from a device whose
registers hold their own address.
"""

from __future__ import annotations

import struct
from typing import Any

from drivers.device import BatteryReading, MeterReading, PvReading
from tests.unit.raw_modbus import frame, words_pdu

HONEST = frame(7, 1, words_pdu(3, [10, 11]))
ON_THE_WIRE: dict[str, tuple[dict[str, Any], bytes]] = {
    "silent": ({}, b""),
    "reset": ({}, HONEST[: len(HONEST) // 2]),
    "hang_up": ({}, HONEST),
    "drip": ({"byte_s": 0.1}, HONEST),
    "late": ({"by_s": 0.7}, HONEST),
    "retag": ({}, frame(8, 1, words_pdu(3, [10, 11]))),
    "wrong_unit": ({}, frame(7, 2, words_pdu(3, [10, 11]))),
    "wrong_function": ({}, frame(7, 1, words_pdu(4, [10, 11]))),
    "wrong_protocol": ({}, frame(7, 1, words_pdu(3, [10, 11]), protocol=1)),
    "wrong_count": ({"by": -1}, frame(7, 1, words_pdu(3, [10]))),
    "truncated": ({"bytes": 0, "length": 65535}, frame(7, 1, words_pdu(3, [10, 11]), length=65535)),
    "duplicate": ({}, HONEST + HONEST),
    "exception": ({"code": 4}, frame(7, 1, bytes((0x83, 4)))),
    "backlog": ({"behind": 1}, b""),
}
"""What a client hears within 2 s of its first question."""
ENDS = {"reset", "hang_up"}
"""Where the connection is then over."""
SHUT = {"refuse": ConnectionRefusedError, "blackhole": TimeoutError}
"""What comes of a connect."""

METER = MeterReading(0.0, 300.0, (200.0, -50.0, 150.0), (230.0,) * 3, (1.0,) * 3, 50.0, 1000.0, 20.0)
BATTERY = BatteryReading(0.0, 500.0, 60.0, 5000.0, 4000.0, 10_000.0, 25.0, True, False, 500.0)
PV = PvReading(0.0, 2000.0, 5000.0)
NAN = float("nan")
SHOWN: dict[str, tuple[dict[str, Any], Any, str, object]] = {
    "not_a_number": ({"value": "max"}, METER, "pcc_import_w", -3.4028235e38),
    "reversed": ({}, METER, "phase_import_w", (-200.0, 50.0, -150.0)),
    "scaled": ({"factor": 10.0}, METER, "pcc_import_w", 3000.0),
    "spike": ({"add_w": 8000.0}, METER, "pcc_import_w", 8300.0),
    "shows": ({"field": "soc_pct", "value": 140.0}, BATTERY, "soc_pct", 140.0),
    "counter_reset": ({}, METER, "import_wh", 0.0),
    "phase_missing": ({"phase": 3}, METER, "pcc_import_w", 150.0),
    "soc_off": ({"by_pct": -20.0}, BATTERY, "soc_pct", 40.0),
    "offset": ({"add_w": 300.0}, PV, "pv_generation_w", 2300.0),
    "ct_off": ({"offset_w": 30.0, "noise_w": 0.0}, METER, "phase_import_w", (20.0, -5.0, 15.0)),
    "limits": ({"charge_w": 0.0, "discharge_w": 900.0}, BATTERY, "max_discharge_w", 900.0),
    "no_limits": ({}, BATTERY, "max_charge_w", None),
    "faulted": ({}, BATTERY, "fault", True),
    "cold": ({"temperature_c": -5.0}, BATTERY, "temperature_c", -5.0),
}
"""The reading before, and what one of its fields shows instead."""

DONE: dict[str, tuple[dict[str, Any], float]] = {
    "deaf": ({}, 0.0),
    "partly": ({"share": 0.6}, 600.0),
    "limits": ({"charge_w": 0.0, "discharge_w": 900.0}, 900.0),
    "faulted": ({}, 0.0),
    "own_way": ({"power_w": -1000.0}, -1000.0),
}
"""What a battery does that is ordered 1000 W."""

REGISTERS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "sentinel": ({"word": 0x8000}, [0x8000, 0x8000]),
    "swapped": ({}, [0x0000, 0x4396]),
}
"""What the first power of an Eastron SDM630 (300 W: 0x4396 0000) reads as."""
assert struct.pack(">f", 300.0).hex() == "43960000"

ELSEWHERE = {
    "half_open": "connections from before",
    "garbage": "bytes",
    "frozen": "time",
    "slow": "time",
    "soc_stuck": "time",
    "sluggish": "time",
    "shifted": "a refusal",
    "thinks": "time",
    "ignores_writes": "writes",
    "reboot": "writes",
    "no_timer": "writes",
    "foreign": "writes",
    "stranger": "identity",
}
"""Faults with a test of their own, and what it takes to see them."""
