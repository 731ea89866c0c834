"""The HTTP server over real loopback sockets."""

from __future__ import annotations

import asyncio
import inspect
import socket
import struct
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from nerv import certificates
from nerv.http import tls
from nerv.http.messages import Answer, Chunk, Request, Response, Stream, StreamWriter, Upgrade
from nerv.http.server import listen


def echo(request: Request) -> Response:
    return Response(200, f"{request.method} {request.path} {request.params} ".encode() + request.body, "text/plain")


async def exchange(port: int, data: bytes) -> bytes:
    """Everything a server says until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    return answer


async def test_request_arrives_whole() -> None:
    server = await listen(echo)
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{server.port}/a%20b?x=1&x=2&y="
        async with session.post(url, data=b"body") as answer:
            assert await answer.text() == "POST /a b {'x': ['1', '2'], 'y': ['']} body"
    await server.close()


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    gate = asyncio.Event()

    async def slow(request: Request) -> Answer:
        if request.path == "/1":
            await gate.wait()
        return Response(200, request.path.encode())

    def handler(request: Request) -> object:
        if request.path == "/2":
            gate.set()
        return slow(request)

    server = await listen(handler)
    last = b"GET /3 HTTP/1.1\r\nConnection: close\r\n\r\n"
    asyncio.get_running_loop().call_soon(gate.set)
    answer = await exchange(server.port, b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n" + last)
    assert [answer.index(path) for path in (b"/1", b"/2", b"/3")] == sorted(
        answer.index(path) for path in (b"/1", b"/2", b"/3")
    )
    await server.close()


async def test_an_answer_that_nobody_waits_for_any_more_is_closed() -> None:
    first, second, gate = asyncio.Event(), asyncio.Event(), asyncio.Event()
    answers: list[Coroutine[Any, Any, Answer]] = []

    async def slow() -> Answer:
        first.set()
        await gate.wait()
        return Response(200, b"")

    def handler(request: Request) -> Coroutine[Any, Any, Answer]:
        answers.append(slow())
        if request.path == "/2":
            second.set()
        return answers[-1]

    server = await listen(handler)
    client = socket.create_connection(("127.0.0.1", server.port))
    client.sendall(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
    await first.wait()
    # Reset, and in the same turn let the first answer be written: it fails, the next request is served all the same,
    # and the loss of the connection cancels that before its first step.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    gate.set()
    await second.wait()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)
    assert [inspect.getcoroutinestate(answer) for answer in answers] == [inspect.CORO_CLOSED] * 2
    await server.close()


async def test_malformed_request_is_refused() -> None:
    server = await listen(echo)
    assert b"400 Bad Request" in await exchange(server.port, b"NONSENSE\r\n\r\n")
    await server.close()


async def test_huge_header_is_refused() -> None:
    server = await listen(echo)
    head = b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n"
    assert b"431 " in await exchange(server.port, head)
    await server.close()


async def test_header_value_cannot_start_a_line() -> None:
    server = await listen(lambda request: Response(200, headers={"Warning": "a\r\nX-Evil: 1"}))
    answer = await exchange(server.port, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert b"\r\nX-Evil" not in answer
    await server.close()


async def test_failing_handler_answers_500(caplog: pytest.LogCaptureFixture) -> None:
    def broken(request: Request) -> Response:
        raise ValueError("secret detail")

    server = await listen(broken)
    answer = await exchange(server.port, b"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert b"500 Internal" in answer
    assert b"secret detail" not in answer
    assert "GET /x failed" in caplog.text
    await server.close()


async def test_head_has_no_body() -> None:
    server = await listen(echo)
    answer = await exchange(server.port, b"HEAD /x HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Length: 11" in answer
    await server.close()


async def test_stream_is_chunked_and_told_when_the_reader_leaves() -> None:
    writers: list[StreamWriter] = []
    left = asyncio.Event()

    def start(writer: StreamWriter) -> None:
        writer.on_close(left.set)
        writer.write(Chunk(b"one\n"))
        writers.append(writer)

    server = await listen(lambda request: Stream(start))
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{server.port}/") as answer:
        assert await answer.content.readline() == b"one\n"
        writers[0].write(Chunk(b"two\n"))
        assert await answer.content.readline() == b"two\n"
        answer.close()
    await left.wait()
    assert writers[0].closed
    await server.close()


async def test_ended_stream_leaves_the_connection_usable() -> None:
    def start(writer: StreamWriter) -> None:
        writer.write(Chunk(b"all"))
        writer.close()

    server = await listen(lambda request: Stream(start) if request.path == "/s" else echo(request))
    answer = await exchange(server.port, b"GET /s HTTP/1.1\r\n\r\nGET /n HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert b"3\r\nall\r\n0\r\n\r\nHTTP/1.1 200 OK" in answer
    await server.close()


@pytest.mark.parametrize("late", [False, True])
async def test_upgraded_connection_belongs_to_its_handler(late: bool) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data.upper())

    async def answer(request: Request) -> Answer:
        return upgrade

    upgrade = Upgrade(shout, headers={"Upgrade": "shout", "Connection": "Upgrade"})
    server = await listen(answer if late else lambda request: upgrade)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nearly")
    assert b"101 Switching" in await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(5) == b"EARLY"
    writer.write(b"later")
    assert await reader.readexactly(5) == b"LATER"
    writer.close()
    await server.close()


async def test_client_certificate_names_the_peer() -> None:
    ca = certificates.create_ca("test")
    serving = certificates.issue(ca, "localhost", names=["127.0.0.1"])
    mine = certificates.issue(ca, "alice", organizations=["devs", "ops"], client=True, server=False)
    context = tls.server_context(serving.certificate, serving.key, ca.certificate)
    server = await listen(lambda request: Response(200, repr(request.peer).encode()), ssl=context)
    url = f"https://127.0.0.1:{server.port}/"
    async with aiohttp.ClientSession() as session:
        named = tls.client_context(ca.certificate, mine.certificate, mine.key)
        async with session.get(url, ssl=named) as answer:
            assert await answer.text() == "Peer(common_name='alice', organizations=('devs', 'ops'))"
        async with session.get(url, ssl=tls.client_context(ca.certificate)) as answer:
            assert await answer.text() == "None"
    await server.close()


async def test_unix_socket_is_private(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = await listen(echo, unix=path)
    assert path.stat().st_mode & 0o777 == 0o600
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        session.get("http://x/p") as answer,
    ):
        assert await answer.text() == "GET /p {} "
    await server.close()


@pytest.mark.parametrize("secure", [False, True])
async def test_large_body_arrives_whole_and_the_next_answer_after_it(secure: bool) -> None:
    body = bytes(range(256)) * 40_000
    ca = certificates.create_ca("test")
    serving = certificates.issue(ca, "localhost", names=["127.0.0.1"])
    context = tls.server_context(serving.certificate, serving.key) if secure else None
    server = await listen(lambda request: Response(200, body if request.path == "/large" else b"small"), ssl=context)
    trusting = tls.client_context(ca.certificate) if secure else None
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trusting, limit=1 << 16)
    writer.write(b"GET /large HTTP/1.1\r\n\r\nGET /small HTTP/1.1\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert await reader.readexactly(len(body)) == body
    assert (await reader.readuntil(b"small")).startswith(b"HTTP/1.1 200 OK")
    writer.close()
    await server.close()
