"""The ProxyCommand of ssh: a connection through an HTTP proxy (CONNECT), on standard input and output.

Run as a program, on the standard library alone: `python -I -S connect.py FILE host port`. The file holds the
proxy's URL with its login, which arguments would show to every user of the machine.
"""

from __future__ import annotations

import base64
import os
import selectors
import socket
import sys
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

_SECONDS = 20.0
_CHUNK = 1 << 16


def main(file: str, host: str, port: str) -> int:
    """Connect and copy until either end closes. The proxy's refusal goes to standard error."""
    try:
        parts = urlsplit(Path(file).read_text(encoding="utf-8"))
        with socket.create_connection((parts.hostname, parts.port), _SECONDS) as server:
            server.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{_login(parts)}\r\n".encode())
            head, rest = _answer(server)
            if head.split(" ")[1:2] != ["200"]:
                print(f"connect: {rest.decode(errors='replace').strip() or head}", file=sys.stderr)
                return 1
            server.settimeout(None)
            os.write(1, rest)
            _copy(server)
    except OSError as error:
        print(f"connect: {host}:{port} cannot be reached: {error}", file=sys.stderr)
        return 1
    return 0


def _login(proxy: SplitResult) -> str:
    """The header that says who asks; empty for a proxy that asks nobody."""
    if proxy.username is None:
        return ""
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}\r\n"


def _answer(server: socket.socket) -> tuple[str, bytes]:
    """The first line of the proxy's answer, and what came after its head (of a refusal: the whole text)."""
    read = b""
    while b"\r\n\r\n" not in read:
        data = server.recv(_CHUNK)
        if not data:
            break
        read += data
    head, _, rest = read.partition(b"\r\n\r\n")
    line = head.decode("latin-1").partition("\r\n")[0]
    if line.split(" ")[1:2] != ["200"]:
        while data := server.recv(_CHUNK):
            rest += data
    return line, rest


def _copy(server: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(server, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == 0:
                    data = os.read(0, _CHUNK)
                    if data:
                        server.sendall(data)
                    else:
                        selector.unregister(0)
                        server.shutdown(socket.SHUT_WR)
                else:
                    data = server.recv(_CHUNK)
                    if not data:
                        return
                    while data:
                        data = data[os.write(1, data) :]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
