"""amqtt with retained messages for those alone who have asked for them.

amqtt 0.12 sends each client that connects the retained messages of everybody's subscriptions, asked for or
not. Imported only where amqtt is installed.
"""

from __future__ import annotations

from amqtt.broker import Broker
from amqtt.session import Session


class SiteBroker(Broker):  # type: ignore[misc]  # amqtt says nothing of its types
    """The broker inside."""

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        """What is retained of one topic filter, to a client that has subscribed to it, now or before."""
        subscribers = self._subscriptions.get(subscription[0], ())
        if any(one is session for one, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)
