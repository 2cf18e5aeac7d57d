"""Pure: whether who answers now is who answered before.

What a device did not say of itself, because it was still booting say, becomes known when it says it. Only
something known that has changed is another device; where something known is missing, nobody can tell yet.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.registers import Value

Identity = Mapping[str, Value]
"""What a device says of itself, by name; None where its registers hold nothing."""


def doubt(known: Identity, found: Identity, joint: str = " ") -> str:
    """Why `found` may not be the device of `known`, for the operator; "" if nothing speaks against it."""
    pairs = [(known.get(name), value) for name, value in found.items()]
    was, now = (joint.join(str(pair[which]) for pair in pairs) for which in (0, 1))
    if any(then != today for then, today in pairs if then is not None and today is not None):
        return (
            f"another device answers: {now}, before it was {was}; check the address, then restart the "
            "controller"
        )
    if any(then is not None and today is None for then, today in pairs):
        return (
            f"the device does not say who it is: {now}, before it was {was}; it is asked again until it does"
        )
    return ""
