"""The connection to the broker. Publishes what is in the outbox, hands on what comes in.

Everything goes out with QoS 1, one letter after the other: what the broker has not confirmed within
`ANSWER_WITHIN_S` ends the session, so a broker that is frozen or drowning is noticed at once, nothing piles
up, and no task but this one waits. MQTT v5 first; a broker that refuses it is spoken to in 3.1.1.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from controller.backfill import Backlog
from controller.mqtt_access import client_context, password_of
from controller.mqtt_client import MOST_TOLD, Inbox, SiteClient, is_refusal, publish_properties
from controller.outbox import REPEAT_S, Letter, Outbox
from controller.site_mqtt import MqttConfig, discovery_topic

log = logging.getLogger("penstock.mqtt")

KEEPALIVE_S = 15
ANSWER_WITHIN_S = 5.0
GOODBYE_WITHIN_S = 1.0
SWEEP_S = 1.0
"""So long retained messages of an earlier run are looked for after connecting."""
MOST_PACKET_BYTES = 1024 * 1024
"""A v5 broker is told to keep what is larger: of that nothing can be said."""
DELIVERED_AT_ONCE = 20
DELIVER_EVERY_S = 1.0
LOOK_EVERY_S = 15.0
"""Of an outage twenty minutes a second are delivered: a week in less than nine minutes."""
BACK_OFF_S = (1.0, 25.0)
"""First and longest wait before connecting again, doubled each time, plus up to 20 % (fault catalogue, D03:
never more than one session a second). With the time to connect, the site is back within 35 s."""
ANOTHER_OF_US = 142
"""The reason of a v5 broker to send one client away when a second one comes with its name."""
SETTLED_AFTER_S = 10.0
"""A session that lasted so long was a good one: the next wait is the shortest again."""

LOGIN_REFUSED = ("Not authorized", "Bad user name")

V5, V311 = aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message that came in. `response_topic` and `correlation` are what a v5 client asked to be answered
    with; `retained` is how the broker marked it."""

    topic: str
    payload: bytes
    retained: bool = False
    response_topic: str = ""
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Hearing:
    """A topic filter, and who is told what comes there; must not wait for anything, nor work for long."""

    topics: str
    told: Callable[[Inbound], None]


