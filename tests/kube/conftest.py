"""The real kubectl against a tiny server on loopback that answers from a table and keeps what it is sent."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

Answers = dict[str, Any]


@dataclass
class Answer:
    """What kubectl printed, and the bodies that it posted."""

    output: str
    errors: str
    bodies: list[bytes] = field(default_factory=list)


Kubectl = Callable[..., Awaitable[Answer]]


@pytest.fixture
def kubectl(tmp_path: Path) -> Kubectl:
    """Runs kubectl with arguments against a server that gives the answers (path -> JSON value or bytes)."""

    async def run(answers: Answers, *arguments: str) -> Answer:
        bodies: list[bytes] = []

        async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    await _serve(reader, writer, answers, bodies)
            except (asyncio.IncompleteReadError, ConnectionResetError):
                writer.close()

        server = await asyncio.start_server(connection, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "kubectl"),
            *("--server", url, f"--cache-dir={tmp_path}", *arguments),
            env={"HOME": str(tmp_path)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        server.close()
        return Answer(output.decode(), errors.decode(), bodies)

    return run


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: Answers, bodies: list[bytes]
) -> None:
    line, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    sizes = [item.partition(":")[2] for item in headers if item.lower().startswith("content-length:")]
    body = await reader.readexactly(int(sizes[0])) if sizes else b""
    method, target, _ = line.split(" ")
    answer = answers.get(target.partition("?")[0])
    status = "200 OK" if answer is not None else "404 Not Found"
    if method == "POST":
        bodies.append(body)
        status, answer = "409 Conflict", None
    if answer is None:
        answer = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": int(status[:3])}
    text = answer if isinstance(answer, bytes) else orjson.dumps(answer)
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    writer.write(head.encode() + text)


def resource_list(version: str, *kinds: tuple[str, str, bool]) -> dict[str, Any]:
    """The discovery document of one group and version: plural, kind, whether namespaced."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version,
        "resources": [
            {"name": name, "kind": kind, "namespaced": spaced, "singularName": kind.lower(), "verbs": ["create", "get"]}
            for name, kind, spaced in kinds
        ],
    }


@pytest.fixture
def discovery() -> Answers:
    """A server with Secrets, Deployments and a custom resource."""

    def group(name: str) -> dict[str, Any]:
        version = {"groupVersion": f"{name}/v1", "version": "v1"}
        return {"name": name, "versions": [version], "preferredVersion": version}

    groups = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group("apps"), group("example.com")]}
    return {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": groups,
        "/api/v1": resource_list("v1", ("secrets", "Secret", True)),
        "/apis/apps/v1": resource_list("apps/v1", ("deployments", "Deployment", True)),
        "/apis/example.com/v1": resource_list("example.com/v1", ("widgets", "Widget", True)),
    }
