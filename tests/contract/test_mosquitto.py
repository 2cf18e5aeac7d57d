"""The broker that other tests rely on is real, their own, and survives a restart on its port."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import mosquitto as launcher
from tests.mosquitto import Mosquitto, MosquittoError, program


def _say_and_hear(broker: Mosquitto) -> str:
    where = ["-h", "127.0.0.1", "-p", str(broker.port), "-t", "greeting"]
    subprocess.run([program("mosquitto_pub"), *where, "-r", "-m", "hello"], check=True, timeout=20)
    heard = subprocess.run(
        [program("mosquitto_sub"), *where, "-C", "1", "-W", "20"],
        check=True,
        timeout=30,
        capture_output=True,
        text=True,
    )
    return heard.stdout.strip()


def test_the_broker_carries_messages_and_keeps_its_port_over_a_restart(mosquitto: Mosquitto) -> None:
    assert _say_and_hear(mosquitto) == "hello"
    port = mosquitto.port
    mosquitto.stop()
    mosquitto.start()
    assert mosquitto.port == port
    assert _say_and_hear(mosquitto) == "hello"


def test_a_taken_port_is_given_up_for_another(
    mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_port = launcher._free_port()
    ports = iter([mosquitto.port, free_port])
    monkeypatch.setattr(launcher, "_free_port", lambda: next(ports))
    (tmp_path / "second").mkdir()
    second = Mosquitto(tmp_path / "second")
    second.start()
    second.stop()
    assert second.port == free_port


def test_a_missing_program_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "_PATH", "/nowhere")
    with pytest.raises(MosquittoError, match=r"mosquitto_sub is not installed.*tests/setup\.sh"):
        program("mosquitto_sub")
