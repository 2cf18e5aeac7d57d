"""Commands to `penstock run` as it is started on a site: what the fault catalogue names under D07 to D17."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.contract.running_site import Asker, asking
from tests.mosquitto import Mosquitto
from tests.penstock import free_ports, penstock, site_file, wait_for_port

PREFIX = "penstock/house-7"
STATE = f"{PREFIX}/state"

UNREADABLE: dict[str, tuple[bytes, str]] = {
    "D07 oversize": (b'{"id": "big", "x": "' + b"x" * 3000 + b'"}', "has 3022 bytes, allowed are 2048"),
    "D08 malformed": (b'{"id": ', "is not JSON"),
    "D08 NaN": (b'{"id": "nan", "battery_discharge_w": NaN}', "NaN is no number of JSON"),
    "D08 1e999": (b'{"id": "inf", "battery_discharge_w": 1e999}', "has a number that is too large"),
    "D08 key twice": (b'{"id": "twice", "id": "twice"}', "has a key twice"),
    "D08 nested": (b'{"id": ' + b"[" * 900 + b"]" * 900 + b"}", "is nested too deeply"),
    "D08 digits": (b'{"id": "n", "seq": ' + b"9" * 1500 + b"}", "has a number that is too long"),
    "D08 BOM": (b'\xef\xbb\xbf{"id": "bom"}', "Unexpected UTF-8 BOM"),
    "D08 no UTF-8": (b'{"id": "\xff"}', "is not UTF-8 text"),
    "D17 a path for a name": (b'{"id": "../../command/stop"}', "id: String should match pattern"),
    "D17 a wildcard for a name": (b'{"id": "#"}', "id: String should match pattern"),
}
"""What is no command at all: an event says what became of it."""

REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "D08 bool": ("setpoint", {"battery_discharge_w": True}, "battery_discharge_w: should be a valid number"),
    "D09 unknown key": ("setpoint", {"watts": 5}, "'watts' is not a known key"),
    "D09 wrong unit": (
        "limits",
        {"import_limit_kw": 5},
        "'import_limit_kw' is not a known key; did you mean",
    ),
    "D09 wrong site": ("stop", {"site": "house-8"}, "is for site 'house-8', this is house-7"),
    "D09 wrong version": ("stop", {"version": 2}, "version: should be less than or equal to 1"),
    "D16 a policy without its means": ("policy", {"policy": "schedule"}, "schedule needs something"),
    "D16 a fault in a real site": (
        "inject",
        {"device": "grid", "fault": "silent"},
        "this site is no simulation",
    ),
}
READABLE = {"D08 NaN": "nan", "D08 1e999": "inf", "D08 digits": "n"}
"""Of these the id can be read all the same, and is answered."""
CLAMPED: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "D16 1 GW": ("setpoint", {"battery_discharge_w": 1e9}, "rating", {"battery_discharge_w": 5000.0}),
    "D16 import": ("limits", {"import_limit_w": 1e9}, "import_limit", {"import_limit_w": 17_250.0}),
    "D16 export": ("operator", {"export_limit_w": 1e6}, "export_limit", {"export_limit_w": 3000.0}),
    "D16 reserve 0 %": ("reserve", {"reserve_pct": 0.0}, "reserve", {"reserve_pct": 20.0}),
}


def before(seconds: float) -> str:
    """An instant in the past, as a command says it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


async def _what_is_no_command(asker: Asker) -> None:
    for name, (payload, reason) in UNREADABLE.items():
        seen = len(asker.all)
        # Of one command ten refusals a minute are told as an event.
        command = "start" if name.startswith("D17") else "setpoint"
        await asker.client.publish(f"{PREFIX}/command/{command}", payload, qos=1)
        await asker.told("command", reason, seen)
        replies = {topic for topic, _ in asker.all[seen:] if topic.startswith(f"{PREFIX}/reply/")}
        assert replies == ({f"{PREFIX}/reply/{READABLE[name]}"} if name in READABLE else set()), name
    for name, (command, fields, reason) in REFUSED.items():
        reply = await asker.asked(command, name.replace(" ", "-").replace("%", ""), **fields)
        assert (reply["result"], reply["reason"][: len(reason)]) == ("refused", reason), name
    for name, (command, fields, limit, in_force) in CLAMPED.items():
        reply = await asker.asked(command, name.replace(" ", "-").replace("%", ""), **fields)
        assert (reply["result"], reply["limited_by"], reply["in_force"]) == ("clamped", limit, in_force), name


