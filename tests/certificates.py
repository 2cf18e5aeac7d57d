"""Certificates for tests, made with the openssl program: an authority, and what it has signed."""

from __future__ import annotations

import subprocess
from pathlib import Path


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder: Path, name: str = "authority", *, home_made: bool = False) -> None:
        """`home_made`: as the openssl program makes it for who asks for no more; else by RFC 5280."""
        self._folder, self._home_made = folder, home_made
        self.ca = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        self._make_key(self._key)
        _openssl(
            *("req", "-x509", "-new", "-key", str(self._key), "-out", str(self.ca)),
            *("-subj", f"/CN={name}", "-days", "2"),
            *(() if home_made else ("-addext", "keyUsage=critical,keyCertSign,cRLSign")),
        )

    def sign(self, name: str, alternative: str = "IP:127.0.0.1", days: int = 2) -> str:
        """The options of a connection string with a new certificate; of -1 days, it has expired."""
        key, cert = self._folder / f"{name}.key", self._folder / f"{name}.pem"
        request, extension = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        self._make_key(key)
        extensions = f"subjectAltName={alternative}\n"
        if not self._home_made:
            extensions += "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        extension.write_text(extensions, encoding="ascii")
        _openssl("req", "-new", "-key", str(key), "-out", str(request), "-subj", f"/CN={name}")
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self._key)),
            *("-set_serial", "7", "-days", str(days), "-extfile", str(extension), "-out", str(cert)),
        )
        return f"ca={self.ca}&cert={cert}&key={key}"

    def expire(self) -> None:
        """The same authority, as if it had ended yesterday."""
        _openssl(
            *("x509", "-in", str(self.ca), "-signkey", str(self._key), "-days", "-1", "-out", str(self.ca))
        )

    @staticmethod
    def _make_key(path: Path) -> None:
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path))
