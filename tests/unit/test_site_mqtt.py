"""[mqtt] of the site file: far brokers need TLS and a login, secrets are in files that only we can read."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest

from controller.config import Config, ConfigError, load_config
from controller.mqtt import MqttLink
from controller.mqtt_access import client_context, password_of
from controller.outbox import Outbox
from controller.outside import Outside
from controller.site_mqtt import MqttConfig, is_loopback
from controller.supervisor import run_site
from simulators import virtual_time
from tests.penstock import free_ports, site_file
from tests.unit.ordered_site import LIMITED, OrderedSite, on_a_site

CANARY = "canary-3f9a71"


def a_site(folder: Path, lines: str) -> Path:
    """A site file with these lines under [mqtt]."""
    path = site_file(folder, [5020, 5021, 5022], "x")
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index("[mqtt]")] + f"[mqtt]\n{lines}\n", encoding="utf-8")
    return path


def a_secret(folder: Path, name: str = "pw", text: str = CANARY, mode: int = 0o600) -> str:
    (folder / name).write_text(f"{text}\n", encoding="utf-8")
    (folder / name).chmod(mode)
    return name


def load(folder: Path, lines: str) -> MqttConfig:
    mqtt = load_config(a_site(folder, lines)).mqtt
    assert mqtt is not None
    return mqtt


def refusal(folder: Path, lines: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(a_site(folder, lines))
    return str(caught.value).replace(f"{folder}/", "")


def test_a_broker_on_the_network_needs_tls(tmp_path: Path) -> None:
    said = refusal(tmp_path, 'url = "mqtt://192.168.1.5:1883"')
    assert "mqtt.url: is not on this host and has no TLS" in said
    assert said.endswith('give "mqtts://...", or insecure = true if that is meant')


def test_a_broker_on_the_network_needs_a_login(tmp_path: Path) -> None:
    assert "asks for no login" in refusal(tmp_path, 'url = "mqtts://broker.lan"')
    found = load(
        tmp_path, f'url = "mqtts://broker.lan"\nusername = "p"\npassword_file = "{a_secret(tmp_path)}"'
    )
    assert (found.port, found.tls, found.insecure) == (8883, True, False)


@pytest.mark.parametrize("url", ["mqtt://192.168.1.5", "mqtts://broker.lan"])
def test_an_insecure_link_is_possible_and_never_silent(tmp_path: Path, url: str) -> None:
    found = load(tmp_path, f'url = "{url}"\ninsecure = true')
    assert found.insecure


def test_on_this_host_nothing_of_the_kind_is_asked_for(tmp_path: Path) -> None:
    assert not load(tmp_path, 'url = "mqtt://localhost"').insecure
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("10.0.0.1", "broker.lan", "localhost.lan", ""))


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('url = "mqtt://user:pw@127.0.0.1"', "mqtt.url: holds a user or password; use username and"),
        ('url = "mqtt://127.0.0.1"\nca = "pw"', 'mqtt.ca: is read only with an "mqtts://" url'),
        ('url = "mqtts://127.0.0.1"\ncert = "pw"', "mqtt.key: is missing: a certificate and its key come"),
        ('url = "mqtt://127.0.0.1"\nport = 1884', 'mqtt.port: is read only with url = "embedded"'),
        ('url = "mqtt://127.0.0.1"\npassword_file = "pw"', "mqtt.username: is missing: a password needs"),
        (
            'url = "mqtt://127.0.0.1"\nusername = "a"\npassword_file = "no"',
            '"no" cannot be read: No such file',
        ),
        (
            'url = "mqtt://127.0.0.1"\nusername = "a"\npassword_file = "open"',
            '"open" can be read by others: chmod',
        ),
        (
            'url = "mqtt://127.0.0.1"\nusername = "a"\npassword_file = "weak"',
            "holds no password, or one that",
        ),
        ('url = "embedded"\nusername = "a"', 'mqtt.username: is not read with url = "embedded"'),
        (
            'url = "embedded"\nlisten = "0.0.0.0"',
            "mqtt.listen: is not this host alone, and there is no [[mqtt.user]]",
        ),
        (
            'url = "embedded"\nlisten = "0.0.0.0"\n[[mqtt.user]]\nname = "a"\npassword_file = "pw"',
            "mqtt.listen: is not this host alone, and passwords would cross the network in clear",
        ),
        (
            'url = "embedded"\n[[mqtt.user]]\nname = "penstock"\npassword_file = "pw"',
            'mqtt.user[0].name: "penstock" is the controller itself',
        ),
    ],
)
def test_what_does_not_fit_together_is_told_with_what_would(tmp_path: Path, lines: str, reason: str) -> None:
    a_secret(tmp_path)
    a_secret(tmp_path, "open", mode=0o644)
    a_secret(tmp_path, "weak", "changeme")
    assert reason in refusal(tmp_path, lines)


def test_the_password_may_come_from_a_systemd_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_secret(tmp_path, "mqtt_password")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    found = load(tmp_path, 'url = "mqtt://127.0.0.1"\nusername = "penstock"')
    assert password_of(found) == CANARY
    assert password_of(load(tmp_path, 'url = "mqtt://127.0.0.1"')) is None, "nobody asked for a login"


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"canary-\xff", "is not UTF-8 text"), (b"canary-" * 200, "holds more than 1024 bytes")],
)
def test_a_file_that_can_hold_no_password_is_told_by_check_and_when_connecting_without_what_is_in_it(
    tmp_path: Path, content: bytes, says: str
) -> None:
    lines = f'url = "mqtt://127.0.0.1"\nusername = "p"\npassword_file = "{a_secret(tmp_path)}"'
    config = load(tmp_path, lines)
    (tmp_path / "pw").write_bytes(content)
    checked = refusal(tmp_path, lines)
    with pytest.raises(OSError, match=says) as caught:
        password_of(config)
    assert f'mqtt.password_file: "pw" {says}' in checked
    assert "canary" not in checked + str(caught.value)


def test_a_password_that_turns_bad_while_the_site_runs_is_told_and_read_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = MqttConfig("127.0.0.1", 1, username="p", password_file=tmp_path / "pw")

    async def running() -> None:
        (tmp_path / "pw").write_bytes(b"\xff")
        task = asyncio.create_task(MqttLink("house-7", config, Outbox("house-7")).run())
        await asyncio.sleep(60.0)
        a_secret(tmp_path)
        await asyncio.sleep(60.0)
        task.cancel()

    virtual_time.run(running())
    first, second = (one.message for one in caplog.records if "no connection" in one.message)
    assert "pw is not UTF-8 text" in first
    assert "refused" in second, "nobody is there, but with this password somebody was asked for"


def test_an_authority_that_cannot_be_read_is_told_and_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"\[SSL|\[X509|PEM|NO_CERTIFICATE"):
        client_context(MqttConfig("127.0.0.1", 8883, tls=True, ca=Path(a_site(tmp_path, "url = 'embedded'"))))


def test_an_insecure_link_rings_an_alarm_for_as_long_as_it_lasts(tmp_path: Path) -> None:

    async def work(site: OrderedSite) -> None:
        told = Outside("house-7", LIMITED, ("follow",), lambda: (None, None), elsewhere=lambda: ("insecure",))
        told.listen(site.cycles[-1])
        letters = [await told.outbox.next_letter()]
        told.outbox.sent(letters[0], 0.0)
        while b'"alarm":"insecure"' not in letters[-1].payload:
            letters.append(await told.outbox.next_letter())
            told.outbox.sent(letters[-1], 0.0)

    on_a_site(work)


@pytest.mark.parametrize(
    "wrong",
    [
        'url = "mqtt://penstock:CANARY/x@127.0.0.1:1883"',
        'url = "mqtt://penstock:CANARY#x@127.0.0.1"',
        'url = "mqtts://penstock:CANARY[@127.0.0.1"',
        'url = "mqtt://127.0.0.1:CANARY"',
        'url = "mqtt://127.0.0.1?password=CANARY"',
        'url = "mqtt://127.0.0.1#CANARY"',
        'url = "MQTT://penstock:CANARY@127.0.0.1"',
        'url = "http://penstock:x,CANARY@127.0.0.1"',
        'url = ["mqtt://penstock:CANARY@127.0.0.1"]',
        'url = "embedded"\nuser = ["mqtt://penstock:CANARY@127.0.0.1"]',
        'url = "embedded"\n[tariff.prices]\nurl = "https://user:CANARY/a@host/x"',
        'url = "embedded"\n[tariff.prices]\nurl = "https://host/x?token=CANARY&d={day}"',
    ],
)
def test_an_address_that_is_refused_is_never_shown_since_it_may_hold_a_secret(
    tmp_path: Path, wrong: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(a_site(tmp_path, wrong.replace("CANARY", CANARY)))
    assert "url" in str(refused.value) or "user" in str(refused.value)
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("where", ["mqtt = {url}", "[[mqtt]]\nurl = {url}"])
def test_nor_is_one_that_stands_where_a_table_should(tmp_path: Path, where: str) -> None:
    path = a_site(tmp_path, 'url = "embedded"')
    top, _, _ = path.read_text(encoding="utf-8").partition("[mqtt]")
    said = where.format(url=f'"mqtt://penstock:{CANARY}@127.0.0.1"')
    path.write_text(f"{said}\n{top}" if where.startswith("mqtt") else f"{top}\n{said}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mqtt (is .*: should be a table|should be \[mqtt\])") as refused:
        load_config(path)
    assert CANARY not in str(refused.value)


async def test_no_secret_is_ever_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Everything is logged, the broker refuses, and the password is nowhere: log, repr, state folder."""

    port, *ports = free_ports(4)
    name = a_secret(tmp_path)
    path = site_file(tmp_path, ports, f"mqtt://127.0.0.1:{port}")
    with path.open("a", encoding="utf-8") as file:
        file.write(f'username = "penstock"\npassword_file = "{name}"\n')
    config: Config = load_config(path)
    caplog.set_level(logging.DEBUG)
    said: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await reader.read(4096))
        writer.write(b"\x20\x03\x00\x86\x00")  # CONNACK of v5: bad user name or password
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", port)
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(1.5, stop.set)
    await run_site(config, stop=stop)
    server.close()
    assert said, "it was tried"
    assert CANARY.encode() in said[0], "the broker is who gets it"
    shown = caplog.text + repr(config)
    for folder, _, files in os.walk(config.state.folder):
        shown += "".join(_text(Path(folder) / one) for one in files)
    assert CANARY not in shown


def _text(path: Path) -> str:
    return path.read_bytes().decode("latin-1")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('ca = "words"', 'mqtt.ca: "words" holds no certificate in PEM'),
        ('cert = "words"\nkey = "words"', 'mqtt.cert: "words" and key "words" must be PEM, the key without'),
    ],
)
def test_a_file_for_tls_that_holds_no_pem_is_told_before_the_run(
    tmp_path: Path, lines: str, reason: str
) -> None:
    a_secret(tmp_path, "words", "no certificate")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f'url = "mqtts://127.0.0.1"\n{lines}')
    assert reason in str(caught.value)
