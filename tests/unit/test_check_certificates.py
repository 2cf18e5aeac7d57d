"""`penstock check` looks into the certificate files of devices behind TLS before anything is connected."""

from __future__ import annotations

from pathlib import Path
from time import time

import pytest

from controller.certificates import check_certificates
from controller.config import ConfigError, load_config
from tests.certificates import Authority
from tests.penstock import result_of

SITE = """site = "house-7"
[[meter]]
id = "grid"
profile = "eastron-sdm630"
connection = "tls://192.168.1.20?{}"
[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tls://192.168.1.30?{}"
capacity_wh = 10_000
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


def a_site(folder: Path, meter: str, battery: str) -> Path:
    path = folder / "house.toml"
    path.write_text(SITE.format(meter, battery), encoding="utf-8")
    return path


def refusal(site: Path) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        check_certificates(load_config(site), time())
    return str(refused.value).splitlines()


def test_files_as_they_should_be_are_no_matter(authority: Authority, tmp_path: Path) -> None:
    good = authority.sign("good")
    check_certificates(load_config(a_site(tmp_path, good, good)), time())


def test_a_certificate_that_has_expired_is_named_with_its_line(authority: Authority, tmp_path: Path) -> None:
    site = a_site(tmp_path, authority.sign("fresh"), authority.sign("worn-out", days=-1))
    (told,) = refusal(site)
    assert told.startswith(f"{site}:9: battery[0].connection: cert: {authority.ca.parent}/worn-out.pem")
    assert told.endswith("worn-out.pem has expired; have it renewed")


def test_an_authority_that_has_expired_is_named(tmp_path: Path) -> None:
    old = Authority(tmp_path)
    site = a_site(tmp_path, files := old.sign("signed"), files)
    old.expire()
    assert len(told := refusal(site)) == 2
    assert told[0].endswith(f"ca: {old.ca} has expired; get the newer one of who signs for the device")


def test_a_key_of_another_certificate_is_named(authority: Authority, tmp_path: Path) -> None:
    good, other = authority.sign("one"), authority.sign("two")
    mixed = f"{good.rpartition('&')[0]}&{other.rpartition('&')[2]}"
    (told,) = refusal(a_site(tmp_path, mixed, good))
    assert told.endswith(
        f"meter[0].connection: key: {authority.ca.parent}/two.key does not belong to "
        f"{authority.ca.parent}/one.pem; give the one that was made with it"
    )


def test_a_file_that_is_no_certificate_is_named(authority: Authority, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate", encoding="ascii")
    good = authority.sign("fine")
    (told,) = refusal(a_site(tmp_path, good.replace(str(authority.ca), str(nonsense)), good))
    assert f"ca: {nonsense} holds no certificate in PEM; give that of the authority" in told


def test_files_that_are_not_there_end_check_with_78_and_what_to_do(
    authority: Authority, tmp_path: Path
) -> None:
    lost = "&".join(f"{name}={tmp_path}/{name}.pem" for name in ("ca", "cert", "key"))
    site = a_site(tmp_path, authority.sign("here"), lost)
    result = result_of("check", str(site))
    assert (result.returncode, result.stdout) == (78, "")
    assert result.stderr == (
        f"penstock: {site}:9: battery[0].connection: ca: {tmp_path}/ca.pem: no such file or directory; give "
        "a PEM file that can be read; where none is there, penstock emulate makes all three for a try\n"
    )
