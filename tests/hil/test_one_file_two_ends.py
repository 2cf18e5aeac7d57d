"""`penstock emulate` and `penstock run` on one site file are a complete installation."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from tests.mosquitto import Mosquitto, program
from tests.penstock import PATIENCE_S, free_ports, penstock, site_file, wait_for_port


class Subscriber:
    """Debian's `mosquitto_sub`, and what it has heard so far, with the time it came."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[float, str, str]] = []
        self.process = subprocess.Popen(
            [program("mosquitto_sub"), "-p", str(port), "-v", "-t", "penstock/#"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                topic, _, text = line.rstrip("\n").partition(" ")
                self.heard.append((time.monotonic(), topic, text))

    def wait_for(self, topic: str, wanted: Callable[[str], bool], since_s: float = 0.0) -> float:
        """When a message like this came; AssertionError when none does in time."""
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            for at_s, one, text in list(self.heard):
                if one == topic and at_s >= since_s and wanted(text):
                    return at_s
            time.sleep(0.05)
        raise AssertionError(f"{topic}: nothing of the kind; last heard: {self.heard[-3:]}")

    def wait_for_mode(self, mode: str, since_s: float) -> float:
        def is_it(text: str) -> bool:
            return bool(json.loads(text)["mode"] == mode)

        return self.wait_for("penstock/house-7/state", is_it, since_s)

    def last(self, topic: str) -> Any:
        return json.loads(next(text for _, one, text in reversed(self.heard) if one == topic))


@contextmanager
def subscribed(port: int) -> Iterator[Subscriber]:
    subscriber = Subscriber(port)
    try:
        yield subscriber
    finally:
        subscriber.process.terminate()
        subscriber.process.wait()
        subscriber._reader.join()


def test_a_site_lives_through_the_loss_and_return_of_all_its_devices(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    ports = free_ports(3)
    site = str(site_file(tmp_path, ports, mosquitto.url))
    log = tmp_path / "run.log"
    with subscribed(mosquitto.port) as heard:
        with penstock("emulate", site) as emulators:
            wait_for_port(ports[2])
            with penstock("run", site, log=log) as controller:
                heard.wait_for("penstock/house-7/availability", lambda text: text == "online")
                heard.wait_for_mode("RUNNING", 0.0)
                heard.wait_for("penstock/house-7/device/bat1", lambda text: '"online":true' in text)

                lost_s = time.monotonic()
                emulators.kill()
                emulators.wait()
                heard.wait_for_mode("HOLDING", lost_s)
                safe_s = heard.wait_for_mode("SAFE", lost_s)
                # 3 s after the last good sample, and a little for broker and subscriber.
                assert safe_s - lost_s < 3.5, log.read_text()
                assert heard.last("penstock/house-7/device/bat1")["online"] is False

                with penstock("emulate", site):
                    back_s = time.monotonic()
                    wait_for_port(ports[2])
                    running_s = heard.wait_for_mode("RUNNING", back_s)
                    assert running_s - back_s < 20.0, log.read_text()
                    assert controller.poll() is None

                    controller.send_signal(signal.SIGTERM)
                    assert controller.wait(PATIENCE_S) == 0, log.read_text()
        heard.wait_for("penstock/house-7/availability", lambda text: text == "offline", running_s)
        assert heard.last("penstock/house-7/state")["mode"] == "STOPPED"
    assert "3 of 3 devices released" in log.read_text()


def test_a_controller_that_is_killed_is_offline_by_its_last_will(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    site = str(site_file(tmp_path, free_ports(3), mosquitto.url))
    with subscribed(mosquitto.port) as heard, penstock("run", site) as controller:
        heard.wait_for("penstock/house-7/availability", lambda text: text == "online")
        killed_s = time.monotonic()
        controller.kill()
        heard.wait_for("penstock/house-7/availability", lambda text: text == "offline", killed_s)


def test_devices_that_are_not_there_at_the_start_do_not_stop_the_others(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    ports = free_ports(3)
    site = site_file(tmp_path, ports, mosquitto.url)
    lonely = tmp_path / "lonely.toml"
    text = site.read_text(encoding="utf-8")
    lonely.write_text(text[: text.index("[[pv]]")] + text[text.index("[policy]") :], encoding="utf-8")
    with subscribed(mosquitto.port) as heard, penstock("emulate", str(lonely)):
        wait_for_port(ports[1])
        with penstock("run", str(site)):
            heard.wait_for_mode("RUNNING", 0.0)
            assert heard.last("penstock/house-7/device/roof")["online"] is False
            assert heard.last("penstock/house-7/state")["pv_generation_w"] is None
