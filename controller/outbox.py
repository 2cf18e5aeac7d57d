"""What waits to be published: the newest message of each topic, and short queues for answers and events.

Whoever has something to say puts it here and goes on; nobody ever waits for the broker. `mqtt.py` takes
one letter after the other out, as fast as the broker confirms them.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from dataclasses import dataclass

from pydantic import BaseModel

log = logging.getLogger("penstock.mqtt")

REPEAT_S = 10.0
"""What does not change is said again after this time."""
STATE_EVERY_S = 1.0
MOST_TOPICS = 300
MOST_BYTES = 2 * 1024 * 1024
LARGEST_BYTES = 128 * 1024
MOST_EVENTS = 200
MOST_ANSWERS = 256
FOREVER_S = float("inf")
EARLY_SHARE = 0.1
"""A message that comes a little earlier than its turn, by the jitter of the beat, need not wait for it."""

_SUFFIX = re.compile(r"[a-z0-9_-]+(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True, slots=True)
class Letter:
    """One publication. `correlation` goes with an answer on the topic that a v5 command asked for."""

    topic: str
    payload: bytes
    retain: bool = False
    correlation: bytes | None = None


class _Slot:
    """The newest message of a topic; `due_s` is when it may go out, `repeat_s` when it is said again."""

    __slots__ = ("due_s", "every_s", "letter", "repeat_s", "sent_at_s", "waiting")

    def __init__(self, letter: Letter) -> None:
        self.letter = letter
        self.waiting = True
        self.every_s = FOREVER_S
        self.repeat_s = FOREVER_S
        self.sent_at_s = -FOREVER_S

    def next_s(self) -> float:
        return self.sent_at_s + (self.every_s * (1.0 - EARLY_SHARE) if self.waiting else self.repeat_s)


class Outbox:
    """All that one site has to say, bounded in number and size; the oldest event gives way, never an answer
    before 256 of them wait."""

    def __init__(self, site: str) -> None:
        self.prefix = f"penstock/{site}"
        self._slots: dict[str, _Slot] = {}
        self._expected: set[str] = set()
        self._events: deque[Letter] = deque(maxlen=MOST_EVENTS)
        self._answers: deque[Letter] = deque(maxlen=MOST_ANSWERS)
        self.spoken = asyncio.Event()
        """Set once everything that a cycle tells of is here."""
        self._bell = asyncio.Event()
        self._emptied = asyncio.Event()
        self._bytes = 0
        self._in_a_hurry = False

    @property
    def topics(self) -> frozenset[str]:
        """Every topic that has a message, or is going to have one."""
        return frozenset(self._slots) | self._expected

    def expect(self, suffix: str) -> None:
        """There will be a message on `penstock/<site>/<suffix>`: what is retained there is not old."""
        self._expected.add(self.topic(suffix))

    def put(
        self,
        suffix: str,
        message: BaseModel,
        *,
        every_s: float = STATE_EVERY_S,
        repeat_s: float = REPEAT_S,
    ) -> None:
        """Let this be the retained message of `penstock/<site>/<suffix>`; one that waits there is replaced.

        It goes out when it says something new, but no more often than `every_s`, and again after `repeat_s`.
        ValueError for a suffix that holds anything but names: a topic is never made of foreign text.
        """
        self.put_at(
            self.topic(suffix), message.model_dump_json().encode(), every_s=every_s, repeat_s=repeat_s
        )

    def put_at(
        self, topic: str, payload: bytes, *, every_s: float = 0.0, repeat_s: float = FOREVER_S
    ) -> None:
        """The same for a topic given in full, and for an empty payload, which removes what is retained."""
        slot = self._slots.get(topic)
        before = 0 if slot is None else len(slot.letter.payload)
        if (
            len(payload) > LARGEST_BYTES
            or self._bytes - before + len(payload) > MOST_BYTES
            or (slot is None and len(self._slots) >= MOST_TOPICS)
        ):
            log.error(
                "%s: %d bytes do not fit into what may wait for the broker; dropped", topic, len(payload)
            )
            return
        self._bytes += len(payload) - before
        letter = Letter(topic, payload, retain=True)
        if slot is None:
            slot = self._slots[topic] = _Slot(letter)
        # A message that waits already keeps its turn when one that is less urgent replaces it.
        slot.every_s = min(every_s, slot.every_s) if slot.waiting else every_s
        slot.waiting = slot.waiting or slot.letter.payload != payload
        slot.letter, slot.repeat_s = letter, repeat_s
        self._bell.set()

    def say_again(self, topic: str) -> bool:
        """Let what was said on this topic go out once more, in its turn; False if it was going to anyway."""
        slot = self._slots.get(topic)
        if slot is None or slot.waiting:
            return False
        slot.waiting = True
        self._bell.set()
        return True

    def forget(self, topic: str) -> None:
        """Say nothing more on this topic."""
        slot = self._slots.pop(topic, None)
        if slot is not None:
            self._bytes -= len(slot.letter.payload)

    def tell(self, message: BaseModel) -> None:
        """One more event; when too many wait for a broker that is away, the oldest is dropped."""
        self._events.append(Letter(self.topic("event"), message.model_dump_json().encode()))
        self._bell.set()

    def answer(self, letter: Letter) -> None:
        """An answer to a command: it goes before everything else."""
        self._answers.append(letter)
        self._bell.set()

    def topic(self, suffix: str) -> str:
        """The full topic; ValueError for a suffix that is not made of names."""
        if _SUFFIX.fullmatch(suffix) is None:
            raise ValueError(
                f"{suffix!r} is no topic; give names of letters, digits, - and _ between slashes"
            )
        return f"{self.prefix}/{suffix}"

    async def next_letter(self) -> Letter:
        """Wait for what has to go out next; it stays until `sent` is told of it."""
        loop = asyncio.get_running_loop()
        while True:
            now_s = loop.time()
            letter = self._due(now_s)
            if letter is not None:
                return letter
            self._emptied.set()
            self._bell.clear()
            at_s = min((slot.next_s() for slot in self._slots.values()), default=FOREVER_S)
            try:
                async with asyncio.timeout_at(at_s if at_s < FOREVER_S else None):
                    await self._bell.wait()
            except TimeoutError:
                pass

    def sent(self, letter: Letter, now_s: float) -> None:
        """The broker has it."""
        for queue in (self._answers, self._events):
            if queue and queue[0] is letter:
                queue.popleft()
                return
        slot = self._slots.get(letter.topic)
        if slot is None:
            return
        slot.sent_at_s = now_s
        slot.waiting = slot.letter.payload != letter.payload
        if not slot.letter.payload:
            self.forget(letter.topic)

    def start_over(self) -> None:
        """A new session: the broker may have lost all that was retained, so everything goes out again."""
        for slot in self._slots.values():
            slot.waiting, slot.sent_at_s = True, -FOREVER_S
        self._bell.set()

    async def emptied(self, within_s: float) -> bool:
        """Send all that waits without regard to its turn; False when that took longer than `within_s`."""
        self._in_a_hurry = True
        self._emptied.clear()
        self._bell.set()
        try:
            async with asyncio.timeout(within_s):
                await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    def _due(self, now_s: float) -> Letter | None:
        """Answers, then events, then the message that has been due longest."""
        for queue in (self._answers, self._events):
            if queue:
                return queue[0]
        due = [
            slot
            for slot in self._slots.values()
            if slot.next_s() <= now_s or (self._in_a_hurry and slot.waiting)
        ]
        return min(due, key=_Slot.next_s).letter if due else None
