"""Orders to one unit: take it over, change the order, keep its lease alive, sign it off, hand it back."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence

from drivers.control import Control, Steps, change, held, release, take
from drivers.device import DeviceError
from drivers.guard import Guard, GuardError
from drivers.modbus.polling import Poller
from drivers.modbus.signoff import TEXT, Outcome, SignOff
from drivers.profile.codec import register_writes
from drivers.profile.model import DeviceProfile, Write
from drivers.registers import Value, decode


class Orders:
    """What we ordered one unit to do, and whether that is still in force there."""

    def __init__(self, poller: Poller, control: Control) -> None:
        self._poller = poller
        self._control = control
        self._evidence = control.evidence()
        profile = poller.profile
        lease = profile.lease
        self._lease_s = math.inf if lease is None or lease.seconds is None else lease.seconds
        self._refresh_s = math.inf if lease is None else self._lease_s * lease.refresh
        if lease is not None and lease.repeat_s is not None:
            self._refresh_s = lease.repeat_s
        self._sign_off = SignOff(control, profile.response, profile.role)
        self.budgets = {
            point.address: Guard(0.0, 0.0, point.writes_per_day)
            for one in (profile, *profile.variants.values())
            for point in one.points.values()
            if point.writes_per_day is not None
        }
        """The write budget of each register that wears out, by its address."""
        self._taken_over_on: int | None = None
        self._released_on: int | None = None
        self._newest: tuple[Write, ...] = ()
        self._order_w = 0.0
        self._changed_at_s = -math.inf
        self._found: dict[str, float] = {}
        self._said: dict[str, Value] = {}
        self._began_at_s = -math.inf
        self._all_said_at_s = -math.inf
        self._done_at_s = -math.inf
        self._failed_at_s = -math.inf
        self._judged_at_s = self._measured_at_s = -math.inf
        self.writes_by_register: Counter[int] = Counter()
        """How often each register was written since the start, by its address."""

    @property
    def taken(self) -> bool:
        """Whether an order of ours may be in force."""
        return self._taken_over_on is not None

    @property
    def outcome(self) -> Outcome:
        """What became of the newest order."""
        return self._sign_off.outcome

    @property
    def _profile(self) -> DeviceProfile:
        return self._poller.profile

    def held_w(self, values: dict[str, Value]) -> float | None:
        """The order that the device says it holds."""
        return held(self._control, values)

    def judge(self, taken_at_s: float, values: dict[str, Value], power_w: float) -> None:
        """Compare what was ordered with a new reading: its registers, if read anew, and its power."""
        if self._sign_off.yielding_s(taken_at_s) > 0:
            self._judge_while_yielding(taken_at_s, values)
            return
        if (
            self._taken_over_on != self._poller.link.connects
            or taken_at_s - self._began_at_s >= self._lease_s
        ):
            return
        read_at_s = self._read_back_at_s()
        if read_at_s > max(self._done_at_s, self._judged_at_s):
            self._judged_at_s = read_at_s
            self._sign_off.read_back(values)
        if taken_at_s > max(self._done_at_s, self._measured_at_s):
            self._measured_at_s = taken_at_s
            self._sign_off.measured(taken_at_s, power_w)

    def _judge_while_yielding(self, taken_at_s: float, values: dict[str, Value]) -> None:
        read_at_s = self._read_back_at_s()
        if read_at_s > self._judged_at_s:
            self._judged_at_s = read_at_s
            self._sign_off.seen_while_yielding(taken_at_s, values)

    async def put(self, order_w: float, deadline_s: float) -> None:
        """Make this the order, in as few writes as its lease and what the device holds now allow.

        After a failure the next order takes the device over from the start. DeviceError while another
        controller is given way to.
        """
        connects = await self._poller.ready(deadline_s, fresh=self._control.measured)
        now_s = _now_s()
        values = self._poller.values(now_s)
        order_w = self._in_its_time(order_w, now_s)
        self._remember_own_program(values)
        try:
            # A style with a direction goes by what the device holds, the others by what it measures.
            held_now = values if self._control.direction is None else self._known(values)
            newest = register_writes(self._profile, change(self._control, order_w, held_now), values)
            taking_over = not self._in_force(connects, now_s)
            if taking_over:
                self._insist(now_s)
                writes = register_writes(self._profile, take(self._control, order_w, values), values)
            elif now_s - self._all_said_at_s >= self._refresh_s:
                writes = newest
            else:
                writes = self._news(newest)
                waits = order_w != 0 and now_s - self._changed_at_s < self._control.change_s
                if not writes or waits:  # an order in A moves with the voltage; that can wait too
                    return
        except ValueError as error:
            raise DeviceError(f"{self._poller.device_id}: {error}") from None
        due = self._due(writes, to_rest=order_w == 0)
        self._taken_over_on = self._released_on = None
        self._order_w = order_w
        if due:
            self._changed_at_s = now_s
        await self._write(due, connects, deadline_s)
        self._taken_over_on, self._newest = connects, newest
        before = values if taking_over else self._said
        self._said = ({} if taking_over else self._said) | self._as_read_back(writes, values)
        self._began_at_s, self._done_at_s = now_s, _now_s()
        if taking_over or len(writes) == len(newest):
            self._all_said_at_s = now_s
        expected = {name: self._said[name] for name in self._evidence if self._readable(name)}
        self._sign_off.ordered(self._done_at_s, order_w, expected, before)
        if taking_over and expected:
            await self._poller.read_back(deadline_s)
            self._sign_off.read_back(self._poller.values(_now_s()), at_once=True)

    def _in_its_time(self, order_w: float, now_s: float) -> float:
        """What may be ordered now of a device whose settings wear out: rest always, another power later."""
        if order_w == 0 or now_s - self._changed_at_s >= self._control.change_s:
            return order_w
        return self._order_w

    def _remember_own_program(self, values: dict[str, Value]) -> None:
        """What to restore one day, from before the first order; nothing that may be an order of ours."""
        if not self._control.restore_found or self._found or self._newest or self.held_w(values) is not None:
            return
        for name, _ in self._control.restore:
            value = values.get(name)
            if isinstance(value, float):
                self._found[name] = value

    def _release_steps(self) -> Steps:
        return tuple((name, self._found.get(name, value)) for name, value in release(self._control))

    def _news(self, newest: Sequence[Write]) -> tuple[Write, ...]:
        """What of these the registers do not hold yet; all, where a change counts only with its enable."""
        held_now, news = _words(self._newest), []
        for write in newest:
            if held_now.get((write.address, write.keep)) != write.words:
                news.append(write)
            held_now[write.address, write.keep] = write.words
        return tuple(newest) if news and self._control.enable_each_time else tuple(news)

    async def hand_back(self, deadline_s: float) -> None:
        """Release the device and read that back, where it can be; DeviceError if it does not confirm."""
        connects = await self._poller.identified(deadline_s)
        values = self._poller.values(_now_s())
        try:
            writes = register_writes(self._profile, self._release_steps(), values)
        except ValueError as error:
            raise DeviceError(f"{self._poller.device_id}: {error}") from None
        due = self._due(writes, to_rest=True)
        self._taken_over_on = None
        self._sign_off.released()
        self._order_w = 0.0
        await self._write(due, connects, deadline_s)
        self._said |= self._as_read_back(writes, values)
        self._done_at_s = _now_s()
        if writes:
            await self._confirm(writes[0], deadline_s)
        self._released_on = connects

    async def hand_back_once(self, deadline_s: float) -> None:
        """As `hand_back`, but nothing if that was done on this connection and nothing ordered since."""
        if self._released_on is None or self._released_on != self._poller.link.connects:
            await self.hand_back(deadline_s)

    async def _confirm(self, first: Write, deadline_s: float) -> None:
        """Read back the first step of a release: it is the one that ends our order."""
        poller = self._poller
        point = self._profile.points[first.points[0]]
        if not point.readable:
            return
        unit = poller.unit if point.unit_id is None else point.unit_id
        try:
            reply = await poller.link.read(unit, point.kind, point.address, point.encoding.words, deadline_s)
        except DeviceError as error:
            raise DeviceError(f"{poller.device_id}: the release is not confirmed: {error}") from None
        if tuple(word & ~first.keep for word in reply.words) != first.words[: point.encoding.words]:
            found = decode(point.encoding, reply.words)
            raise DeviceError(
                f"{poller.device_id}: the release is not confirmed: {point.name} reads back {found}"
            )

    def _insist(self, now_s: float) -> None:
        """Only so often is an order written again that the device does not keep."""
        sign_off, device_id = self._sign_off, self._poller.device_id
        left_s = sign_off.yielding_s(now_s)
        if left_s > 0 or (sign_off.disputed and not sign_off.may_rewrite(now_s)):
            self._taken_over_on = None
            why = TEXT.get(sign_off.outcome, TEXT["foreign"])
            raise DeviceError(
                f"{device_id}: {why} ({sign_off.outcome}); given way to it, "
                f"next try in {sign_off.yielding_s(now_s):.0f} s"
            )

    def _in_force(self, connects: int, now_s: float) -> bool:
        """Whether the device still holds our order, as far as can be known: else it is taken over anew."""
        in_time = self._taken_over_on == connects and now_s - self._began_at_s < self._lease_s
        return in_time and not self._sign_off.disputed

    def _known(self, values: dict[str, Value]) -> dict[str, Value]:
        """What the device holds: what was read, and what was written since; not what may have failed."""
        known = dict(values)
        newest_s = max(self._done_at_s, self._failed_at_s)
        for name, point in self._profile.points.items():
            if not point.writable or self._poller.read_at_s(name) > newest_s:
                continue
            if self._failed_at_s > self._done_at_s:
                known.pop(name, None)
            elif name in self._said:
                known[name] = self._said[name]
        return known

    def _read_back_at_s(self) -> float:
        """When the registers that show an order were last read, all of them."""
        times = [self._poller.read_at_s(one) for one in self._evidence if self._readable(one)]
        return min(times, default=-math.inf)

    def _readable(self, name: str) -> bool:
        point = self._profile.points[name]
        return point.readable and name in self._said

    def _as_read_back(self, writes: Sequence[Write], values: dict[str, Value]) -> dict[str, Value]:
        """What was written as it will read back, after rounding to the registers' steps."""
        found: dict[str, Value] = {}
        for write in writes:
            for name, words in self._parts(write):
                point = self._profile.points[name]
                power = 0.0 if point.power_of is None else values.get(point.power_of)
                found[name] = decode(point.encoding, words, power if isinstance(power, float) else None)
        return found

    def _parts(self, write: Write) -> Sequence[tuple[str, tuple[int, ...]]]:
        """The points in one request, each with its words."""
        points = [self._profile.points[name] for name in write.points]
        offset = write.address
        return [(p.name, write.words[p.address - offset : p.end - offset]) for p in points]

    def _due(self, writes: Sequence[Write], *, to_rest: bool) -> tuple[Write, ...]:
        """Those of the writes that are needed, paid for; DeviceError, and nothing written, if not all can be.

        A register that wears out is not written with what it holds already.
        """
        if not self.budgets:
            return tuple(writes)
        known = self._known(self._poller.values(_now_s()))
        due = tuple(write for write in writes if not self._stands(write, known))
        for name in (name for write in due for name in write.points):
            budget = self.budgets.get(self._profile.points[name].address)
            if budget is not None:
                try:
                    budget.spend_write(_now_s(), to_rest=to_rest)
                except GuardError as error:
                    # Not the guard's verdict on an order: the device stays as it is, and nothing is wrong.
                    raise DeviceError(f"{self._poller.device_id}: {name}: {error}") from None
        return due

    async def _write(self, writes: Sequence[Write], connects: int, deadline_s: float) -> None:
        self._failed_at_s = math.inf  # until all is written
        try:
            await self._write_all(writes, connects, deadline_s)
        finally:
            self._failed_at_s = _now_s()
        self._failed_at_s = -math.inf

    async def _write_all(self, writes: Sequence[Write], connects: int, deadline_s: float) -> None:
        poller = self._poller
        for write in writes:
            if poller.link.connects != connects:
                raise DeviceError(f"{poller.device_id}: the connection was lost in the middle of an order")
            unit = poller.unit if write.unit_id is None else write.unit_id
            self.writes_by_register.update(self._profile.points[name].address for name in write.points)
            try:
                words = write.words
                if write.keep:
                    beside = await poller.link.read(unit, "holding", write.address, 1, deadline_s)
                    words = (beside.words[0] & write.keep | words[0],)
                await poller.link.write(
                    unit, write.address, words, deadline_s, single=write.single, on_connect=connects
                )
            except DeviceError as error:
                raise DeviceError(f"{poller.device_id}: {error}") from None
        if poller.link.connects != connects:
            raise DeviceError(f"{poller.device_id}: the connection was lost in the middle of an order")

    def _stands(self, write: Write, known: dict[str, Value]) -> bool:
        """Whether registers that wear out hold these words already."""
        if not any(self._profile.points[name].writes_per_day for name in write.points):
            return False
        said = self._as_read_back([write], known)
        return all(name in known and known[name] == value for name, value in said.items())


def _words(writes: Sequence[Write]) -> dict[tuple[int, int], tuple[int, ...]]:
    """What the registers (or our bits of them) hold in the end: a turn goes through 0 W only once."""
    return {(write.address, write.keep): write.words for write in writes}


def _now_s() -> float:
    return asyncio.get_running_loop().time()
