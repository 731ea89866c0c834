"""TLS contexts from PEM text. Keys pass through anonymous memory: OpenSSL wants file names, and no key is to lie in a
file that a crash could leave behind."""

from __future__ import annotations

import os
import ssl
from typing import Any

from nerv.http.messages import Peer


def server_context(certificate_pem: str, key_pem: str, client_ca_pem: str | None = None) -> ssl.SSLContext:
    """For a server. With `client_ca_pem` a client may show a certificate, which must then be of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])  # else Go's clients speak HTTP/2
    load_chain(context, certificate_pem, key_pem)
    if client_ca_pem:
        context.load_verify_locations(cadata=client_ca_pem)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(
    ca_pem: str | None = None, certificate_pem: str | None = None, key_pem: str | None = None
) -> ssl.SSLContext:
    """For a client. Without `ca_pem` the system's authorities count."""
    context = ssl.create_default_context(cadata=ca_pem)
    if certificate_pem and key_pem:
        load_chain(context, certificate_pem, key_pem)
    return context


def load_chain(context: ssl.SSLContext, certificate_pem: str, key_pem: str) -> None:
    """Load a certificate and its key."""
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, f"{key_pem.strip()}\n{certificate_pem.strip()}\n".encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def peer_of(ssl_object: Any) -> Peer | None:
    """Who the verified certificate of the other end names, if it showed one."""
    certificate = ssl_object.getpeercert() if ssl_object else None
    if not certificate:
        return None
    names: dict[str, list[str]] = {}
    for part in certificate.get("subject", ()):
        for key, value in part:
            names.setdefault(key, []).append(value)
    return Peer(names.get("commonName", [""])[0], tuple(names.get("organizationName", [])))
