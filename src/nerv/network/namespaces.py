"""Driver `namespaces`: one user and network namespace is the cluster's network, held by the relay (`relay.py`)."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nerv
from nerv import process
from nerv.errors import NervError
from nerv.network import routes
from nerv.network.driver import DialError, NameTable, NetworkConfig, PodNetwork
from nerv.network.relay import READY
from nerv.network.routes import Outside, Route, Target

_log = logging.getLogger(__name__)
_START_TIMEOUT = 10.0
_STREAM_LIMIT = 1 << 20
_MOST_DEATHS, _DEATHS_WITHIN = 3, 60.0
"""So often within so many seconds the relay is started again; more is no accident."""

PACKAGES = Path(nerv.__file__).parent.parent
"""The folder that holds the package `nerv`: programs inside the namespaces run without site-packages."""


def isolated_python(module: str, function: str, *arguments: str) -> list[str]:
    """A command that calls `module.function` with JSON read from its arguments in a bare, fast-starting Python."""
    code = (
        f"import sys; sys.path.insert(0, sys.argv[1]); import json; from {module} import {function}; "
        f"{function}(*map(json.loads, sys.argv[2:]))"
    )
    return [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", code, str(PACKAGES), *arguments]


class NamespaceNetwork:
    """The cluster's network in namespaces of its own. `start` before anything else; `stop` ends every pod with it."""

    name = "namespaces"
    gaps: tuple[str, ...] = ()

    def __init__(self, config: NetworkConfig) -> None:
        self.config = config
        self.egress_socket = config.run_folder / "egress.sock"
        self._control_socket = config.run_folder / "control.sock"
        self._relay: process.Child | None = None
        self._control: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._control_turn = asyncio.Lock()
        self._routes: list[Route] = []
        self._table: dict[tuple[str, int], tuple[Target, ...]] = {}
        self._deaths: list[float] = []
        self._names: Mapping[str, tuple[str, ...]] = {}
        self._service_names = NameTable()
        self._turn = 0

    @staticmethod
    async def available() -> str:
        """Try to make the namespaces. Returns "" or one line that says what is refused and the remedy."""
        command = isolated_python("nerv.network.relay", "probe", json.dumps(os.getpid()))
        tried = await process.run(command, check=False, timeout=_START_TIMEOUT)
        if tried.code == 0:
            return ""
        said = (tried.stderr.strip().splitlines() or ["no output"])[-1]
        return f"user namespaces are refused here: {said} ({_remedy()})"

    async def start(self) -> None:
        """Make the namespaces and wait until the relay serves. Raises NervError with the remedy where refused."""
        async with self._control_turn:
            await self._start()

    async def _start(self) -> None:
        self.config.run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for stale in (self.egress_socket, self._control_socket):
            stale.unlink(missing_ok=True)
        settings = {
            "run_folder": str(self.config.run_folder),
            "pod_cidr": self.config.pod_cidr,
            "service_cidr": self.config.service_cidr,
            "dns_address": self.config.dns_address,
            "domain": self.config.cluster_domain,
            "parent": str(os.getpid()),
        }
        self._relay = await process.start(
            isolated_python("nerv.network.relay", "main", json.dumps(settings)),
            log=self.config.run_folder / "relay.log",
            stdout=asyncio.subprocess.PIPE,
        )
        output = self._relay.handle.stdout
        assert output is not None
        line = await asyncio.wait_for(output.readline(), _START_TIMEOUT)
        if line.decode().strip() != READY:
            await self.stop()
            raise NervError(await self.available() or f"the network's relay did not start, see {self._log_file}")
        self._control = await asyncio.open_unix_connection(str(self._control_socket))

    @property
    def _log_file(self) -> Path:
        return self.config.run_folder / "relay.log"

    async def stop(self) -> None:
        """End the relay, and with it the namespaces and every pod in them."""
        if self._control:
            self._control[1].close()
            self._control = None
        if self._relay:
            await self._relay.stop(grace=0)
            self._relay = None

    async def renewed(self) -> None:
        """Return when the relay, which holds the whole network, has ended from outside and a new one serves.

        Raises NervError when it ends again and again, or cannot start any more.
        """
        assert self._relay is not None
        code = await self._relay.wait()
        now = asyncio.get_running_loop().time()
        self._deaths = [*(each for each in self._deaths if now - each < _DEATHS_WITHIN), now]
        if len(self._deaths) > _MOST_DEATHS:
            raise NervError(
                f"the cluster's network has ended {len(self._deaths)} times within a minute (exit code {code})",
                f"its words stand in {self._log_file}; `nerv up` goes on where it was",
            )
        _log.warning("the cluster's network was ended from outside (exit code %d); it is made anew", code)
        async with self._control_turn:  # orders that come meanwhile wait for the new one
            if self._control:
                self._control[1].close()
            self._relay, self._control = None, None
            await self._start()
        await self.set_routes(self._routes)
        await self._send_names()

    @property
    def pid(self) -> int:
        """The relay's process id, 0 when it does not run."""
        return self._relay.pid if self._relay else 0

    async def dial(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a cluster address or name. Raises DialError."""
        self._turn += 1
        for target in routes.resolve(self._table, host, port, self._turn):
            # What NERV itself serves is reached without the way through the namespace.
            if isinstance(target, Outside):
                try:
                    return await asyncio.open_unix_connection(target.path, limit=_STREAM_LIMIT)
                except OSError as error:
                    raise DialError(f"dial tcp {host}:{port}: connect: {error.strerror}") from error
        return await self._dial_inside(host, port)

    async def _dial_inside(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.egress_socket), limit=_STREAM_LIMIT)
        except OSError as error:
            raise DialError(f"dial tcp {host}:{port}: the cluster's network is down") from error
        writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        try:
            refusal = await _connect_answer(reader)
        except BaseException:
            writer.close()
            raise
        if refusal is not None:
            writer.close()
            raise DialError(refusal or f"dial tcp {host}:{port}: the cluster's network is down")
        return reader, writer

    async def set_routes(self, wanted: Iterable[Route]) -> None:
        """Replace the table of routes. A place that cannot be listened at is logged and tried again with the next."""
        # DNS is answered by the relay itself at the DNS Service's address.
        kept = [route for route in wanted if (route.address, route.port) != (self.config.dns_address, 53)]
        self._routes = kept
        self._table = routes.table(kept)
        try:
            await self._order({"do": "routes", "routes": [routes.encode(route) for route in kept]})
        except NervError as error:
            _log.warning("%s", error)

    async def set_names(self, names: Mapping[str, tuple[str, ...]]) -> None:
        """Replace the host names answered beside those of Services."""
        self._names = dict(names)
        await self._send_names()

    async def set_service_names(self, names: NameTable) -> None:
        """Replace the records of Services."""
        self._service_names = names
        await self._send_names()

    async def _send_names(self) -> None:
        addresses = {name.lower().rstrip("."): value for name, value in self._names.items()}
        await self._order(
            {
                "do": "names",
                "addresses": {**addresses, **self._service_names.addresses},
                "services": dict(self._service_names.services),
            }
        )

    async def add_pod(self, name: str, address: str) -> PodNetwork:
        """Make the network namespace of a pod; one of the same name is replaced."""
        answer = await self._order({"do": "add_pod", "name": name, "address": address})
        return PodNetwork(f"/proc/{self.pid}/ns/user", answer["network"], address)

    def host(self, address: str) -> PodNetwork:
        """The cluster's own network, for a pod that uses its node's (`address`)."""
        return PodNetwork(f"/proc/{self.pid}/ns/user", f"/proc/{self.pid}/ns/net", address)

    async def remove_pod(self, name: str) -> None:
        """Take it away; an unknown name is no error."""
        await self._order({"do": "remove_pod", "name": name})

    async def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        async with self._control_turn:
            if self._control is None:
                raise NervError("the cluster's network is not running")
            reader, writer = self._control
            writer.write(json.dumps(order).encode() + b"\n")
            try:
                await writer.drain()
                line = await reader.readline()
            except ConnectionError:
                line = b""
        if not line:
            raise NervError(f"the network's relay has ended, see {self._log_file}")
        answer: dict[str, Any] = json.loads(line)
        if problem := answer.get("error"):
            raise NervError(f"the cluster's network: {problem}")
        return answer


async def _connect_answer(reader: asyncio.StreamReader) -> str | None:
    """None when the relay has connected, else why not ("" when it hung up)."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return ""
    if head.split(b" ", 2)[1:2] == [b"200"]:
        return None
    return (await reader.read()).decode(errors="replace")


def _remedy() -> str:
    """What an administrator does about it, by what the kernel says."""
    switches = (
        ("kernel.unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        ("user.max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"),
        (
            "kernel.apparmor_restrict_unprivileged_userns",
            "1",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for this Python "
            "that allows userns",
        ),
    )
    for name, refusing, remedy in switches:
        file = Path("/proc/sys") / name.replace(".", "/")
        if file.exists() and file.read_text().strip() == refusing:
            return remedy
    return "in a container, allow unshare and mount in its seccomp profile, or run NERV outside of it"
