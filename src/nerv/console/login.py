"""Basic authentication against an htpasswd file with bcrypt hashes, before any page or socket is served.

Traefik asks for the same credentials in front; the console asks again, because other pods can reach it without Traefik.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path

import bcrypt
from starlette.types import ASGIApp, Receive, Scope, Send

from nerv.errors import NervError

_OPEN_PATHS = frozenset({"/healthz"})


def read_htpasswd(path: Path) -> dict[str, bytes]:
    """User -> bcrypt hash. Raises NervError for a missing file or a line that is no bcrypt entry."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise NervError(f"the credentials {path} cannot be read: {error.strerror}") from None
    users: dict[str, bytes] = {}
    for line in filter(None, map(str.strip, lines)):
        user, _, hashed = line.partition(":")
        if not hashed.startswith("$2"):
            raise NervError(f"{path} holds a line that is no bcrypt entry", "make it with `htpasswd -B`")
        users[user] = hashed.encode()
    return users


class Login:
    """ASGI middleware: 401 without valid credentials.

    bcrypt is slow on purpose, so what was verified once is remembered as a keyed digest of the header, never as text.
    """

    def __init__(self, app: ASGIApp, users: Mapping[str, bytes]) -> None:
        self._app = app
        self._users = users
        self._key = secrets.token_bytes(32)
        self._verified: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope.get("path") in _OPEN_PATHS or self._allowed(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4401})
        else:
            headers = [(b"www-authenticate", b'Basic realm="NERV", charset="UTF-8"'), (b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b"log in with the platform's credentials\n"})

    def _allowed(self, scope: Scope) -> bool:
        header = dict(scope["headers"]).get(b"authorization", b"")
        digest = hmac.new(self._key, header, hashlib.sha256).digest()
        if digest in self._verified:
            return True
        if self._verify(header):
            self._verified.add(digest)
            return True
        return False

    def _verify(self, header: bytes) -> bool:
        scheme, _, encoded = header.partition(b" ")
        if scheme.lower() != b"basic":
            return False
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        hashed = self._users.get(user)
        # bcrypt takes 72 bytes at most; longer passwords were never issued
        return hashed is not None and len(password.encode()) <= 72 and bcrypt.checkpw(password.encode(), hashed)
