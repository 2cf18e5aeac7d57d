"""`[mqtt]` of the site file: which broker, and who may speak to it. Far brokers need TLS and a login."""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from drivers.tls import trusting

USAGE = 'give "mqtt://host:1883", "mqtts://host:8883" or "embedded"'
CREDENTIAL = "mqtt_password"
"""The name of the systemd credential that holds the password when there is no `password_file`."""
ITSELF = "penstock"
"""The controller's own login at the embedded broker."""
LONGEST_PASSWORD = 1024
"""Bytes of a password file. MQTT itself ends at 65535."""
PLACEHOLDERS = frozenset(
    {"", "admin", "changeme", "mqtt", "passw0rd", "password", "penstock", "secret", "test"}
)

Conflict = tuple[tuple[str | int, ...], str]
Role = Literal["read", "command"]


class MqttTable(BaseModel):
    """Unknown keys are errors, numbers are never taken from strings."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class MqttUser(MqttTable):
    """`[[mqtt.user]]`: somebody who may use the embedded broker."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="a to z, 0 to 9, - and _")
    password_file: str = Field(description="path to a file that holds only the password, mode 0600")
    role: Role = Field("command", description='"read", or "command": may command the site too')


class Mqtt(MqttTable):
    """`[mqtt]`: where the state is published and commands come from."""

    url: str = Field(description='"mqtt://host:1883", "mqtts://host:8883" or "embedded"')
    username: str | None = Field(None, min_length=1)
    password_file: str | None = Field(
        None, description="path to a file that holds only the password, mode 0600"
    )
    ca: str | None = Field(None, description="PEM file of the authority that signed the broker's certificate")
    cert: str | None = Field(None, description="PEM file of our certificate; for embedded: the broker's")
    key: str | None = Field(None, description="PEM file of the key to cert, mode 0600")
    insecure: bool = Field(False, description="true: a broker on the network without TLS or login; alarmed")
    home_assistant: str = Field(
        "homeassistant", pattern=r"^[A-Za-z0-9_-]{0,64}$", description='its discovery prefix; "" for none'
    )
    port: int = Field(1883, ge=0, le=65535, description='only for "embedded": where it listens')
    listen: str = Field("127.0.0.1", description='only for "embedded": the address it listens on')
    user: list[MqttUser] = Field(default_factory=list, max_length=32, description="only for embedded")

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: str) -> str:
        if url == "embedded" or url.startswith(("mqtt://", "mqtts://")):
            return url
        raise ValueError(USAGE)


def discovery_topic(prefix: str, site: str) -> str:
    """Where the document of a site lies in which Home Assistant finds it."""
    return f"{prefix}/device/penstock-{site}/config"


@dataclass(frozen=True, slots=True)
class BrokerUser:
    """Somebody who may use the embedded broker; the password stays in its file."""

    name: str
    password_file: Path
    may_command: bool


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """The broker; `host` is None for the embedded one, which listens on `listen`.

    `only_v311` is for a broker that is known not to speak MQTT v5. `insecure` says that the link is
    neither local nor protected, and that the owner wants it so. No secret is ever kept here.
    """

    host: str | None
    port: int
    tls: bool = False
    username: str | None = None
    password_file: Path | None = None
    only_v311: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False
    discovery_prefix: str = ""
    listen: str = "127.0.0.1"
    users: tuple[BrokerUser, ...] = ()


