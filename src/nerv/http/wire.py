"""Answers as bytes of HTTP/1.1."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from nerv.http.messages import Response, Stream, Upgrade

LARGE = 1 << 20
"""Bodies from this many bytes on are sent in slices, as fast as the reader takes them: under TLS the transport would
hold a second copy of all that is not yet taken."""
SLICE = 256 << 10
_SMALL = 64 << 10
"""Bodies up to this many bytes are copied behind their head: one write is cheaper than two."""
_REASONS = {status.value: status.phrase for status in HTTPStatus}


def write_response(transport: asyncio.Transport, method: str, answer: Response, keep_alive: bool) -> None:
    """Send a whole answer; none to HEAD but its head."""
    first = response_head(answer, keep_alive)
    if method == "HEAD" or not answer.body:
        transport.write(first)
    elif len(answer.body) <= _SMALL:
        transport.write(first + answer.body)
    else:
        transport.write(first)
        transport.write(answer.body)


def response_head(answer: Response, keep_alive: bool) -> bytes:
    """The head of an answer of known length."""
    head = _head(answer.status, answer.content_type, answer.headers, keep_alive)
    if answer.status not in (204, 304):
        head.append(f"Content-Length: {len(answer.body)}\r\n")
    head.append("\r\n")
    return "".join(head).encode("latin-1", "replace")


def stream_head(answer: Stream, keep_alive: bool) -> bytes:
    """The head of a chunked answer."""
    head = _head(answer.status, answer.content_type, answer.headers, keep_alive)
    head.append("Transfer-Encoding: chunked\r\n\r\n")
    return "".join(head).encode("latin-1", "replace")


def upgrade_head(answer: Upgrade) -> bytes:
    """The head that ends HTTP on this connection."""
    head = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, '')}\r\n"]
    head += [f"{name}: {value}\r\n" for name, value in answer.headers.items()]
    head.append("\r\n")
    return "".join(head).encode("latin-1", "replace")


def _head(status: int, content_type: str, headers: Mapping[str, str], keep_alive: bool) -> list[str]:
    head = [f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n"]
    if content_type:
        head.append(f"Content-Type: {content_type}\r\n")
    if headers:
        # a header value can hold what a client wrote (a name, a warning): it must not start a line of its own
        head += [f"{name}: {value.translate(_NO_LINES)}\r\n" for name, value in headers.items()]
    if not keep_alive:
        head.append("Connection: close\r\n")
    return head


_NO_LINES = {ord("\r"): " ", ord("\n"): " "}
