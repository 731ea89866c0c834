"""SSH for Git: key pairs and known_hosts as Flux keeps them in a Secret, and the command by which git reaches a server.

The OpenSSH client does the work. It is told everything and reads nothing of the user's: no configuration, no agent, no
known hosts but those given, and an unknown or changed host key ends the connection.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nerv import certificates
from nerv.builders import connect
from nerv.errors import NervError

PORT = 22
USER = "git"
_CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Identity:
    """A key pair: the private half as PEM (Secret key `identity`), the public half as one line (`identity.pub`)."""

    private: str = field(repr=False)
    public: str


def generate() -> Identity:
    """A new ECDSA P-384 pair, which is what Flux makes for a deploy key."""
    return identity(certificates.private_key_pem(ec.generate_private_key(ec.SECP384R1())))


def identity(private: str, passphrase: str = "") -> Identity:
    """The pair of a private key as PEM or in OpenSSH's form, without its passphrase. Raises NervError."""
    data, secret = _ended(private).encode(), passphrase.encode() or None
    load = serialization.load_pem_private_key
    if "OPENSSH PRIVATE KEY" in private:
        load = serialization.load_ssh_private_key
    try:
        key = load(data, secret)
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise NervError("ssh: no key found") from None
    if not secret:
        return Identity(_ended(private), public.decode())
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return Identity(plain.decode(), public.decode())


def place(url: str) -> tuple[str, int]:
    """Host and port of an ssh:// URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORT


def known_host(host: str, port: int, public: str) -> str:
    """The line of known_hosts for a server's public key."""
    name = host if port == PORT else f"[{host}]:{port}"
    return f"{name} {' '.join(public.split()[:2])}\n"


def command(url: str, folder: Path, identity: Identity, known_hosts: str, proxy: str = "") -> str:
    """GIT_SSH_COMMAND for `url`; writes what the client reads into `folder`, which must be private (0700).

    `proxy` is the URL of an HTTP proxy that takes CONNECT. It holds a login, so it is handed on as a file.
    """
    files = {"identity": identity.private, "known_hosts": _ended(known_hosts)}
    if proxy:
        files["proxy"] = proxy
    for name, text in files.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f'"{folder}/known_hosts"',
        "GlobalKnownHostsFile": "none",
        "UpdateHostKeys": "no",
        "IdentityAgent": "none",
        "IdentitiesOnly": "yes",
        "IdentityFile": f'"{folder}/identity"',
        "PreferredAuthentications": "publickey",
        "ConnectTimeout": str(_CONNECT_SECONDS),
        "LogLevel": "ERROR",
    }
    if urlsplit(url).username is None:
        options["User"] = USER
    if proxy:
        program = [sys.executable, "-I", "-S", connect.__file__, str(folder / "proxy")]
        options["ProxyCommand"] = f"{shlex.join(program).replace('%', '%%')} %h %p"
    given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return shlex.join(["ssh", "-F", "none", *given])


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
