"""Where commands arrive: judges when and how often each came, has it carried out, answers within a second.

Nothing is applied twice, and at most one command a second of each kind. Of those that come faster the newest
is held back until its second has passed, so that the last word counts; in a flood the others are dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from controller.clock import WallClock
from controller.commands import COMMANDS, Command, RefusedError, parse
from controller.kept_orders import NOT_KEPT, NOT_WRITTEN, kept_orders
from controller.messages import EventMessage, ReplyMessage, Value
from controller.mqtt import Inbound
from controller.orderbook import OrderBook, Verdict
from controller.outbox import Letter, Outbox
from controller.state_file import KeptOrder
from controller.telemetry import iso

log = logging.getLogger("penstock.command")

APPLIED_EVERY_S = 1.0
REFUSED_EVERY_S = 0.1
OLDEST_S = 60.0
MOST_IDS = 1024
TOLD_A_MINUTE = 10
"""Refusals that are told as an event and in the log; all are answered."""
SUPERSEDED_ANSWERS = 5
LONGEST_RESPONSE_TOPIC = 256
KEPT_WITHIN_S = 0.7

Keep = Callable[[Sequence[KeptOrder], str, str, str], Awaitable[bool]]
"""Orders in force, the id of the command, who gave it, what it was: True once it is on the disk."""


@dataclass(slots=True)
class Gate:
    """One kind of command: when the next may be looked at, the newest that waits for that, and counts."""

    free_at_s: float = 0.0
    held: Inbound | None = None
    dropped: int = 0
    minute_s: float = float("-inf")
    told_in_minute: int = 0
    seq: int = -1
    issued_at_utc_s: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Answered:
    """What a command with this id said, and what was answered: it is answered so again, and not applied."""

    fingerprint: str
    reply: ReplyMessage


class Reception:
    """Hears every message on `command/+`."""

    def __init__(
        self, site: str, book: OrderBook, outbox: Outbox, clock: WallClock, keep: Keep | None = None
    ) -> None:
        self._site = site
        self._book = book
        self._outbox = outbox
        self._clock = clock
        self.keep = keep
        self._keeping: set[asyncio.Task[None]] = set()
        self.known_ids: frozenset[str] = frozenset()
        """Commands that were carried out before the restart."""
        self.answered: OrderedDict[str, Answered] = OrderedDict()
        self.gates: dict[str, Gate] = {name: Gate() for name in (*COMMANDS, "")}
        book.ended = self._ended

    @property
    def topics(self) -> str:
        """The filter of all commands."""
        return self._outbox.topic("command") + "/+"

    def hear(self, inbound: Inbound) -> None:
        """One message; never waits."""
        name = inbound.topic.rsplit("/", 1)[-1]
        gate = self.gates.get(name, self.gates[""])
        loop = asyncio.get_running_loop()
        if gate.held is not None:
            if gate.dropped < SUPERSEDED_ANSWERS:
                self._refuse(gate, gate.held, "a newer one came within the same second")
            gate.dropped += 1
            gate.held = inbound
        elif loop.time() < gate.free_at_s:
            gate.held = inbound
            loop.call_at(gate.free_at_s, self._take_held, gate)
        else:
            self._take(gate, inbound)

    def _take_held(self, gate: Gate) -> None:
        inbound, gate.held = gate.held, None
        if gate.dropped > SUPERSEDED_ANSWERS:
            self._note(
                gate, "warning", f"flood of commands: {gate.dropped} dropped", {"dropped": gate.dropped}
            )
        gate.dropped = 0
        if inbound is not None:
            self._take(gate, inbound)

    def _take(self, gate: Gate, inbound: Inbound) -> None:
        now_s = asyncio.get_running_loop().time()
        gate.free_at_s = now_s + REFUSED_EVERY_S
        name = inbound.topic.rsplit("/", 1)[-1]
        try:
            command = parse(name, inbound.payload, self._site)
        except RefusedError as error:
            self._answer(gate, inbound, error.id, Verdict("refused", str(error)))
            return
        fingerprint = hashlib.sha256(name.encode() + b"\0" + inbound.payload).hexdigest()
        before = self.answered.get(command.id)
        if inbound.retained:
            reason = "is retained: a broker would repeat it for ever; publish commands without retain"
            verdict = Verdict("refused", reason)
        elif before is not None and before.fingerprint == fingerprint:
            self._reply(inbound, before.reply)
            return
        elif before is not None:
            verdict = Verdict("refused", "its id was already used for another command")
        elif command.id in self.known_ids:
            verdict = Verdict("refused", "was already carried out, before a restart")
        else:
            verdict = self._carried_out(gate, command, now_s)
            if verdict.result != "refused":
                gate.free_at_s = now_s + APPLIED_EVERY_S
        reply = self._judged(gate, inbound, command.id, verdict)
        if before is None and not inbound.retained:
            self.answered[command.id] = Answered(fingerprint, reply)
            while len(self.answered) > MOST_IDS:
                self.answered.popitem(last=False)
        if self.keep is None or verdict.result == "refused" or command.name in NOT_WRITTEN:
            self._reply(inbound, reply)
            return
        keeping = asyncio.create_task(self._kept_then_answered(self.keep, inbound, reply, fingerprint))
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)

    async def _kept_then_answered(
        self, keep: Keep, inbound: Inbound, reply: ReplyMessage, fingerprint: str
    ) -> None:
        """What is said to be kept is on the disk; one that is slow or refuses does not delay the answer."""
        utc_s, local = self._clock()
        orders = kept_orders(self._book, asyncio.get_running_loop().time(), utc_s, local is not None)
        what = f"{reply.command} {reply.id}: {reply.result} {json.dumps(reply.in_force)}"
        try:
            async with asyncio.timeout(KEPT_WITHIN_S):
                kept = await keep(orders, reply.id, "mqtt", what)
        except TimeoutError:
            kept = False
        reply = reply.model_copy(update={"kept": kept and reply.command not in NOT_KEPT})
        if reply.id in self.answered:
            self.answered[reply.id] = Answered(fingerprint, reply)
        self._reply(inbound, reply)

    def _carried_out(self, gate: Gate, command: Command, now_s: float) -> Verdict:
        utc_s, local = self._clock()
        age_s = 0.0
        issued_utc_s = command.issued_at_utc_s
        newest_utc_s = gate.issued_at_utc_s
        if issued_utc_s is not None:
            # Without a trusted clock of our own only the order of commands can be judged.
            if local is not None and utc_s is not None:
                age_s = utc_s - issued_utc_s
                # One of the future was taken when our clock could not be trusted, and counts no more.
                newest_utc_s = newest_utc_s if newest_utc_s - utc_s <= OLDEST_S else float("-inf")
            oldest_s = min(OLDEST_S, command.valid_for_s or OLDEST_S)
            if age_s > oldest_s:
                return Verdict("refused", f"was issued {age_s:.0f} s ago, allowed are {oldest_s:g} s")
            if age_s < -OLDEST_S:
                return Verdict("refused", f"was issued {-age_s:.0f} s in the future: one clock is wrong")
            if issued_utc_s < newest_utc_s:
                return Verdict("refused", "was issued before one that was already applied")
        if command.seq is not None and command.seq <= gate.seq:
            return Verdict("refused", f"seq {command.seq} is not above the last one, {gate.seq}")
        left_s = None if command.valid_for_s is None else command.valid_for_s - max(age_s, 0.0)
        verdict = self._book.carry_out(command, None if left_s is None else now_s + left_s)
        if verdict.result == "refused":
            return verdict
        gate.seq = gate.seq if command.seq is None else command.seq
        gate.issued_at_utc_s = gate.issued_at_utc_s if issued_utc_s is None else issued_utc_s
        self.publish(now_s)
        holds = any(value is not None for value in verdict.in_force.values())
        return Verdict(
            verdict.result,
            verdict.reason,
            verdict.limited_by,
            verdict.in_force,
            left_s if holds else None,
        )

    def publish(self, now_s: float, every_s: float = 0.0) -> None:
        """Put what is in force into the outbox: at once when it has changed, else in its turn."""
        self._outbox.put("orders", self._book.message(self._at(), now_s), every_s=every_s)

    def _refuse(self, gate: Gate, inbound: Inbound, reason: str) -> None:
        try:
            command_id = parse(inbound.topic.rsplit("/", 1)[-1], inbound.payload, self._site).id
        except RefusedError as error:
            command_id, reason = error.id, str(error)
        self._answer(gate, inbound, command_id, Verdict("refused", reason))

    def _answer(self, gate: Gate, inbound: Inbound, command_id: str, verdict: Verdict) -> None:
        self._reply(inbound, self._judged(gate, inbound, command_id, verdict))

    def _judged(self, gate: Gate, inbound: Inbound, command_id: str, verdict: Verdict) -> ReplyMessage:
        name = inbound.topic.rsplit("/", 1)[-1]
        reply = ReplyMessage(
            at=self._at(),
            id=command_id,
            command=name if name in COMMANDS else "",
            result=verdict.result,
            reason=verdict.reason,
            limited_by=verdict.limited_by,
            in_force=dict(verdict.in_force),
            ends_in_s=verdict.ends_in_s,
            kept=False,
        )
        text = f"{reply.command or 'unknown command'} {reply.id}: {verdict.result}"
        data: dict[str, Value] = {"id": reply.id, "command": reply.command, "result": verdict.result}
        text = f"{text}: {verdict.reason}" if verdict.reason else text
        self._note(gate, "warning" if verdict.result == "refused" else "info", text, data)
        return reply

    def _reply(self, inbound: Inbound, reply: ReplyMessage) -> None:
        payload = reply.model_dump_json().encode()
        if reply.id:
            self._outbox.answer(Letter(self._outbox.topic(f"reply/{reply.id}"), payload))
        if inbound.response_topic and self._may_answer_on(inbound.response_topic):
            self._outbox.answer(Letter(inbound.response_topic, payload, correlation=inbound.correlation))

    def _may_answer_on(self, topic: str) -> bool:
        """Nobody shall make us publish where we are believed: our own topics, other sites, discovery."""
        if len(topic) > LONGEST_RESPONSE_TOPIC or any(sign in topic for sign in "#+\0"):
            return False
        if topic.startswith(f"{self._outbox.prefix}/reply/"):
            return True
        first = topic.split("/", 1)[0]
        return first not in ("", "penstock", "homeassistant") and not first.startswith("$")

    def _note(self, gate: Gate, level: Literal["info", "warning"], text: str, data: dict[str, Value]) -> None:
        """Tell it as an event and in the log; of refusals a few a minute: no flood shall go on there."""
        now_s = asyncio.get_running_loop().time()
        if level == "warning":
            if now_s - gate.minute_s >= 60.0:
                gate.minute_s, gate.told_in_minute = now_s, 0
            gate.told_in_minute += 1
            if gate.told_in_minute > TOLD_A_MINUTE:
                return
        log.log(logging.WARNING if level == "warning" else logging.INFO, "%s", text)
        self._outbox.tell(EventMessage(at=self._at(), kind="command", level=level, text=text, data=data))

    def _ended(self, name: str) -> None:
        self._note(self.gates[name], "info", f"{name}: has ended", {"command": name, "result": "ended"})
        self.publish(asyncio.get_running_loop().time())

    def _at(self) -> str | None:
        return iso(self._clock()[0])
