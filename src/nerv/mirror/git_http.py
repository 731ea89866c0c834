"""Git's smart HTTP protocol for reading one repository (git-scm.com: Documentation/gitprotocol-http).

The git program does the work; its environment says that the repository may belong to another user (safe.directory).
"""

from __future__ import annotations

import gzip
from pathlib import Path

from nerv import process
from nerv.errors import ProcessError
from nerv.http.messages import Request, Response

_UPLOAD = "git-upload-pack"
ACTIONS = ("/info/refs", f"/{_UPLOAD}", "/git-receive-pack")
_NO_CACHE = {"Cache-Control": "no-cache, max-age=0, must-revalidate"}
_FLUSH = b"0000"


async def serve(request: Request, action: str, repository: Path) -> Response:
    """Answer `action` (the part of the path behind the repository's URL) from `repository`. Pushes are refused."""
    service = request.param("service") if action == "/info/refs" else action.strip("/")
    if service == "git-receive-pack":
        return _text(403, f"this is a mirror for reading; commit in {repository} instead\n")
    if service != _UPLOAD:
        return _text(404, "not found\n")
    variables = environment(request.headers.get("git-protocol", ""))
    try:
        if action == "/info/refs":
            return await _advertise(repository, variables)
        body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
        answer = await process.pipe(["git", "upload-pack", "--stateless-rpc", str(repository)], body, env=variables)
    except ProcessError as error:
        return _text(500, f"{error.message}\n")
    return Response(200, answer, f"application/x-{_UPLOAD}-result", _NO_CACHE)


async def _advertise(repository: Path, variables: dict[str, str]) -> Response:
    command = ["git", "upload-pack", "--stateless-rpc", "--advertise-refs", str(repository)]
    refs = await process.pipe(command, b"", env=variables)
    if "version=2" not in variables["GIT_PROTOCOL"]:
        line = f"# service={_UPLOAD}\n".encode()
        refs = b"%04x%b%b" % (len(line) + 4, line, _FLUSH) + refs
    return Response(200, refs, f"application/x-{_UPLOAD}-advertisement", _NO_CACHE)


def environment(protocol: str) -> dict[str, str]:
    """What git's upload-pack is told, over http and over ssh."""
    return {
        "GIT_PROTOCOL": protocol,
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        # shallow and single-commit fetches, as Flux makes them
        "GIT_CONFIG_KEY_1": "uploadpack.allowAnySHA1InWant",
        "GIT_CONFIG_VALUE_1": "true",
    }


def _text(status: int, text: str) -> Response:
    return Response(status, text.encode(), "text/plain; charset=utf-8")
