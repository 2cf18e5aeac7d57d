"""Who may do what: the shipped Mosquitto configuration with TLS, three users, and every topic both ways."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl

import aiomqtt
import pytest

from controller.broker import embedded
from controller.commands import COMMANDS
from controller.messages import MESSAGES
from controller.mqtt_access import client_context
from controller.site_mqtt import BrokerUser, MqttConfig
from tests.certificates import Authority
from tests.contract.running_site import V5, V311, a_running_site
from tests.mosquitto import Mosquitto, program
from tests.penstock import free_ports

SHIPPED = Path("deploy/mosquitto")
SITE = "penstock/house-7"
USERS = ("penstock", "homeassistant", "operator")
OWNER = frozenset({"setpoint", "limits", "reserve", "policy", "stop", "start", "clear_fault"})
COMMAND_TOPICS = {f"{SITE}/command/{name}" for name in COMMANDS}
TOLD_TOPICS = {f"{SITE}/{name.replace('<id>', 'x1')}" for name in MESSAGES} | {f"{SITE}/availability"}
DISCOVERY = "homeassistant/device/penstock-house-7/config"
OTHER = {"homeassistant/status", DISCOVERY, "response/a", "zigbee2mqtt/lamp/set", f"{SITE}/command/a/b"}
TOPICS = sorted(COMMAND_TOPICS | TOLD_TOPICS | OTHER)

MAY_WRITE = {
    "penstock": TOLD_TOPICS | {DISCOVERY, "response/a"},
    "homeassistant": {f"{SITE}/command/{name}" for name in OWNER} | {"homeassistant/status", DISCOVERY},
    "operator": {f"{SITE}/command/operator"},
}
MAY_READ = {
    "penstock": (COMMAND_TOPICS | TOLD_TOPICS | {DISCOVERY, "homeassistant/status"})
    - {f"{SITE}/{name}" for name in ("event", "backfill", "reply/x1")},
    "homeassistant": set(TOPICS) - {"zigbee2mqtt/lamp/set"},
    "operator": {f"{SITE}/{name}" for name in ("reply/x1", "orders", "availability")} | {"response/a"},
}


class Shipped:
    """A broker with the shipped files; `auditor`, who is not in them, may do everything."""

    def __init__(self, folder: Path, alternative: str = "IP:127.0.0.1", days: int = 2) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.broker_files = dict(parse_qsl(self.authority.sign("broker", alternative, days)))
        passwords = folder / "passwords"
        passwords.write_text("".join(f"{user}:pw-{user}\n" for user in (*USERS, "auditor")), encoding="utf-8")
        subprocess.run([_passwd(), "-U", str(passwords)], check=True, capture_output=True)
        acl = (SHIPPED / "penstock.acl").read_text(encoding="utf-8") + "\nuser auditor\ntopic readwrite #\n"
        (folder / "acl").write_text(acl, encoding="utf-8")
        text = (SHIPPED / "penstock.conf").read_text(encoding="utf-8")
        for key, path in (
            ("cafile", self.broker_files["ca"]),
            ("certfile", self.broker_files["cert"]),
            ("keyfile", self.broker_files["key"]),
            ("password_file", passwords),
            ("acl_file", folder / "acl"),
        ):
            text, changed = re.subn(rf"(?m)^{key} .*$", f"{key} {path}", text)
            assert changed == 1, key
        lines = [one for one in text.splitlines() if not one.startswith(("listener ", "persistence "))]
        self.settings = "\n".join(lines) + "\nuser root\n"
        self.mosquitto = Mosquitto(folder, self.settings)

    def config(self, user: str, **changes: object) -> MqttConfig:
        file = self.folder / f"{user}.password"
        file.write_text(f"pw-{user}\n", encoding="utf-8")
        usual: dict[str, object] = {"username": user, "password_file": file, "ca": self.authority.ca}
        return MqttConfig("127.0.0.1", self.mosquitto.port, tls=True, **(usual | changes))  # type: ignore[arg-type]  # as the fields are

    @asynccontextmanager
    async def client(self, user: str) -> AsyncIterator[aiomqtt.Client]:
        async with aiomqtt.Client(
            "127.0.0.1",
            self.mosquitto.port,
            username=user,
            password=f"pw-{user}",
            tls_context=client_context(self.config(user)),
            protocol=V5,
        ) as client:
            yield client


def _passwd() -> str:
    return program("mosquitto_passwd")


@pytest.fixture
def shipped(tmp_path: Path) -> Iterator[Shipped]:
    broker = Shipped(tmp_path)
    broker.mosquitto.start()
    yield broker
    broker.mosquitto.stop()


async def _heard(client: aiomqtt.Client, last: str) -> set[str]:
    """The topics that come until one message says that it is the last."""
    found: set[str] = set()
    async with asyncio.timeout(30.0):
        async for message in client.messages:
            if message.payload == b"last":
                return found
            found.add(str(message.topic))
    raise AssertionError(f"{last} never came")


@pytest.mark.parametrize("user", USERS)
async def test_every_user_may_write_and_read_what_is_theirs_and_nothing_else(
    shipped: Shipped, user: str
) -> None:
    async with shipped.client(user) as client, shipped.client("auditor") as auditor:
        await auditor.subscribe("#", qos=1)
        for topic in TOPICS:
            await client.publish(topic, "x", qos=1)
        await client.publish(min(MAY_WRITE[user]), "last", qos=1)
        assert await _heard(auditor, "writing") == MAY_WRITE[user]
        await auditor.unsubscribe("#")
        for wildcard in ("#", "$SYS/#"):
            await client.subscribe(wildcard, qos=1)
        for topic in TOPICS:
            await auditor.publish(topic, "x", qos=1)
        await auditor.publish(min(MAY_READ[user]), "last", qos=1)
        assert await _heard(client, "reading") == MAY_READ[user]


async def test_the_controller_works_behind_the_shipped_configuration(shipped: Shipped) -> None:
    config = shipped.config("penstock", discovery_prefix="homeassistant")
    async with shipped.client("homeassistant") as client, a_running_site(config):
        await client.subscribe(f"{SITE}/#", qos=1)
        await client.subscribe(DISCOVERY, qos=1)
        wanted = {
            f"{SITE}/{one}" for one in ("availability", "state", "orders", "energy", "device/bat1", "reply/a")
        }
        wanted.add(DISCOVERY)
        await asyncio.sleep(1.0)
        await client.publish(f"{SITE}/command/start", b'{"id": "a"}', qos=1)
        async with asyncio.timeout(30.0):
            async for message in client.messages:
                wanted.discard(str(message.topic))
                if not wanted:
                    return
    raise AssertionError(f"{wanted} never came")


async def connects(
    shipped: Shipped, config: MqttConfig, password: str = "pw-penstock", within_s: float = 20.0
) -> None:
    """Connect once and go; raises what refuses it."""
    async with aiomqtt.Client(
        "127.0.0.1",
        shipped.mosquitto.port,
        username="penstock",
        password=password,
        tls_context=client_context(config),
        protocol=V5,
        timeout=within_s,
    ):
        pass


async def test_the_embedded_broker_lets_in_who_is_in_the_site_file(tmp_path: Path) -> None:
    """Users may read; those with the role command may command too, and nobody speaks in the site's name."""
    files = dict(parse_qsl(Authority(tmp_path).sign("broker")))
    users = []
    for name, may_command in (("owner", True), ("guest", False)):
        (tmp_path / name).write_text(f"pw-{name}\n", encoding="utf-8")
        users.append(BrokerUser(name, tmp_path / name, may_command))
    (port,) = free_ports(1)
    wanted = MqttConfig(
        *(None, port, True),
        only_v311=True,
        cert=Path(files["cert"]),
        key=Path(files["key"]),
        users=tuple(users),
    )
    tls = ssl.create_default_context(cafile=files["ca"])

    async with embedded(wanted) as config, a_running_site(config), AsyncExitStack() as stack:

        async def client(name: str, password: str) -> aiomqtt.Client:
            at = ("127.0.0.1", port)
            login = aiomqtt.Client(*at, username=name, password=password, tls_context=tls, protocol=V311)
            return await stack.enter_async_context(login)

        owner, guest = await client("owner", "pw-owner"), await client("guest", "pw-guest")
        with pytest.raises(aiomqtt.MqttError):
            await client("owner", "pw-guest")
        await guest.subscribe(f"{SITE}/#", qos=1)
        forged = b'{"id": "forged"}'
        await guest.publish(f"{SITE}/command/stop", forged, qos=1)
        await guest.publish(f"{SITE}/state", b"forged", qos=1)
        await owner.publish(f"{SITE}/state", b"forged", qos=1)
        await owner.publish(f"{SITE}/command/start", b'{"id": "a"}', qos=1)
        heard: list[tuple[str, bytes]] = []
        async with asyncio.timeout(30.0):
            async for message in guest.messages:
                heard.append((str(message.topic), bytes(message.payload)))
                if heard[-1][0] == f"{SITE}/reply/a":
                    break
        assert b"forged" not in [payload for _, payload in heard]
        assert f"{SITE}/reply/forged" not in [topic for topic, _ in heard]


