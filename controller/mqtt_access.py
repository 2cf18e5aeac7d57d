"""How the broker is trusted and how we log in: certificates and passwords, read anew for each connection.

A password is never kept: it is read, handed to the connection, and forgotten.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from controller.site_mqtt import CREDENTIAL, LONGEST_PASSWORD, MqttConfig, password_in
from drivers.tls import trusting


def password_of(config: MqttConfig) -> str | None:
    """From `password_file`, else from the systemd credential `mqtt_password`, else none.

    Raises OSError, of which PasswordError is one.
    """
    if config.password_file is not None:
        return read_password(config.password_file)
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    credential = Path(folder) / CREDENTIAL
    if config.username is not None and folder and credential.exists():
        return read_password(credential)
    return None


class PasswordError(OSError):
    """A password file holds what can be no password; the text names the file, and never what is in it."""


def read_password(path: Path) -> str:
    """The one line of a password file; OSError when it cannot be read."""
    with path.open("rb") as file:
        content = file.read(LONGEST_PASSWORD + 2)
    try:
        return password_in(content)
    except ValueError as error:
        raise PasswordError(f"{path} {error}") from None


def client_context(config: MqttConfig) -> ssl.SSLContext | None:
    """What a connection needs to trust the broker, and to be trusted; None without TLS. Raises OSError."""
    if not config.tls:
        return None
    context = trusting(config.ca)
    if config.cert is not None:
        context.load_cert_chain(config.cert, config.key)
    return context


def server_context(config: MqttConfig) -> ssl.SSLContext | None:
    """What the embedded broker shows to its clients; None without a certificate. Raises OSError."""
    if config.cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(config.cert, config.key)
    return context
