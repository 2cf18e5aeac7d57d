"""Both ends of Modbus/TCP Security: each shows a certificate and checks the other's.

Source: MODBUS/TCP Security Protocol Specification V2.1: TLS 1.2 at least, mutual authentication, the
usual frames inside. Nothing here falls back to a plain connection. `trusting` is for connections of other
kinds, to brokers and services.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from math import inf
from pathlib import Path

from drivers.address import TlsAddress

# X509_verify_cert(3); what OpenSSL calls it would not tell an operator which file to look at.
_EXPIRED, _NOT_YET_VALID = 10, 9
_UNTRUSTED = {2, 18, 19, 20, 21}
_WRONG_HOST, _WRONG_IP = 62, 64
_NOT_TLS = ("wrong version number", "record layer failure", "packet length too long", "unexpected message")


class TlsFilesError(OSError):
    """A certificate or key file cannot be used; the text says which and why."""


def trusting(ca: str | Path | None) -> ssl.SSLContext:
    """For a client: trusts what this authority has signed, or the system's where none is given; OSError.

    An authority of one's own need not be made by the letter of RFC 5280: those of `openssl req -x509` say
    nothing of what their key is for. Python asks for it from 3.13 on (`ssl.VERIFY_X509_STRICT`).
    """
    context = ssl.create_default_context(cafile=ca)
    if ca is not None:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def client_context(address: TlsAddress) -> ssl.SSLContext:
    """Trusts only devices whose certificate is signed by `ca` and made out to the host; TlsFilesError."""
    return _context(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), address)


def server_context(address: TlsAddress) -> ssl.SSLContext:
    """Talks only to clients whose certificate is signed by `ca`; TlsFilesError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _context(context, address)


def _context(context: ssl.SSLContext, address: TlsAddress) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # else a device could halt an open connection in the middle
    for name, path in (("ca", address.ca), ("cert", address.cert), ("key", address.key)):
        _must_be_readable(name, path)
    try:
        context.load_verify_locations(address.ca)
    except ssl.SSLError:
        ca = f"ca: {address.ca} holds no certificate in PEM"
        raise TlsFilesError(f"{ca}; give that of the authority that signs for the device") from None
    try:
        # A key with a passphrase must not ask for it on a terminal where nobody sits.
        context.load_cert_chain(address.cert, address.key, password="-")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            key = f"key: {address.key} does not belong to {address.cert}"
            raise TlsFilesError(f"{key}; give the one that was made with it") from None
        raise TlsFilesError(
            f"cert and key: {address.cert} and {address.key} must be PEM, the key without a passphrase"
        ) from None
    return context


def _must_be_readable(name: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise TlsFilesError(f"{name}: {path}: {why}; give a PEM file that can be read") from None


def certificates_hold(address: TlsAddress, utc_s: float) -> None:
    """TlsFilesError if no device could accept our certificate now, or we no device's.

    Our end shows the certificate to another one that trusts it, and nothing else: so OpenSSL judges it.
    """
    ours = client_context(address)
    ends_s = [ssl.cert_time_to_seconds(str(one["notAfter"])) for one in ours.get_ca_certs()]
    if ends_s and max(ends_s) < utc_s:
        raise TlsFilesError(f"ca: {address.ca} has expired; get the newer one of who signs for the device")
    ours.check_hostname, ours.verify_mode = False, ssl.CERT_NONE
    device = server_context(address)
    device.load_verify_locations(address.cert)
    device.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_device, to_us = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        ours.wrap_bio(to_us, to_device),
        device.wrap_bio(to_device, to_us, server_side=True),
    )
    try:
        for end in ends * 3:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    except ssl.SSLCertVerificationError as error:
        why = {
            _EXPIRED: "has expired; have it renewed",
            _NOT_YET_VALID: "is not valid yet; is the clock of this host right?",
        }.get(error.verify_code, f"is of no use to a client: {error.verify_message}; have another one made")
        raise TlsFilesError(f"cert: {address.cert} {why}") from None


def until_utc_s(secured: ssl.SSLObject, context: ssl.SSLContext) -> float:
    """Until when the device's certificate and those in `ca` are valid, whichever ends first."""
    shown = [one for one in (secured.getpeercert(), *context.get_ca_certs()) if one]
    return min((ssl.cert_time_to_seconds(str(one["notAfter"])) for one in shown), default=inf)


def what_failed(error: ssl.SSLError) -> str:
    """Why there is no secure connection, as an operator would say it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _refused_by_us(error)
    reason = (error.reason or str(error)).lower().replace("_", " ")
    if "alert" in reason:
        return f"the device refused our certificate ({reason})"
    if reason in _NOT_TLS:
        return "the device does not speak TLS here; it is never asked without"
    return f"no secure connection: {reason}"


def _refused_by_us(error: ssl.SSLCertVerificationError) -> str:
    match error.verify_code:
        case code if code == _EXPIRED:
            return "the certificate of the device has expired"
        case code if code == _NOT_YET_VALID:
            return "the certificate of the device is not valid yet; is our clock right?"
        case code if code in _UNTRUSTED:
            return "the certificate of the device is not signed by the authority in ca"
        case code if code in (_WRONG_HOST, _WRONG_IP):
            return f"the certificate of the device is for another host ({error.verify_message.rstrip('.')})"
    return f"the certificate of the device was refused: {error.verify_message}"