class MqttLink:
    """The site's one connection to its broker: connects, publishes, listens, and connects again."""

    def __init__(
        self,
        site: str,
        config: MqttConfig,
        outbox: Outbox,
        hearings: Sequence[Hearing] = (),
        backlog: Backlog | None = None,
    ) -> None:
        self._site = site
        self._config = config
        self._outbox = outbox
        self._hearings = hearings
        self._backlog = backlog
        self._availability = f"{outbox.prefix}/availability"
        self._identifier = f"penstock-{site}"
        self._protocol = V311 if config.only_v311 else V5
        self._protocol_proven = config.only_v311
        self._told: str | None = None
        self._unsaid: set[str] = set()
        # Spreads reconnects of many sites after a broker's restart; nothing else depends on it.
        self._jitter = random.Random(site)
        # paho and aiomqtt warn of each message that a flood makes them drop.
        self._quiet = logging.getLogger("penstock.mqtt.client")
        self._quiet.setLevel(logging.CRITICAL)
        self.connected = False

    async def run(self) -> None:
        """Connect, publish, connect again: until cancelled; says `offline` on the way out."""
        loop = asyncio.get_running_loop()
        wait_s = BACK_OFF_S[0]
        while True:
            began_s = loop.time()
            try:
                await self._session()
            except (aiomqtt.MqttError, OSError) as error:
                if self._try_other_version(error):
                    continue
                refused = any(word in str(error) for word in LOGIN_REFUSED)
                hint = "; see username and password_file in [mqtt]" if refused else ""
                self._tell(f"no connection to {self._address}: {error}{hint}")
            finally:
                self.connected = False
            if loop.time() - began_s > SETTLED_AFTER_S and self._protocol_proven:
                wait_s = BACK_OFF_S[0]
            await asyncio.sleep(wait_s * self._jitter.uniform(1.0, 1.2))
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

    def _client(self) -> SiteClient:
        config = self._config
        properties = None
        if self._protocol is V5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho left it out
            properties.MaximumPacketSize = MOST_PACKET_BYTES
        return SiteClient(
            config.host or "127.0.0.1",
            config.port,
            username=config.username,
            password=password_of(config),
            identifier=self._identifier,
            protocol=self._protocol,
            properties=properties,
            will=aiomqtt.Will(self._availability, "offline", qos=1, retain=True),
            keepalive=KEEPALIVE_S,
            timeout=ANSWER_WITHIN_S,
            tls_context=client_context(config),
            logger=self._quiet,
            queue_type=Inbox,
            max_queued_outgoing_messages=100,
            max_inflight_messages=20,
        )

    async def _session(self) -> None:
        client = self._client()
        try:
            await self._connected_session(client)
        except aiomqtt.MqttError:
            if client.sent_away is None:
                raise
            raise aiomqtt.MqttError(self._why(client.sent_away)) from None
        finally:
            client.close()

    def _why(self, sent_away: ReasonCode) -> str:
        if sent_away.value == ANOTHER_OF_US:
            return f"it has another client {self._identifier}: is there a second controller of this site?"
        return f"it sent us away: {sent_away}"

    async def _connected_session(self, client: SiteClient) -> None:
        async with client:
            self._protocol_proven = True
            # Commands are heard before anybody is told that there is somebody to hear them.
            await self._subscribe(client)
            await self._say(client, Letter(self._availability, b"online", retain=True))
            # Said again now and then: the last will of a connection that died before may come after it.
            self._outbox.put_at(self._availability, b"online", repeat_s=REPEAT_S)
            self.connected, self._told = True, None
            log.info("connected to %s, topics %s/#", self._address, self._outbox.prefix)
            self._outbox.start_over()
            try:
                await self._talk(client)
            except asyncio.CancelledError:
                # A broker that does not take the goodbye tells the last will by itself.
                with suppress(TimeoutError, aiomqtt.MqttError, OSError):
                    async with asyncio.timeout(GOODBYE_WITHIN_S):
                        await self._say(client, Letter(self._availability, b"offline", retain=True))
                raise

    async def _talk(self, client: SiteClient) -> None:
        """Publish and listen until the connection ends; raises why."""
        # No task group: one that has an error to tell forgets a cancellation that came with it.
        work = [self._listen(client), self._publish(client), self._sweep(client)]
        if self._backlog is not None:
            work.append(self._deliver(client, self._backlog))
        tasks = [asyncio.create_task(one) for one in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            await task

    async def _publish(self, client: SiteClient) -> None:
        loop = asyncio.get_running_loop()
        while True:
            letter = await self._outbox.next_letter()
            await self._say(client, letter)
            self._outbox.sent(letter, loop.time())

    async def _say(self, client: SiteClient, letter: Letter) -> None:
        """Publish one letter; one that the broker does not take is said so, once, and let go.

        To send one that is too large would end the session, and each one after it.
        """
        if not client.fits(letter):
            self._tell_unsaid(letter, f"takes no more than {client.largest_bytes} bytes")
            return
        code = await client.say(letter, publish_properties(letter) if self._protocol is V5 else None)
        if is_refusal(code):
            self._tell_unsaid(letter, f"refuses it with reason {code}: see its access list")
        elif self._unsaid:
            self._unsaid.discard(_kind(letter.topic))

    def _tell_unsaid(self, letter: Letter, why: str) -> None:
        """Once for each topic, until it is taken again."""
        if _kind(letter.topic) not in self._unsaid and len(self._unsaid) < MOST_TOLD:
            self._unsaid.add(_kind(letter.topic))
            log.error("%s: %d bytes not said, %s %s", letter.topic, len(letter.payload), self._address, why)

    async def _deliver(self, client: SiteClient, backlog: Backlog) -> None:
        """What the broker did not hear while it was away, the oldest first and not in one rush."""
        topic = self._outbox.topic("backfill")
        while True:
            rows = await backlog.oldest(DELIVERED_AT_ONCE)
            for _, payload in rows:
                await self._say(client, Letter(topic, payload))
            if rows:
                await backlog.delivered(rows)
            await asyncio.sleep(DELIVER_EVERY_S if rows else LOOK_EVERY_S)

    async def _subscribe(self, client: SiteClient) -> None:
        for hearing in self._hearings:
            # v5 brokers tell by this option also of a message published just now whether it is retained.
            if self._protocol is V5:
                options = SubscribeOptions(qos=1, retainAsPublished=True)
                granted = await client.subscribe(hearing.topics, options=options)
            else:
                granted = await client.subscribe(hearing.topics, qos=1)
            if any(is_refusal(one) for one in granted):
                log.error("%s does not let us hear %s: see its access list", self._address, hearing.topics)

    async def _listen(self, client: SiteClient) -> None:
        loop = asyncio.get_running_loop()
        async for message in client.messages:
            inbound = _inbound(message)
            heard = [one for one in self._hearings if message.topic.matches(one.topics)]
            for hearing in heard:
                # As a callback: should a hearer fail, the loop logs that, and nothing else ends of it.
                loop.call_soon(hearing.told, inbound)
            if not heard and inbound.retained and inbound.payload:
                self._remove_if_old(inbound.topic)

    async def _sweep(self, client: SiteClient) -> None:
        """Look for what an earlier run, with another site file, has left retained under our prefix."""
        await self._outbox.spoken.wait()
        prefix = self._outbox.prefix
        # The last one: the discovery document, when Home Assistant was looked for under another prefix.
        filters = [f"{prefix}/+", f"{prefix}/device/+", discovery_topic("+", self._site)]
        for one in filters:
            await client.subscribe(one)
        await asyncio.sleep(SWEEP_S)
        await client.unsubscribe(filters)

    def _remove_if_old(self, topic: str) -> None:
        if topic != self._availability and topic not in self._outbox.topics:
            log.info("%s is of an earlier site file; removed from the broker", topic)
            self._outbox.put_at(topic, b"")


def _kind(topic: str) -> str:
    """The topic, and for all answers to commands the one of them all."""
    before, reply, _ = topic.partition("/reply/")
    return before + reply


def _inbound(message: aiomqtt.Message) -> Inbound:
    properties = message.properties
    return Inbound(
        str(message.topic),
        bytes(message.payload),
        bool(message.retain),
        getattr(properties, "ResponseTopic", ""),
        getattr(properties, "CorrelationData", None),
    )
