"""The relay: the one process inside the cluster's network and the only way in and out of it.

Started by the driver as `python -I -S -c ... <settings as JSON>`. It makes a user and a network namespace for itself
(both live as long as it does), sets up the links, and then serves:

* `egress.sock`: HTTP CONNECT from outside to any cluster address;
* `control.sock`: one JSON object a line, `{"do": ...}`, answered by one line, `{}` or `{"error": ...}`;
* DNS at the cluster's DNS address, and a listener for every route.

It dies with its parent. Imports are kept to what starts fast.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, cast

from nerv.network import dns, pods, syscalls
from nerv.network.joins import Accepted, Inward
from nerv.network.netlink import Netlink, hardware_address
from nerv.network.overrides import override
from nerv.network.routes import Inside, Route, Target, decode, resolve, table

READY = "ready"
_DNS_PORT = 53


def enter_namespaces(parent: int) -> None:
    """Become the holder of a new user and network namespace, and die with the parent."""
    user, group = os.getuid(), os.getgid()
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
    syscalls.map_user(user, group)
    syscalls.set_dumpable()
    syscalls.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the process that started the relay is gone")


class Relay:
    """The state inside the namespace: links, listeners, names, pods."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._settings = settings
        self._pod_network = ipaddress.IPv4Network(settings["pod_cidr"])
        self._service_network = ipaddress.IPv4Network(settings["service_cidr"])
        self._gateway = str(self._pod_network.network_address + 1)
        self._netlink = Netlink()
        self._zone = dns.Zone(settings["domain"], {}, {})
        self._table: dict[tuple[str, int], tuple[Target, ...]] = {}
        self._listeners: dict[tuple[str, int], asyncio.Server] = {}
        self._addresses: set[str] = set()
        self._pods: dict[str, pods.PodLink] = {}
        self._devices = 0
        self._turn = 0
        self._tasks: set[asyncio.Future[None]] = set()

    def set_up_links(self) -> None:
        """Loopback, the bridge of the pods, AnyIP for the Service network and for pods that no program runs in.

        An address that is local, and where nobody listens, refuses at once; one that nobody has would be asked for in
        vain for seconds. Pods with a network of their own are taken out of it one by one (`pods.add`).
        """
        link = self._netlink
        link.set_up("lo")
        link.add_bridge(pods.BRIDGE, hardware_address(self._gateway))
        link.add_address(pods.BRIDGE, self._gateway, self._pod_network.prefixlen)
        link.set_up(pods.BRIDGE)
        for network in (self._service_network, self._pod_network):
            link.add_local_route(str(network.network_address), network.prefixlen, "lo")
        # A pod that uses its node's network binds low ports without capabilities, as other pods do in theirs.
        Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
        # With forwarding on, a pod that dials an address outside hears "network unreachable" at once.
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    async def serve(self) -> None:
        """Open the sockets, report readiness on standard output and serve until killed."""
        loop = asyncio.get_running_loop()
        folder = Path(self._settings["run_folder"])
        os.umask(0o177)
        await loop.create_unix_server(lambda: Inward(self._resolve, self._spawn), str(folder / "egress.sock"))
        address = self._settings["dns_address"]
        await loop.create_datagram_endpoint(lambda: _DnsDatagrams(self), local_addr=(address, _DNS_PORT))
        await asyncio.start_server(self._serve_dns_stream, address, _DNS_PORT)
        await asyncio.start_unix_server(self._serve_control, str(folder / "control.sock"), limit=1 << 26)
        print(READY, flush=True)
        await loop.create_future()

    def answer_dns(self, message: bytes, size: int | None) -> bytes | None:
        return dns.answer(self._zone, message, size)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _resolve(self, host: str, port: int) -> list[Target]:
        self._turn += 1
        addresses = self._zone.lookup(host)
        targets = [target for address in addresses for target in resolve(self._table, address, port, self._turn)]
        # A Service address without a route belongs to nobody: refused, never dialled.
        return [target for target in targets if not (isinstance(target, Inside) and self._is_free(target.address))]

    def _is_free(self, address: str) -> bool:
        return address != self._settings["dns_address"] and ipaddress.IPv4Address(address) in self._service_network

    async def _serve_dns_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                response = self.answer_dns(await reader.readexactly(size), None)
                if response is None:
                    break
                writer.write(len(response).to_bytes(2, "big") + response)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        writer.close()

    async def _serve_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            try:
                answer = await self._obey(json.loads(line))
            except OSError as error:
                answer = {"error": str(error)}
            writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async def _obey(self, order: dict[str, Any]) -> dict[str, Any]:
        match order["do"]:
            case "routes":
                return await self._set_routes([decode(route) for route in order["routes"]])
            case "names":
                services = {
                    name: [dns.Service(*target) for target in targets] for name, targets in order["services"].items()
                }
                self._zone = dns.Zone(self._zone.domain, order["addresses"], services)
            case "add_pod":
                return {"network": self._add_pod(order["name"], order["address"])}
            case "remove_pod":
                if link := self._pods.pop(order["name"], None):
                    pods.remove(self._netlink, link)
        return {}

    async def _set_routes(self, routes: list[Route]) -> dict[str, Any]:
        self._table = table(routes)
        wanted = {place for place, targets in self._table.items() if targets}
        for place in self._listeners.keys() - wanted:
            self._listeners.pop(place).close()
        self._set_addresses({address for address, _ in wanted})
        problems = []
        for place in sorted(wanted - self._listeners.keys()):
            try:
                self._listeners[place] = await self._listen(*place)
            except OSError as error:
                problems.append(f"{place[0]}:{place[1]}: {error.strerror}")
        return {"error": "; ".join(problems)} if problems else {}

    async def _listen(self, address: str, port: int) -> asyncio.Server:
        def targets() -> list[Target]:
            self._turn += 1
            return resolve(self._table, address, port, self._turn)

        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Accepted(targets, self._spawn), address, port, backlog=512)

    def _set_addresses(self, listening: set[str]) -> None:
        """Give this namespace the addresses that routes listen at, beside those of the two networks, which it has."""
        own = (self._service_network, self._pod_network)
        wanted = {each for each in listening if not any(ipaddress.IPv4Address(each) in network for network in own)}
        for address in self._addresses - wanted:
            self._netlink.delete_address("lo", address, 32)
        for address in wanted - self._addresses:
            self._netlink.add_address("lo", address, 32)
        self._addresses = wanted

    def _add_pod(self, name: str, address: str) -> str:
        if name in self._pods:
            pods.remove(self._netlink, self._pods.pop(name))
        self._devices += 1
        device = f"veth{self._devices}"
        link = pods.add(self._netlink, device, address, self._pod_network.prefixlen, self._gateway)
        self._pods[name] = link
        return f"/proc/{os.getpid()}/fd/{link.descriptor}"


class _DnsDatagrams(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        response = self._relay.answer_dns(data, dns.UDP_SIZE)
        if response is not None:
            self._transport.sendto(response, addr)


def main(settings: dict[str, str]) -> None:
    """Run the relay; `settings` as `NamespaceNetwork.start` writes them."""
    enter_namespaces(int(settings["parent"]))
    relay = Relay(settings)
    relay.set_up_links()
    asyncio.run(relay.serve())


def probe(parent: int) -> None:
    """Try everything that the network and its pods need, and end: exit code 0, or one line on standard error."""
    try:
        enter_namespaces(parent)
        netlink = Netlink()
        netlink.set_up("lo")
        netlink.add_bridge(pods.BRIDGE, hardware_address("10.0.0.1"))
        netlink.add_address(pods.BRIDGE, "10.0.0.1", 24)
        netlink.set_up(pods.BRIDGE)
        pods.add(netlink, "veth0", "10.0.0.2", 24, "10.0.0.1")
        syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWIPC)
        syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("tmpfs", "/tmp", "tmpfs")
    except OSError as error:
        sys.exit(str(error))
