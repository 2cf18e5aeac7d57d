"""Orders over a restart: limits, settings and a stop come back; a setpoint has ended.

What the grid operator or the owner has restricted is not widened by a power cut. A setpoint is for the next
minute, is given again by whoever gave it, and is not worth a write to the disk each time.

An order is kept with its end by the wall clock and with the time that it had left when it was last saved.
The end tells how long the power was off, and only between two clocks that can be trusted; even these may have
been set meanwhile, so that an order never holds for longer than it had left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controller.orderbook import FOREVER_S, Lease, OrderBook
from controller.state_file import KeptOrder

NOT_WRITTEN = frozenset({"setpoint"})
NOT_KEPT = NOT_WRITTEN | {"inject", "clear_fault"}
"""That they were given is written down, but there is nothing in them to come back."""


def kept_orders(book: OrderBook, now_s: float, utc_s: float | None, trusted: bool) -> list[KeptOrder]:
    """All orders that shall come back, with their end by the wall clock."""
    found = [
        _kept(f"{name}.{key}", value, FOREVER_S, utc_s, trusted)
        for name, values in book.settings.items()
        for key, value in values.items()
    ]
    return found + [
        _kept(f"{name}.{key}", value, lease.ends_at_s - now_s, utc_s, trusted)
        for name, lease in book.leases.items()
        if name not in NOT_KEPT
        for key, value in lease.values.items()
    ]


def later(
    orders: Iterable[KeptOrder], passed_s: float, utc_s: float | None, trusted: bool
) -> tuple[KeptOrder, ...]:
    """The same orders when so much time has passed, by the wall clock of then; without those that ended."""
    return _holding([(one, one.left_s - passed_s) for one in orders], utc_s, trusted)


def resumed(orders: Iterable[KeptOrder], utc_s: float | None, trusted: bool) -> tuple[KeptOrder, ...]:
    """What was kept before a restart and has not ended meanwhile."""

    def left_s(one: KeptOrder) -> float:
        if not (trusted and one.trusted):
            return one.left_s
        return min(one.left_s, one.expires_utc_s - (utc_s or 0.0))

    return _holding([(one, left_s(one)) for one in orders], utc_s, trusted)


def restore(
    book: OrderBook, orders: Sequence[KeptOrder], now_s: float, utc_s: float | None, trusted: bool
) -> None:
    """Put back what has not ended meanwhile."""
    for order in resumed(orders, utc_s, trusted):
        name, _, key = order.name.partition(".")
        if order.left_s >= FOREVER_S:
            book.settings.setdefault(name, {})[key] = order.value
            continue
        values = dict(book.leases[name].values) if name in book.leases else {}
        book.leases[name] = Lease({**values, key: order.value}, now_s + order.left_s)
    book.changed()


def _kept(
    name: str, value: float | bool | str, left_s: float, utc_s: float | None, trusted: bool
) -> KeptOrder:
    end_utc_s = FOREVER_S if left_s >= FOREVER_S else (utc_s or 0.0) + left_s
    return KeptOrder(name=name, value=value, expires_utc_s=end_utc_s, left_s=left_s, trusted=trusted)


def _holding(
    left: Iterable[tuple[KeptOrder, float]], utc_s: float | None, trusted: bool
) -> tuple[KeptOrder, ...]:
    """What has an end and is not over is kept anew; what has none stays as it is."""
    return tuple(
        one if one.left_s >= FOREVER_S else _kept(one.name, one.value, left_s, utc_s, trusted)
        for one, left_s in left
        if one.left_s >= FOREVER_S or left_s > 0.0
    )
