"""Who may use the embedded broker: the plugin that amqtt asks at each login, publication and subscription.

Imported by amqtt by name, so only where that is installed. Passwords are read from their files each time.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from pathlib import Path

from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from controller.mqtt_access import read_password
from controller.site_mqtt import ITSELF


class SiteUsers(BaseAuthPlugin, BaseTopicPlugin):  # type: ignore[misc]  # amqtt says nothing of its types
    """Logins of the site file. Only the controller speaks for the site; others command, or only read."""

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._passwords: dict[str, str] = self.config.passwords
        self._commanders: list[str] = self.config.commanders

    async def authenticate(self, *, session: Session) -> bool:
        """Whether the password is the one in the user's file; a file that cannot be read lets nobody in."""
        file = self._passwords.get(session.username or "")
        if file is None:
            return False
        try:
            right = read_password(Path(file))
        except OSError:
            return False
        return hmac.compare_digest(right.encode(), (session.password or "").encode())

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        """Everybody may read; publishing is for those who may command, and not in the site's own name."""
        user = "" if session is None else session.username or ""
        if action is not Action.PUBLISH or user == ITSELF:
            return True
        parts = (topic or "").split("/")
        ours = parts[0] == "penstock" and (len(parts) != 4 or parts[2] != "command")
        return user in self._commanders and not ours

    @dataclass
    class Config:
        """Password file by user, and who may command."""

        passwords: dict[str, str] = field(default_factory=dict)
        commanders: list[str] = field(default_factory=list)
