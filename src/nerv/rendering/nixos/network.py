"""Addresses and firewall of a machine: static, by systemd-networkd; every port but SSH open to named peers alone."""

from __future__ import annotations

from collections.abc import Iterable

from nerv.components import catalog
from nerv.components.catalog import Platform
from nerv.nix.expressions import Binding
from nerv.platform.models import Node
from nerv.rendering.nixos.modules import lines, option

API_SERVER = 6443
_KUBELET = 10250
_ETCD = (2379, 2380)
_FLANNEL = 8472
_VRRP = 112
_BRIDGE = "cni0"

RENAMED = "lan0"
"""What a card is called that is known by its MAC address."""
_FIRST = "eth0"


def interface(node: Node) -> str:
    """The card that has the node's address: as named, as found by its MAC address, else the first Ethernet card."""
    return node.interface or (RENAMED if node.mac else _FIRST)


def of_host(platform: Platform, node: Node) -> list[Binding]:
    """Network of a machine."""
    return [
        option("networking.hostName", node.name),
        *_card(node),
        option("systemd.network.networks.10-lan", _address(platform, node)),
        option("networking.nameservers", [str(address) for address in platform.spec.network.name_servers]),
        option(
            "networking.firewall.extraCommands",
            lines(firewall(platform, node)),
            "Beside SSH nothing is open to the world. Traffic to Services passes by: it is forwarded, not received.",
        ),
    ]


def shared() -> list[Binding]:
    """What the network of all machines has in common."""
    return [
        option("networking.useNetworkd", True),
        option("networking.useDHCP", False),
        option(
            "services.resolved.enable",
            False,
            "/etc/resolv.conf names the real servers: pods get it from there.",
        ),
        option("networking.firewall.enable", True),
        option("networking.firewall.logRefusedConnections", False),
    ]


def _card(node: Node) -> list[Binding]:
    if node.interface:
        return []
    if node.mac:
        link = {"matchConfig": {"PermanentMACAddress": node.mac}, "linkConfig": {"Name": RENAMED}}
        return [option("systemd.network.links.10-lan", link, "The card with this address, wherever it is plugged in.")]
    return [
        option(
            "networking.usePredictableInterfaceNames",
            False,
            "Neither card nor MAC address is named in nerv.yaml: the first Ethernet card is taken.",
        )
    ]


def _address(platform: Platform, node: Node) -> dict[str, object]:
    network = platform.spec.network
    settings: dict[str, object] = {"DHCP": "no"}
    if network.api_address and node.role == "server":
        # networkd would take the shared address away from keepalived whenever it restarts
        settings["KeepConfiguration"] = "static"
    return {
        "matchConfig": {"Name": interface(node)},
        "networkConfig": settings,
        "address": [f"{node.address}/{network.cidr.prefixlen}"],
        "routes": [{"Gateway": str(network.gateway)}],
        "linkConfig": {"RequiredForOnline": "routable"},
    }


def firewall(platform: Platform, node: Node) -> str:
    """iptables commands that open the machine's ports to those who need them."""
    spec = platform.spec
    hosts = [component.host for component in catalog.enabled(platform)]
    peers = [other for other in spec.nodes if other is not node]
    servers = [other for other in peers if other.role == "server"]
    tcp = (_KUBELET, *(port for host in hosts for port in host.tcp_ports))
    udp = (_FLANNEL, *(port for host in hosts for port in host.udp_ports))
    pods = (_KUBELET, *(port for host in hosts for port in host.pod_ports))
    server = node.role == "server"
    operators = spec.network.operators or (spec.network.cidr,)
    groups: list[tuple[str, list[str]]] = [
        (
            "the nodes among themselves: kubelet, pods' network, what components ask for",
            [*_accept(_addresses(peers), "tcp", tcp), *_accept(_addresses(peers), "udp", udp)],
        )
    ]
    if server:
        callers = [*_addresses(peers), *map(str, operators)]
        groups += [
            ("the API server: nodes, and the networks of operators", _accept(callers, "tcp", (API_SERVER,))),
            ("etcd: servers", _accept(_addresses(servers), "tcp", _ETCD)),
        ]
    if server and servers and spec.network.api_address:
        rule = f"iptables -w -A nixos-fw -s {','.join(_addresses(servers))} -p {_VRRP} -j nixos-fw-accept"
        groups.append(("who holds the shared address: servers", [rule]))
    own = (*((API_SERVER,) if server else ()), *pods)
    groups.append(("pods of this machine", _accept([], "tcp", own, where=f"-i {_BRIDGE}")))
    return "".join(f"# {why}\n" + "".join(f"{rule}\n" for rule in rules) for why, rules in groups if rules)


def _accept(sources: Iterable[str], protocol: str, ports: Iterable[int], where: str = "") -> list[str]:
    named = ",".join(sources)
    place = where or (f"-s {named}" if named else "")
    if not place:
        return []
    listed = sorted(set(ports))
    match = f"--dport {listed[0]}" if len(listed) == 1 else f"-m multiport --dports {','.join(map(str, listed))}"
    return [f"iptables -w -A nixos-fw {place} -p {protocol} {match} -j nixos-fw-accept"]


def _addresses(nodes: Iterable[Node]) -> list[str]:
    return [str(node.address) for node in nodes]