async def _what_comes_late_or_twice(asker: Asker) -> None:
    retained = json.dumps({"id": "D11"})
    await asker.client.publish(f"{PREFIX}/command/stop", retained, qos=1, retain=True)
    assert (await asker.until(f"{PREFIX}/reply/D11"))["reason"].startswith("is retained")
    await asker.client.publish(f"{PREFIX}/command/stop", b"", qos=1, retain=True)
    await asyncio.sleep(1.1)
    first = await asker.asked(
        "limits", "D12", max_charge_w=1000.0, seq=5, issued_at=before(5.0), valid_for_s=600
    )
    asker.newest.pop(f"{PREFIX}/reply/D12")
    again = json.dumps(
        {"id": "D12", "max_charge_w": 1000.0, "seq": 5, "issued_at": before(5.0), "valid_for_s": 600}
    )
    assert first["result"] == "applied"
    await asker.client.publish(f"{PREFIX}/command/limits", again, qos=1)
    other = await asker.until(f"{PREFIX}/reply/D12")
    assert other["reason"] == "its id was already used for another command"
    old = await asker.asked("limits", "D13a", max_charge_w=1.0, seq=6, issued_at=before(61.0))
    assert "s ago, allowed are 60 s" in old["reason"]
    earlier = await asker.asked("limits", "D13b", max_charge_w=1.0, seq=6, issued_at=before(50.0))
    assert earlier["reason"] == "was issued before one that was already applied"
    repeated = await asker.asked("limits", "D13c", max_charge_w=1.0, seq=5)
    assert repeated["reason"] == "seq 5 is not above the last one, 5"


async def _what_ends_and_what_floods(asker: Asker) -> None:
    await asker.asked("setpoint", "D14", battery_discharge_w=-700.0, valid_for_s=2.0)
    await asker.until(STATE, policy="follow", wanted_w=-700.0)
    await asker.until(STATE, policy="self_consumption")
    for number in range(1000):
        payload = json.dumps({"id": f"D15-{number}", "import_limit_w": 5000 + number})
        await asker.client.publish(f"{PREFIX}/command/operator", payload, qos=0)
    last = await asker.until(f"{PREFIX}/reply/D15-999")
    assert last["result"] == "applied"
    applied = [body for _, body in asker.all if isinstance(body, dict) and body.get("result") == "applied"]
    assert len([one for one in applied if one["id"].startswith("D15-")]) < 10


async def test_the_program_takes_what_is_right_and_refuses_the_rest(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    ports = free_ports(3)
    site = str(site_file(tmp_path, ports, mosquitto.url))
    log = tmp_path / "log"
    with penstock("emulate", site):
        await asyncio.to_thread(wait_for_port, ports[2])
        async with asking(mosquitto.port) as asker:
            with penstock("run", site, log=log) as program:
                await asker.until(STATE, mode="RUNNING", within_s=60.0)
                await _what_is_no_command(asker)
                await asker.until(STATE, mode="RUNNING")
                await _what_comes_late_or_twice(asker)
                await _what_ends_and_what_floods(asker)
                kept = await asker.asked("reserve", "kept", reserve_pct=35.0)
                assert (kept["result"], kept["kept"]) == ("applied", True)
                program.kill()
                await asker.until(f"{PREFIX}/availability", _is="offline")
            with penstock("run", site, log=log):
                await asker.until(f"{PREFIX}/availability", _is="online", within_s=60.0)
                orders = await asker.until(f"{PREFIX}/orders", reserve_pct=35.0, within_s=60.0)
                assert orders["max_charge_w"] == 1000.0
                asker.newest.pop(f"{PREFIX}/reply/kept")
                again = await asker.asked("reserve", "kept", reserve_pct=35.0)
                assert again["reason"] == "was already carried out, before a restart"
    assert "Traceback" not in log.read_text(encoding="utf-8")
