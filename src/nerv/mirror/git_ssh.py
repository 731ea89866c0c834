"""Git over SSH for reading one repository: `git-upload-pack` and nothing else, for any user and any key.

The server is asyncssh, the work is git's. Anybody in the cluster may read here, as over https: what protects the
repository is that only the cluster's network leads to this socket.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import socket
from collections.abc import Callable
from pathlib import Path

import asyncssh
from typing_extensions import override

from nerv import process
from nerv.mirror.git_http import environment

_CHUNK = 1 << 16
_log = logging.getLogger(__name__)


class _Anybody(asyncssh.SSHServer):
    @override
    def begin_auth(self, username: str) -> bool:
        return True

    @override
    def public_key_auth_supported(self) -> bool:
        return True

    @override
    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return True


async def listen(unix: Path, host_key: str, find: Callable[[str], Path | None]) -> asyncssh.SSHAcceptor:
    """Serve on a unix socket. `find` gives the repository that a path names, or None."""
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    unix.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(unix))
    unix.chmod(0o600)

    async def serve(client: asyncssh.SSHServerProcess[bytes]) -> None:
        client.exit(await _run(client, find))

    return await asyncssh.listen(
        sock=listener,
        server_factory=_Anybody,
        server_host_keys=[asyncssh.import_private_key(host_key)],
        process_factory=serve,
        encoding=None,
        config=None,
        allow_pty=False,
        agent_forwarding=False,
    )


async def _run(client: asyncssh.SSHServerProcess[bytes], find: Callable[[str], Path | None]) -> int:
    """The exit code of what the client asked for."""
    try:
        words = shlex.split(client.command or "")
    except ValueError:
        words = []
    if len(words) != 2 or words[0] not in ("git-upload-pack", "git-receive-pack"):
        return _refuse(client, "only git-upload-pack is served here")
    repository = find(words[1])
    if repository is None:
        return _refuse(client, f"repository '{words[1]}' not found")
    if words[0] == "git-receive-pack":
        return _refuse(client, f"this is a mirror for reading; commit in {repository} instead")
    child = await process.start(
        ["git", "upload-pack", str(repository)],
        env=environment(client.env.get("GIT_PROTOCOL", "")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await exchange(client, child.handle)
        return await child.wait()
    except (ConnectionError, asyncssh.BreakReceived, asyncssh.DisconnectError):
        return 1  # the client has gone
    finally:
        await child.stop(0)


async def exchange(client: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> None:
    """Join a client with a git that serves it, until git has said everything."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    stdin = child.stdin

    async def take() -> None:
        while data := await client.stdin.read(_CHUNK):
            stdin.write(data)
            await stdin.drain()
        stdin.close()

    async def give(source: asyncio.StreamReader, target: asyncssh.SSHWriter[bytes]) -> None:
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()

    taking = asyncio.ensure_future(take())
    try:
        # git ends its output when it is done, whatever the client still sends
        await asyncio.gather(give(child.stdout, client.stdout), give(child.stderr, client.stderr))
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)


def _refuse(client: asyncssh.SSHServerProcess[bytes], why: str) -> int:
    _log.info("ssh: %s", why)
    client.stderr.write(f"fatal: {why}\n".encode())
    return 128
