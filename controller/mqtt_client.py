"""aiomqtt as this program needs it: an end that is certain, what a broker refuses, a bounded inbox.

Only this file and `mqtt.py` know aiomqtt.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from typing import Any, TypeVar

import aiomqtt
from paho.mqtt.client import MQTT_ERR_SUCCESS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from controller.outbox import Letter

log = logging.getLogger("penstock.mqtt")

MOST_INCOMING = 200
MOST_INCOMING_BYTES = 2 * 1024 * 1024
LARGEST_INCOMING_BYTES = 256 * 1024
"""Awaited are commands, prices and forecasts: a week of quarter hours has less than 100 kB."""
MOST_TOLD = 100
REFUSED_FROM = 128
"""From this reason on a broker has refused what it was asked, in v5 and 3.1.1."""

Result = TypeVar("Result")


class SiteClient(aiomqtt.Client):
    """One connection. `largest_bytes` is the largest packet the broker takes, None when it does not say.

    `sent_away` is why a v5 broker ended it, once it has said so; 3.1.1 has no word for that.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.largest_bytes: int | None = None
        self.sent_away: ReasonCode | None = None
        self._awaited: dict[int, asyncio.Future[int]] = {}
        # aiomqtt keeps the reason of a lost connection in a future that nobody may ever ask.
        self._disconnected.add_done_callback(_noted)

    async def say(self, letter: Letter, properties: Properties | None = None) -> int:
        """Publish with QoS 1 and wait for the broker's word on it, its reason code; MqttError without one."""
        info = self._client.publish(letter.topic, letter.payload, 1, letter.retain, properties)
        if info.rc != MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish message")
        answer: asyncio.Future[int] = self._loop.create_future()
        self._awaited[info.mid] = answer
        try:
            return await self._wait_for(answer)
        finally:
            del self._awaited[info.mid]

    def fits(self, letter: Letter) -> bool:
        """Whether the broker takes a packet of this size; what goes around a payload is taken at its most."""
        around = 16 + len(letter.topic.encode()) + len(letter.correlation or b"")
        return self.largest_bytes is None or around + len(letter.payload) <= self.largest_bytes

    def close(self) -> None:
        """aiomqtt leaves the socket open of a connection that never came about.

        A broker that wakes up later would then take that one for us, and throw out the one that is.
        """
        self._client._sock_close()

    async def _wait_for(self, fut: Awaitable[Result], *_: Any, **__: Any) -> Result:
        """`asyncio.wait_for` of Python 3.11 forgets a cancellation that comes together with the answer.

        Nobody asks for another time than that of the client.
        """
        try:
            async with asyncio.timeout(self.timeout):
                return await fut
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None

    def _on_connect(
        self, client: Any, userdata: Any, flags: Any, reason_code: ReasonCode, properties: Any = None
    ) -> None:
        self.largest_bytes = getattr(properties, "MaximumPacketSize", None)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self, client: Any, userdata: Any, flags: Any, reason_code: ReasonCode, properties: Any = None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self.sent_away = reason_code
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self, client: Any, userdata: Any, mid: int, reason_code: ReasonCode, properties: Any
    ) -> None:
        answer = self._awaited.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(reason_code.value)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        """aiomqtt hands a file number to the loop for its next turn: by then it may be somebody else's.

        Or all was written, and a writer that is left behind is in the way of whoever gets the number next.
        """

        def write() -> None:
            try:
                self._client.loop_write()
            except (OSError, ValueError) as error:
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)

        def add() -> None:
            if sock.fileno() >= 0 and self._client._registered_write:
                self._loop.add_writer(sock.fileno(), write)

        self._loop.call_soon_threadsafe(add)


class Inbox(asyncio.Queue[aiomqtt.Message]):
    """What came and was not heard yet: when it is full, the oldest of the same topic gives way to the newest.

    aiomqtt itself would let the newest go, and after a rush an old command would be the last one heard.
    What is larger than anything that is awaited does not come in.
    """

    _queue: deque[aiomqtt.Message]

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self._bytes = 0
        self._told: set[str] = set()

    def _put(self, item: aiomqtt.Message) -> None:
        size, waiting = len(item.payload), self._queue
        if size > LARGEST_INCOMING_BYTES:
            self._tell(item.topic.value, size)
            return
        while len(waiting) >= MOST_INCOMING or (waiting and self._bytes + size > MOST_INCOMING_BYTES):
            same = (at for at, one in enumerate(waiting) if one.topic.value == item.topic.value)
            at = next(same, 0)
            self._bytes -= len(waiting[at].payload)
            del waiting[at]
        self._bytes += size
        waiting.append(item)

    def _get(self) -> aiomqtt.Message:
        item = self._queue.popleft()
        self._bytes -= len(item.payload)
        return item

    def _tell(self, topic: str, size: int) -> None:
        """Once for each topic."""
        if topic not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(topic)
            log.warning("%s: %d bytes; %d are the most, refused", topic, size, LARGEST_INCOMING_BYTES)


def publish_properties(letter: Letter) -> Properties | None:
    """What goes with a letter in v5, if anything does."""
    if letter.correlation is None:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho left it out
    properties.CorrelationData = letter.correlation
    return properties


def is_refusal(granted: int | ReasonCode) -> bool:
    """Whether a broker has refused a subscription or publication."""
    return (granted if isinstance(granted, int) else granted.value) >= REFUSED_FROM


def _noted(ended: asyncio.Future[None]) -> None:
    """Somebody has seen how it ended, so asyncio need not complain of it."""
    if not ended.cancelled():
        ended.exception()
