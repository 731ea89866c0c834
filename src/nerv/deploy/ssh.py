"""The one SSH client: host keys pinned, time-outs, streaming, sudo, keep-alive, a new connection where one was lost.

SshError
├── Unreachable        nobody answers, or the connection was lost before a command began
├── HostKeyMismatch    somebody answers with another host key
├── LoginRefused       no key (or password) is accepted
└── ConnectionLost     the connection went while a command ran: whether it ended there is not known
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from typing_extensions import override

from nerv.deploy.trust import ALGORITHMS, HostKey
from nerv.errors import NervError
from nerv.process import Completed

CONNECT_SECONDS = 10.0
_KEEPALIVE_SECONDS = 10
_KEEPALIVE_COUNT = 3
_CLOSE_SECONDS = 5.0
_OTHER_KEY = "someone may stand in between; for a machine that you have set up anew: `nerv deploy NODE --from trust`"


class SshError(NervError):
    """SSH to a machine did not work."""


class Unreachable(SshError):
    """Nobody answers."""


class HostKeyMismatch(SshError):
    """Somebody answers with a host key that is not trusted."""


class LoginRefused(SshError):
    """The machine takes none of our keys."""


class ConnectionLost(SshError):
    """The connection went while a command ran."""


class CommandFailed(SshError):
    """A command ended with a failure; `completed` is its end."""

    def __init__(self, target: Target, command: str, completed: Completed) -> None:
        self.completed = completed
        said = (completed.stderr.strip() or completed.stdout.strip() or "no output").splitlines()[-1]
        super().__init__(f"`{command}` on {target} failed with exit code {completed.code}: {said}")


@dataclass(frozen=True)
class Target:
    """Where and as whom: user@host:port."""

    host: str
    port: int = 22
    user: str = "root"

    @classmethod
    def parse(cls, text: str) -> Target:
        """From `[user@]host[:port]`. Raises NervError."""
        found = re.fullmatch(r"(?:([a-z_][a-z0-9_-]*)@)?([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?", text)
        if not found or text.startswith("-"):
            raise NervError(f"`{text}` is not a target", "[user@]host[:port], for example root@192.168.1.10")
        return cls(found[2], int(found[3] or 22), found[1] or "root")

    @property
    def login(self) -> str:
        """user@host, as other programs take it."""
        return f"{self.user}@{self.host}"

    @override
    def __str__(self) -> str:
        return self.login if self.port == 22 else f"{self.login}:{self.port}"


@dataclass(frozen=True)
class Access:
    """What to log in with; without anything the user's agent and default keys."""

    identity: Path | None = None
    password: str = field(default="", repr=False)


async def host_keys(target: Target, timeout: float = CONNECT_SECONDS) -> list[HostKey]:
    """The host keys that a machine offers, ed25519 first. Raises Unreachable."""
    found: list[HostKey] = []
    refused: Exception = asyncssh.ConnectionLost("no host key")
    for algorithms in ALGORITHMS:
        try:
            key = await asyncio.wait_for(
                asyncssh.get_server_host_key(target.host, target.port, server_host_key_algs=algorithms), timeout
            )
        except (asyncssh.Error, ConnectionResetError) as error:
            refused = error  # it has no key of this kind: the server hangs up
            continue
        except OSError as error:
            raise _unreachable(target, error, timeout) from None
        finally:
            await _settled()
        if key is not None:
            found.append(HostKey.of(key))
    if not found:
        raise _unreachable(target, refused, timeout)
    return found


async def _settled() -> None:
    """Let asyncssh close the socket of an ended connection, which takes it some turns of the loop."""
    for _ in range(4):
        await asyncio.sleep(0)


def _unreachable(target: Target, error: Exception, timeout: float) -> Unreachable:
    if isinstance(error, TimeoutError):
        said = f"no answer within {timeout:g} s"
    elif isinstance(error, OSError) and error.errno:
        said = os.strerror(error.errno)
    else:
        said = str(error) or type(error).__name__
    hint = "is the machine on, is the address right, does sshd run?"
    return Unreachable(f"SSH to {target.host}, port {target.port}: {said}", hint)


async def connect(
    target: Target, trusted: Sequence[HostKey], access: Access, *, timeout: float = CONNECT_SECONDS
) -> asyncssh.SSHClientConnection:
    """A connection to whoever proves one of the `trusted` keys. Raises SshError."""
    identities = [str(access.identity)] if access.identity else ()
    try:
        return await asyncio.wait_for(
            asyncssh.connect(
                target.host,
                target.port,
                username=target.user,
                known_hosts=([key.key for key in trusted], [], []),
                client_keys=identities,
                password=access.password or None,
                keepalive_interval=_KEEPALIVE_SECONDS,
                keepalive_count_max=_KEEPALIVE_COUNT,
            ),
            timeout,
        )
    except asyncssh.HostKeyNotVerifiable:
        expected = " or ".join(str(key) for key in trusted)
        raise HostKeyMismatch(f"{target.host} does not prove the host key {expected}", _OTHER_KEY) from None
    except asyncssh.KeyExchangeFailed:
        # a machine without any key of the pinned kind: the same for us as a wrong key
        raise HostKeyMismatch(f"{target.host} has no host key of the kind that is pinned", _OTHER_KEY) from None
    except asyncssh.PermissionDenied:
        raise LoginRefused(
            f"{target.host} takes none of your keys for {target.user}",
            "add your public key to its authorized_keys, name another with --identity, or check `ssh-add -l`",
        ) from None
    except asyncssh.KeyImportError as error:
        raise LoginRefused(f"{access.identity or 'an SSH key'} cannot be used: {error}", "`ssh-add` it") from None
    except (OSError, asyncssh.Error) as error:
        raise _unreachable(target, error, timeout) from None
    finally:
        await _settled()


