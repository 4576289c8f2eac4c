"""TLS termination (manual page http/server): PEM text from the entry into an ssl context."""

from __future__ import annotations

import os
import ssl
import tempfile

from wippy.errors import INVALID, Error
from wippy.registry.entry import Entry
from wippy_plugin_http.config import TlsConfig

__all__ = ["make_context"]


def make_context(entry: Entry, tls: TlsConfig) -> ssl.SSLContext | None:
    """Return the context of a server, None for plain HTTP.

    Raises Error(Invalid) for what is missing, does not fit together, or cannot be had here.
    """
    where = entry.where("tls")
    if not tls.mode:
        if tls.cert or tls.key or tls.client_ca:
            raise Error(f'{where}: tls has a certificate but no mode: set mode to "manual"', INVALID)
        return None
    if tls.mode == "auto":
        raise Error(
            f"{where}: tls mode auto needs a network overlay that provides the certificate: use manual", INVALID
        )
    if not tls.cert or not tls.key:
        raise Error(f"{where}: tls mode manual needs `cert` and `key`, each PEM text (file://… or ${{env:…}})", INVALID)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        _load_chain(context, tls.cert, tls.key)
    except (ssl.SSLError, OSError, ValueError) as problem:
        raise Error(f"{where}: tls cert and key cannot be used: {problem}", INVALID) from None
    _ask_clients(where, context, tls)
    return context


def _load_chain(context: ssl.SSLContext, cert: str, key: str) -> None:
    # The ssl module reads certificates and keys from files only; these exist for this call and for this user.
    handle, path = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(key.strip() + "\n" + cert.strip() + "\n")
        context.load_cert_chain(path)
    finally:
        os.unlink(path)


def _ask_clients(where: str, context: ssl.SSLContext, tls: TlsConfig) -> None:
    if not tls.client_auth:
        return
    if tls.client_auth in ("request", "require_any"):
        raise Error(
            f"{where}: client_auth {tls.client_auth} accepts certificates that nobody verified, which this server does not "
            "offer: use verify_if_given or require_and_verify with client_ca",
            INVALID,
        )
    if not tls.client_ca:
        raise Error(f"{where}: client_auth {tls.client_auth} needs `client_ca`, PEM text of the trusted CAs", INVALID)
    try:
        context.load_verify_locations(cadata=tls.client_ca)
    except (ssl.SSLError, ValueError) as problem:
        raise Error(f"{where}: tls client_ca cannot be used: {problem}", INVALID) from None
    context.verify_mode = ssl.CERT_REQUIRED if tls.client_auth == "require_and_verify" else ssl.CERT_OPTIONAL