async def trusts(config: MqttConfig) -> bool:
    """Whether a connection to this broker comes about, before anything is said on it."""
    context = client_context(config)
    try:
        _, writer = await asyncio.open_connection(config.host, config.port, ssl=context)
    except ssl.SSLCertVerificationError:
        return False
    writer.close()
    return True


async def test_a_broker_that_cannot_prove_who_it_is_gets_no_password(tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    for wrong, alternative, days in (("host", "IP:127.0.0.2", 2), ("expired", "IP:127.0.0.1", -1)):
        shipped = Shipped(tmp_path, alternative, days)
        shipped.mosquitto.start()
        try:
            assert not await trusts(shipped.config("penstock")), wrong
        finally:
            shipped.mosquitto.stop()
    shipped = Shipped(tmp_path)
    shipped.mosquitto.start()
    try:
        assert not await trusts(shipped.config("penstock", ca=other.ca))
        assert not await trusts(shipped.config("penstock", ca=None)), "no authority of this host"
        with pytest.raises(aiomqtt.MqttError, match="Not authorized"):
            await connects(shipped, shipped.config("penstock"), "wrong")
        await connects(shipped, shipped.config("penstock"))
    finally:
        shipped.mosquitto.stop()


async def test_a_broker_may_ask_for_our_certificate(tmp_path: Path) -> None:
    shipped = Shipped(tmp_path)
    files = dict(parse_qsl(shipped.authority.sign("controller")))
    settings = shipped.settings.replace("require_certificate false", "require_certificate true")
    shipped.mosquitto = Mosquitto(tmp_path, settings)
    shipped.mosquitto.start()
    try:
        with pytest.raises(aiomqtt.MqttError):
            await connects(shipped, shipped.config("penstock"), within_s=1.0)
        ours = {"cert": Path(files["cert"]), "key": Path(files["key"])}
        await connects(shipped, shipped.config("penstock", **ours))
    finally:
        shipped.mosquitto.stop()