def is_loopback(host: str) -> bool:
    """Whether what is sent there never leaves this host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def mqtt_conflicts(folder: Path, mqtt: Mqtt) -> list[Conflict]:
    """Everything that is wrong between keys that are right by themselves; paths are relative to `folder`."""
    found = _files(folder, mqtt)
    if (mqtt.cert is None) != (mqtt.key is None):
        missing = "key" if mqtt.key is None else "cert"
        found.append((("mqtt", missing), "is missing: a certificate and its key come together"))
    if mqtt.url == "embedded":
        return found + _embedded(mqtt)
    wrong = _bad_url(mqtt.url)
    if wrong:
        return [*found, (("mqtt", "url"), wrong)]
    return found + _far(mqtt)


def mqtt_config(folder: Path, mqtt: Mqtt) -> MqttConfig:
    """What was checked, frozen."""
    parts = urlsplit(mqtt.url)
    embedded = mqtt.url == "embedded"
    tls = mqtt.cert is not None if embedded else parts.scheme == "mqtts"
    local = is_loopback(mqtt.listen if embedded else parts.hostname or "")
    login = bool(mqtt.user) if embedded else mqtt.username is not None or mqtt.cert is not None
    return MqttConfig(
        host=None if embedded else parts.hostname,
        port=mqtt.port if embedded else parts.port or (8883 if tls else 1883),
        tls=tls,
        username=mqtt.username,
        password_file=_path(folder, mqtt.password_file),
        only_v311=embedded,
        ca=_path(folder, mqtt.ca),
        cert=_path(folder, mqtt.cert),
        key=_path(folder, mqtt.key),
        insecure=not local and not (tls and login),
        discovery_prefix=mqtt.home_assistant,
        listen=mqtt.listen,
        users=tuple(
            BrokerUser(one.name, folder / one.password_file, one.role == "command") for one in mqtt.user
        ),
    )


def _path(folder: Path, name: str | None) -> Path | None:
    return None if name is None else folder / name


def _bad_url(url: str) -> str:
    """What is wrong with it; never the URL itself, which may hold a password."""
    if "@" in url:
        return f"holds a user or password; use username and password_file; {USAGE}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"the port is a number from 1 to 65535; {USAGE}"
    if not parts.hostname or port == 0 or parts.path.strip("/") or parts.query or parts.fragment:
        return f"is not just a host and a port from 1 to 65535; {USAGE}"
    return ""


def _far(mqtt: Mqtt) -> list[Conflict]:
    """A broker elsewhere: without TLS everybody on the way may read and command."""
    parts = urlsplit(mqtt.url)
    tls = parts.scheme == "mqtts"
    found: list[Conflict] = [
        (("mqtt", name), 'is read only with an "mqtts://" url')
        for name in ("ca", "cert")
        if getattr(mqtt, name) is not None and not tls
    ]
    found += [
        (("mqtt", name), 'is read only with url = "embedded"')
        for name in ("port", "listen", "user")
        if name in mqtt.model_fields_set
    ]
    if mqtt.password_file is not None and mqtt.username is None:
        found.append((("mqtt", "username"), "is missing: a password needs its user"))
    if mqtt.insecure or is_loopback(parts.hostname or ""):
        return found
    if not tls:
        risk = "is not on this host and has no TLS: everybody on the way could command the site"
        found.append((("mqtt", "url"), f'{risk}; give "mqtts://...", or insecure = true if that is meant'))
    elif mqtt.username is None and mqtt.cert is None:
        risk = "is not on this host and asks for no login"
        found.append((("mqtt", "url"), f"{risk}; give username or cert, or insecure = true if that is meant"))
    return found


def _embedded(mqtt: Mqtt) -> list[Conflict]:
    found: list[Conflict] = [
        (("mqtt", name), 'is not read with url = "embedded"')
        for name in ("username", "password_file", "ca")
        if getattr(mqtt, name) is not None
    ]
    names = [one.name for one in mqtt.user]
    found += [
        (("mqtt", "user", index, "name"), f'"{name}" is the controller itself; give another name')
        for index, name in enumerate(names)
        if name == ITSELF
    ]
    found += [
        (("mqtt", "user", index, "name"), f'"{name}" is there twice')
        for index, name in enumerate(names)
        if name in names[:index]
    ]
    if is_loopback(mqtt.listen):
        return found
    if not mqtt.user:
        nobody = "is not this host alone, and there is no [[mqtt.user]]"
        found.append((("mqtt", "listen"), f"{nobody}; add users, or listen on 127.0.0.1"))
    elif mqtt.cert is None and not mqtt.insecure:
        plain = "is not this host alone, and passwords would cross the network in clear"
        found.append((("mqtt", "listen"), f"{plain}; give cert and key, or insecure = true if that is meant"))
    return found


def _files(folder: Path, mqtt: Mqtt) -> list[Conflict]:
    """Files that are named must be there; secret ones must be secret."""
    found: list[Conflict] = []
    secret: list[tuple[tuple[str | int, ...], str | None]] = [
        (("mqtt", "password_file"), mqtt.password_file),
        (("mqtt", "key"), mqtt.key),
        *((("mqtt", "user", i, "password_file"), one.password_file) for i, one in enumerate(mqtt.user)),
    ]
    plain = [(("mqtt", name), getattr(mqtt, name)) for name in ("ca", "cert")]
    for where, name in [*secret, *plain]:
        if name is None:
            continue
        try:
            with (folder / name).open("rb") as file:
                mode, content = os.fstat(file.fileno()).st_mode, file.read(LONGEST_PASSWORD + 2)
        except OSError as error:
            found.append((where, f'"{name}" cannot be read: {error.strerror}'))
            continue
        if (where, name) in secret and mode & 0o077:
            found.append((where, f'"{name}" can be read by others: chmod 600 {name}'))
        if where[-1] != "password_file":
            continue
        try:
            if password_in(content) in PLACEHOLDERS:
                found.append((where, f'"{name}" holds no password, or one that everybody tries first'))
        except ValueError as error:
            found.append((where, f'"{name}" {error}'))
    return found or _certificates(folder, mqtt)


def _certificates(folder: Path, mqtt: Mqtt) -> list[Conflict]:
    """Files for TLS hold what they are named for."""
    found: list[Conflict] = []
    if mqtt.ca is not None:
        try:
            trusting(folder / mqtt.ca)
        except OSError:
            found.append((("mqtt", "ca"), f'"{mqtt.ca}" holds no certificate in PEM'))
    if mqtt.cert is None or mqtt.key is None:
        return found
    try:
        # A key with a passphrase must not ask for it on a terminal where nobody sits.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
            folder / mqtt.cert, folder / mqtt.key, password="-"
        )
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            found.append((("mqtt", "key"), f'"{mqtt.key}" does not belong to cert "{mqtt.cert}"'))
        else:
            both = f'"{mqtt.cert}" and key "{mqtt.key}" must be PEM, the key without a passphrase'
            found.append((("mqtt", "cert"), both))
    return found


def password_in(content: bytes) -> str:
    """The password of a file's content; ValueError, which tells nothing of it, when it can be none."""
    if len(content) > LONGEST_PASSWORD:
        raise ValueError(f"holds more than {LONGEST_PASSWORD} bytes: give a file with the password alone")
    try:
        return content.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text: give a file with the password alone") from None
