"""Modbus/TCP Security: both ends prove who they are, or not one register is read."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from pathlib import Path
from time import time

import pytest

from controller.certificates import Certificates
from controller.lab.lines import laid, wrong_context
from drivers.address import TlsAddress, parse_connection
from drivers.link import LinkTiming, open_link
from drivers.tls import TlsFilesError, client_context, server_context
from drivers.wire import ModbusTcpServer
from simulators.faults import Active, make_fault
from simulators.faults.link import FaultyLink, FaultyServer
from simulators.virtual_time import run
from tests.certificates import Authority
from tests.unit.raw_modbus import PlainUnit, failure, now_s, read


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> str:
    """The options for both ends of a connection as it should be."""
    return authority.sign("good")


def address(options: str, host: str = "127.0.0.1") -> TlsAddress:
    found = parse_connection(f"tls://{host}?{options}")
    assert isinstance(found, TlsAddress)
    return found


@asynccontextmanager
async def serving(options: str | None) -> AsyncIterator[int]:
    server = ModbusTcpServer({1: PlainUnit()})
    tls = None if options is None else server_context(address(options))
    port = await server.start("127.0.0.1", 0, tls)
    try:
        yield port
    finally:
        await server.stop()


async def said_of(connection: str, tries: int = 1) -> str:
    """Why a link cannot read; a server refuses a certificate only after it has been connected to."""
    link = open_link(connection, LinkTiming())
    said = ""
    for _ in range(tries):
        said = await failure(link, within_s=5.0)
        await asyncio.sleep(0.05)
    assert link.connects == 0 or tries > 1
    await link.close()
    return said


async def test_registers_are_read_and_written_between_two_ends_that_know_each_other(files: str) -> None:
    async with serving(files) as port:
        link = open_link(f"tls://127.0.0.1:{port}?{files}", LinkTiming(timeout_s=5.0))
        assert await read(link, within_s=10.0) == [10, 11]
        await link.write(1, 10, [7], now_s() + 10.0)
        assert await read(link, within_s=10.0) == [7, 11]
        await link.close()


async def test_an_expired_certificate_of_the_device_is_named(authority: Authority, files: str) -> None:
    async with serving(authority.sign("old", days=-1)) as port:
        said = await said_of(f"tls://127.0.0.1:{port}?{files}")
    assert "not connected: the certificate of the device has expired" in said


async def test_a_device_of_another_authority_is_not_trusted(files: str, tmp_path: Path) -> None:
    async with serving(Authority(tmp_path, "stranger").sign("other")) as port:
        said = await said_of(f"tls://127.0.0.1:{port}?{files}")
    assert "the certificate of the device is not signed by the authority in ca" in said


async def test_a_device_with_the_certificate_of_another_host_is_not_trusted(
    authority: Authority, files: str
) -> None:
    async with serving(authority.sign("elsewhere", "DNS:inverter.example")) as port:
        said = await said_of(f"tls://127.0.0.1:{port}?{files}")
    assert "the certificate of the device is for another host" in said
    assert "127.0.0.1" in said


@pytest.mark.parametrize("whose", ["expired", "stranger's"])
async def test_a_client_whom_the_device_does_not_trust_reads_nothing(
    whose: str, authority: Authority, files: str, tmp_path: Path
) -> None:
    if whose == "expired":
        ours = authority.sign("worn-out", days=-1)
    else:
        ours = (
            Authority(tmp_path, "stranger")
            .sign("intruder")
            .replace(f"ca={tmp_path}/stranger.pem", f"ca={authority.ca}")
        )
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with serving(files) as port:
        said = await said_of(f"tls://127.0.0.1:{port}?{ours}", tries=2)
    assert "it may not trust our certificate" in said or "the device refused our certificate" in said
    assert complaints == []


def test_neither_end_lets_a_connection_be_negotiated_anew(files: str) -> None:
    """Who asks for that could halt a connection in the middle; TLS 1.3 has it no more (RFC 8446, 4.1.2)."""
    for context in (client_context(address(files)), server_context(address(files))):
        assert context.options & ssl.OP_NO_RENEGOTIATION


async def test_a_device_without_tls_is_never_spoken_to_in_plain(files: str) -> None:
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(1000))
        writer.write(b"\0\0\0\0\0\3\1\x83\1")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    said = await said_of(f"tls://127.0.0.1:{port}?{files}")
    server.close()
    assert "the device does not speak TLS here; it is never asked without" in said
    assert heard[0] == 22  # the first record of a handshake, and nothing else


async def test_a_client_in_plain_is_not_answered(files: str) -> None:
    async with serving(files) as port:
        assert "not connected" in await said_of(f"tcp://127.0.0.1:{port}", tries=2)


def test_a_file_that_cannot_be_used_is_named(authority: Authority, files: str, tmp_path: Path) -> None:
    good = address(files)
    other_key = address(authority.sign("another")).key
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate", encoding="ascii")
    for ca, cert, key, sentence in (
        (tmp_path / "missing.pem", good.cert, good.key, "ca: .*missing.pem: no such file"),
        (nonsense, good.cert, good.key, "ca: .*nonsense.pem holds no certificate in PEM"),
        (good.ca, nonsense, good.key, "cert and key: .*nonsense.pem"),
        (good.ca, good.cert, other_key, "key: .*another.key does not belong to .*good.pem"),
    ):
        with pytest.raises(TlsFilesError, match=sentence):
            client_context(TlsAddress("127.0.0.1", 802, ca, cert, key))


async def test_a_missing_file_is_what_the_reader_of_a_device_is_told(files: str, tmp_path: Path) -> None:
    said = await said_of(f"tls://127.0.0.1:1?{files.replace('authority.pem', 'lost.pem')}")
    assert "not connected: ca: " in said
    assert "lost.pem: no such file or directory" in said


WRONG = {
    "expired": "the certificate of the device has expired",
    "stranger": "the certificate of the device is not signed by the authority in ca",
    "other_host": "the certificate of the device is for another host",
    "plain": "not connected",
    "stalled": "not connected",
}


@pytest.mark.parametrize("what", WRONG)
def test_an_emulated_device_can_show_each_wrong_certificate_and_is_then_not_spoken_to(
    what: str, tmp_path: Path
) -> None:
    options = "&".join(f"{name}={tmp_path}/{name}.pem" for name in ("ca", "cert", "key"))
    heard: list[str] = []

    async def work() -> None:
        active = Active()
        server = FaultyServer({1: PlainUnit()}, FaultyLink([(None, active)]))
        at = address(options, "127.0.0.1")
        with laid(f"tls://127.0.0.1?{options}"):
            port = await server.start("127.0.0.1", 0, server_context(at), partial(wrong_context, at))
        link = open_link(f"tls://127.0.0.1:{port}?{options}", LinkTiming(timeout_s=5.0))
        assert await read(link, within_s=10.0) == [10, 11]
        active.add(make_fault("certificate", {"what": what}), now_s(), now_s() + 30.0)
        while now_s() < 29.0:
            heard.append(await failure(link, within_s=1.0))
            await asyncio.sleep(0.5)
        await asyncio.sleep(10.0)
        assert await read(link, within_s=10.0) == [10, 11]
        await link.close()
        await server.stop()

    run(work(), quiesce_s=0.001)
    assert any(WRONG[what] in said for said in heard), heard


async def test_a_certificate_that_ends_within_thirty_days_rings_and_is_named(
    authority: Authority, files: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(files) as port:
        link = open_link(f"tls://127.0.0.1:{port}?{files}", LinkTiming(timeout_s=5.0))
        assert link.certificate_until_utc_s == inf
        await read(link, within_s=10.0)
        await link.close()
    # Made for two days by `tests/certificates.py`.
    until_s = link.certificate_until_utc_s
    assert 1.9 < (until_s - time()) / 86_400.0 < 2.1

    def rings(days_before: float) -> tuple[str, ...]:
        return Certificates([link], lambda: (until_s - days_before * 86_400.0, None)).alarms()

    assert rings(30.1) == ()
    assert rings(29.9) == ("certificate",)
    assert (
        f"tls://127.0.0.1:{port}: a certificate of the device or its authority ends in 29 days" in caplog.text
    )
    assert str(authority.ca) not in caplog.text, "where files are is nobody's business"
    assert rings(-1.0) == ("certificate",)
    assert Certificates([link], lambda: (None, None)).alarms() == (), "no clock, no days"