class Remote:
    """A machine to run commands on. Connects with the first command, and again where the connection was lost."""

    def __init__(self, target: Target, trusted: Sequence[HostKey], access: Access, *, elevate: str = "") -> None:
        self.target = target
        self.trusted = tuple(trusted)
        self.access = access
        self._elevate = elevate
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connecting = asyncio.Lock()

    def elevated(self, program: str) -> Remote:
        """The same machine, commands run as root through `program` (`sudo`, `doas`; "": they already are)."""
        return Remote(self.target, self.trusted, self.access, elevate=program)

    async def __aenter__(self) -> Remote:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection; the next command makes a new one."""
        connection, self._connection = self._connection, None
        if connection:
            connection.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(connection.wait_closed(), _CLOSE_SECONDS)
            await _settled()

    def _abort(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            connection.abort()

    async def connection(self) -> asyncssh.SSHClientConnection:
        """A live connection. Raises SshError."""
        async with self._connecting:
            if self._connection is None or self._connection.is_closed():
                await self.close()
                self._connection = await connect(self.target, self.trusted, self.access)
            return self._connection

    async def run(self, command: str, *, input: str = "", check: bool = True, timeout: float = 60.0) -> Completed:
        """Run a shell command to its end. Raises CommandFailed when `check` is set, SshError otherwise."""
        try:
            async with asyncio.timeout(timeout):
                child = await self._start(command)
                stdout, stderr = await child.communicate(input)
                await child.wait_closed()
        except TimeoutError:
            # closing in order would wait for the command
            self._abort()
            raise ConnectionLost(f"`{command}` on {self.target} did not end within {timeout:g} s") from None
        except (OSError, asyncssh.Error) as error:
            raise self._lost(command, error) from None
        completed = Completed(self._code(child, command), str(stdout or ""), str(stderr or ""))
        if check and completed.code:
            raise CommandFailed(self.target, command, completed)
        return completed

    async def put(self, source: Path, target: str, *, timeout: float = 600.0) -> None:
        """Copy a file to the machine, whole or not at all. Raises SshError."""
        place = shlex.quote(target)
        command = f"mkdir -p $(dirname {place}) && cat > {place}.part && mv {place}.part {place}"
        try:
            async with asyncio.timeout(timeout):
                connection = await self.connection()
                done = await connection.run(self._as_root(command), stdin=source, encoding=None)
        except TimeoutError:
            self._abort()
            said = f"{source.name} was not copied to {self.target} within {timeout:g} s"
            raise ConnectionLost(said) from None
        except (OSError, asyncssh.Error) as error:
            raise self._lost(command, error) from None
        if done.exit_status:
            told = (done.stderr or b"").decode(errors="replace") if isinstance(done.stderr, bytes) else ""
            raise CommandFailed(self.target, command, Completed(done.exit_status, "", told))

    async def lines(self, command: str) -> AsyncGenerator[str, None]:
        """The lines that a command writes, as they come, until it ends. Raises SshError when the connection goes."""
        child = None
        try:
            child = await self._start(command)
            while line := str(await child.stdout.readline()):
                yield line.rstrip("\n")
            await child.wait_closed()
            self._code(child, command)
        except (OSError, asyncssh.Error) as error:
            raise self._lost(command, error) from None
        finally:
            if child is not None:
                child.close()

    async def _start(self, command: str) -> asyncssh.SSHClientProcess[str]:
        for last in (False, True):
            connection = await self.connection()
            try:
                return await connection.create_process(self._as_root(command), encoding="utf-8", errors="replace")
            except asyncssh.ChannelOpenError as error:
                # the connection was gone before the command began: a new one is safe
                await self.close()
                if last:
                    raise self._lost(command, error) from None
        raise AssertionError("unreachable")

    def _code(self, child: asyncssh.SSHClientProcess[str], command: str) -> int:
        """The exit code; -1 where a signal ended the command. Raises ConnectionLost when it is not known."""
        if child.exit_status is None and child.exit_signal is None:
            raise ConnectionLost(f"the connection to {self.target} was lost while `{command}` ran")
        return child.exit_status if child.exit_status is not None and child.exit_status >= 0 else -1

    def _as_root(self, command: str) -> str:
        return f"{self._elevate} -n sh -c {shlex.quote(command)}" if self._elevate else command

    def _lost(self, command: str, error: Exception) -> ConnectionLost:
        said = str(error) or type(error).__name__
        return ConnectionLost(f"the connection to {self.target} was lost while `{command}` ran: {said}")
