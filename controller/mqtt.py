"""The only aiomqtt file: publishes the newest cycle, and never makes the control loop wait.

The loop drops each cycle into a box with one place; a task of its own takes the newest out, as often as
the broker can take it. MQTT v5 first; a broker that refuses it (the embedded amqtt) is spoken to in 3.1.1.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl

import aiomqtt

from controller.config import MqttConfig
from controller.dispatch.modes import Mode
from controller.dispatch.settings import DispatchConfig
from controller.loop import Cycle
from controller.telemetry import device_messages, state_message

log = logging.getLogger("penstock.mqtt")

STATE_EVERY_S = 1.0
DEVICES_EVERY_S = 10.0
KEEPALIVE_S = 15
ANSWER_WITHIN_S = 5.0
GOODBYE_WITHIN_S = 1.0
BACK_OFF_S = (1.0, 30.0)
"""First and longest wait before connecting again; doubled each time, +-20 % (fault catalogue, D03)."""

V5, V311 = aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311


class Box:
    """A box with one place: the newest cycle, and a bell."""

    def __init__(self) -> None:
        self.newest: Cycle | None = None
        self.bell = asyncio.Event()

    def put(self, cycle: Cycle) -> None:
        """Never waits; what was inside and not taken is gone."""
        self.newest = cycle
        self.bell.set()


class MqttPublisher:
    """Publishes `availability`, `state` and `device/<id>` under `penstock/<site>/`."""

    def __init__(self, site: str, config: MqttConfig, dispatch: DispatchConfig, box: Box) -> None:
        self._config = config
        self._dispatch = dispatch
        self._box = box
        self._prefix = f"penstock/{site}"
        self._identifier = f"penstock-{site}"
        self._protocol = V311 if config.only_v311 else V5
        self._protocol_proven = config.only_v311
        self._was_connected = False
        self._told: str | None = None
        # Spreads reconnects of many sites after a broker's restart; nothing else depends on it.
        self._jitter = random.Random(site)
        self._published_seq = 0
        self._published = asyncio.Event()
        self.connected = False

    async def told_newest(self, within_s: float) -> bool:
        """Wait until the newest cycle has been published; False when that took too long."""
        try:
            async with asyncio.timeout(within_s):
                while self._box.newest is not None and self._published_seq < self._box.newest.seq:
                    self._published.clear()
                    await self._published.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Connect, publish, connect again: until cancelled; says `offline` on the way out."""
        wait_s = BACK_OFF_S[0]
        while True:
            self._was_connected = False
            try:
                await self._session()
            except (aiomqtt.MqttError, OSError) as error:
                if self._try_other_version(error):
                    continue
                self._tell(f"no connection to {self._address}: {error}")
            finally:
                self.connected = False
            if self._was_connected:
                wait_s = BACK_OFF_S[0]
            await asyncio.sleep(wait_s * self._jitter.uniform(0.8, 1.2))
            wait_s = min(2.0 * wait_s, BACK_OFF_S[1])

    @property
    def _address(self) -> str:
        return f"{self._config.host}:{self._config.port}"

    def _tell(self, text: str) -> None:
        """Once for each new text: a broker that stays away does not fill the log."""
        if text != self._told:
            log.warning("%s; trying again", text)
            self._told = text

    def _try_other_version(self, error: Exception) -> bool:
        """Whether to try 3.1.1 at once: the broker refused v5. One that fell silent is tried in turns.

        A version that has worked once is kept: a broker that is merely away is not spoken down to.
        """
        if self._protocol_proven:
            return False
        refused = "Unsupported protocol version" in str(error)
        if refused or "timed out" in str(error):
            self._protocol = V311 if self._protocol is V5 else V5
        if refused and self._protocol is V311:
            log.info("%s does not speak MQTT v5, using 3.1.1", self._address)
            return True
        return False

    def _client(self) -> aiomqtt.Client:
        config = self._config
        password = None
        if config.password_file is not None:
            password = config.password_file.read_text(encoding="utf-8").strip()
        will = aiomqtt.Will(f"{self._prefix}/availability", "offline", qos=1, retain=True)
        return aiomqtt.Client(
            config.host or "127.0.0.1",
            config.port,
            username=config.username,
            password=password,
            identifier=self._identifier,
            protocol=self._protocol,
            will=will,
            keepalive=KEEPALIVE_S,
            timeout=ANSWER_WITHIN_S,
            tls_context=ssl.create_default_context() if config.tls else None,
            max_queued_outgoing_messages=100,
            max_inflight_messages=20,
        )

    async def _session(self) -> None:
        async with self._client() as client:
            self._was_connected = self.connected = self._protocol_proven = True
            self._told = None
            log.info("connected to %s, topics %s/#", self._address, self._prefix)
            availability = f"{self._prefix}/availability"
            await client.publish(availability, "online", qos=1, retain=True)
            try:
                await self._publish_newest(client)
            except asyncio.CancelledError:
                async with asyncio.timeout(GOODBYE_WITHIN_S):
                    await client.publish(availability, "offline", qos=1, retain=True)
                raise

    async def _publish_newest(self, client: aiomqtt.Client) -> None:
        loop = asyncio.get_running_loop()
        devices_at_s, health = float("-inf"), ""
        while True:
            await self._box.bell.wait()
            self._box.bell.clear()
            cycle = self._box.newest
            if cycle is None:
                continue
            began_s = loop.time()
            state = state_message(self._dispatch, cycle)
            await client.publish(f"{self._prefix}/state", state.model_dump_json(), qos=0, retain=True)
            self._published_seq = cycle.seq
            self._published.set()
            changed = ",".join(f"{one.id}{one.well}{one.error}{one.write_error}" for one in cycle.stations)
            if began_s - devices_at_s >= DEVICES_EVERY_S or changed != health:
                devices_at_s, health = began_s, changed
                for device in device_messages(cycle):
                    topic = f"{self._prefix}/device/{device.id}"
                    await client.publish(topic, device.model_dump_json(), qos=0, retain=True)
            if cycle.decision.mode is not Mode.STOPPED:
                await asyncio.sleep(max(STATE_EVERY_S * 0.9 - (loop.time() - began_s), 0.0))
