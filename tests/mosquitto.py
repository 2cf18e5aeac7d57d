"""A real Mosquitto for tests: its own process, own configuration, a port of its own on 127.0.0.1."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

READY_WITHIN_S = 20.0
GONE_WITHIN_S = 10.0
PORT_TRIES = 5

# On Debian the broker lies where only root looks.
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"))


class MosquittoError(Exception):
    """Mosquitto is not installed or did not start; the text says what to do about it."""


def program(name: str) -> str:
    """The full path of `mosquitto`, `mosquitto_sub`, `mbpoll`, ...; MosquittoError if it is not installed."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise MosquittoError(f"{name} is not installed, and this test needs it: tests/setup.sh installs it")
    return found


class Mosquitto:
    """One broker, with more lines for its configuration if need be.

    `stop` and `start` again keep the port, as a broker that is restarted does.
    """

    def __init__(self, folder: Path, settings: str = "allow_anonymous true\n") -> None:
        self.port = 0
        self._folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Wait until it answers; MosquittoError if it never does. The first start picks a free port."""
        if self.port:
            self._start_on(self.port)
            return
        for remaining in reversed(range(PORT_TRIES)):
            port = _free_port()
            try:
                self._start_on(port)
            except MosquittoError:
                # Somebody else may have taken the port between our look and its start.
                if not remaining:
                    raise
            else:
                self.port = port
                return

    def stop(self) -> None:
        """End it and wait until it is gone; nothing happens if it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(GONE_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """It stays connected and answers nothing any more, until `thaw`."""
        assert self._process is not None, "it runs"
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on as if nothing had been."""
        assert self._process is not None, "it runs"
        self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """What it has said since it was started last."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    @property
    def _log_path(self) -> Path:
        return self._folder / "mosquitto.log"

    def _start_on(self, port: int) -> None:
        config = self._folder / "mosquitto.conf"
        config.write_text(
            f"listener {port} 127.0.0.1\n{self._settings}persistence false\nlog_dest stderr\nlog_type all\n",
            encoding="utf-8",
        )
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [program("mosquitto"), "-c", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._wait_until_ready(self._process, port)
        except MosquittoError:
            self.stop()
            raise

    def _wait_until_ready(self, process: subprocess.Popen[bytes], port: int) -> None:
        until_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < until_s:
            if process.poll() is not None:
                raise MosquittoError(
                    f"mosquitto ended with {process.returncode} on port {port}:\n{self.log()}"
                )
            # Only its own word proves that the port is its own and not a stranger's.
            if " running" in self.log() and _accepts(port):
                return
            time.sleep(0.01)
        raise MosquittoError(
            f"mosquitto did not answer on port {port} within {READY_WITHIN_S:g} s:\n{self.log()}"
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False
