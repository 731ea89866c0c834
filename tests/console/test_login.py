"""The console asks for the platform's login before anything is served."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from nerv.console.login import Login, read_htpasswd
from nerv.errors import NervError

HASH = bcrypt.hashpw(b"right", bcrypt.gensalt(4))


async def _inner(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "inner"})


async def _ask(login: Login, header: str = "", *, kind: str = "http", path: str = "/") -> dict[str, Any]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", header.encode())] if header else []
    await login({"type": kind, "path": path, "headers": headers}, None, send)  # type: ignore[arg-type]
    return sent[0]


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def login() -> Login:
    return Login(_inner, {"admin": HASH})


@pytest.mark.parametrize(
    "header",
    ["", "Bearer x", "Basic ???", _basic("admin", "wrong"), _basic("nobody", "right"), _basic("admin", "x" * 100)],
)
async def test_without_the_credentials_nothing_is_served(login: Login, header: str) -> None:
    assert (await _ask(login, header))["status"] == 401


async def test_the_right_credentials_pass_again_and_again(login: Login) -> None:
    for _ in range(2):
        assert (await _ask(login, _basic("admin", "right")))["type"] == "inner"
    assert (await _ask(login, _basic("admin", "wrong")))["status"] == 401


async def test_sockets_are_closed_and_probes_answered(login: Login) -> None:
    assert (await _ask(login, kind="websocket")) == {"type": "websocket.close", "code": 4401}
    assert (await _ask(login, path="/healthz"))["type"] == "inner"


def test_an_htpasswd_file_without_bcrypt_is_refused(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"admin:{HASH.decode()}\n\n")
    assert read_htpasswd(users) == {"admin": HASH}
    users.write_text("admin:plain\n")
    with pytest.raises(NervError, match="no bcrypt entry"):
        read_htpasswd(users)
    with pytest.raises(NervError, match="cannot be read"):
        read_htpasswd(tmp_path / "nothing")
