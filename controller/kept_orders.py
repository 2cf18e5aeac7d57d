"""Orders over a restart: limits, settings and a stop come back; a setpoint has ended.

What the grid operator or the owner has restricted is not widened by a power cut. A setpoint is for the next
minute, is given again by whoever gave it, and is not worth a write to the disk each time.
"""

from __future__ import annotations

from collections.abc import Sequence

from controller.commands import LONGEST_S
from controller.orderbook import FOREVER_S, Lease, OrderBook
from controller.state_file import KeptOrder

NOT_KEPT = frozenset({"setpoint"})


def kept_orders(book: OrderBook, now_s: float, utc_s: float | None) -> list[KeptOrder]:
    """All orders that shall come back, with their end by the wall clock."""
    found = [
        KeptOrder(name=f"{name}.{key}", value=value, expires_utc_s=FOREVER_S)
        for name, values in book.settings.items()
        for key, value in values.items()
    ]
    return found + [
        KeptOrder(name=f"{name}.{key}", value=value, expires_utc_s=(utc_s or 0.0) + lease.ends_at_s - now_s)
        for name, lease in book.leases.items()
        if name not in NOT_KEPT
        for key, value in lease.values.items()
    ]


def restore(
    book: OrderBook, orders: Sequence[KeptOrder], now_s: float, utc_s: float | None, trusted: bool
) -> None:
    """Put back what has not ended meanwhile.

    While the clock cannot be trusted nobody knows how long we were gone: then an order that has an end holds
    for what it had left when the clock last stood so, a day at most.
    """
    for order in orders:
        name, _, key = order.name.partition(".")
        if order.expires_utc_s >= FOREVER_S:
            book.settings.setdefault(name, {})[key] = order.value
            continue
        left_s = order.expires_utc_s - (utc_s or 0.0)
        if not trusted:
            left_s = min(left_s, LONGEST_S)
        if left_s > 0.0:
            values = dict(book.leases[name].values) if name in book.leases else {}
            book.leases[name] = Lease({**values, key: order.value}, now_s + left_s)
    book.changed()
