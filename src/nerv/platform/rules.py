"""Cross-field rules of nodes, networks and repository. Components have theirs in their rooms."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Any

from nerv.platform.findings import Finding, Rule
from nerv.platform.models import BasePlatform, Node

_NODES = ("spec", "nodes")
_NETWORK = ("spec", "network")


def _duplicates(platform: BasePlatform) -> Iterator[Finding]:
    keys: tuple[tuple[str, str, Callable[[Node], Any]], ...] = (
        ("name", "name", lambda node: node.name),
        ("address", "address", lambda node: node.address),
        ("mac", "MAC address", lambda node: node.mac),
    )
    for key, words, read in keys:
        seen: dict[Any, str] = {}
        for position, node in enumerate(platform.spec.nodes):
            value = read(node)
            if value is None:
                continue
            if value in seen:
                hint = "every node needs its own"
                said = f"node `{seen[value]}` has the {words} {value} already" if key != "name" else ""
                yield Finding((*_NODES, position, key), said or f"two nodes are named `{value}`", hint)
            else:
                seen[value] = node.name


def _servers(platform: BasePlatform) -> Iterator[Finding]:
    spec = platform.spec
    if not spec.servers:
        yield Finding((*_NODES, 0, "role"), "agents without a server", "give one node the role server")
    elif len(spec.servers) % 2 == 0:
        count = len(spec.servers)
        hint = "one fewer survives as many failures, one more survives one more"
        yield Finding(_NODES, f"{count} servers: etcd needs an odd number", hint)
    if len(spec.servers) > 1 and spec.network.api_address is None:
        hint = "a free address of the nodes' network that the servers share"
        yield Finding(_NETWORK, "`apiAddress` is needed with more than one server", hint)


def _node_addresses(platform: BasePlatform) -> Iterator[Finding]:
    network = platform.spec.network
    for position, node in enumerate(platform.spec.nodes):
        path = (*_NODES, position, "address")
        yield from _host_address(platform, node.address, path, f"node `{node.name}`")
        if node.address == network.gateway:
            yield Finding(path, f"node `{node.name}` has the gateway's address", f"{network.gateway} is the router")


def _network_addresses(platform: BasePlatform) -> Iterator[Finding]:
    network = platform.spec.network
    yield from _host_address(platform, network.gateway, (*_NETWORK, "gateway"), "the gateway")
    api = network.api_address
    if api is None:
        return
    path = (*_NETWORK, "apiAddress")
    yield from _host_address(platform, api, path, "the API address")
    if api == network.gateway:
        yield Finding(path, "the API address is the gateway's", "choose a free address")
    for node in platform.spec.nodes:
        if node.address == api:
            yield Finding(path, f"the API address is that of node `{node.name}`", "choose a free address")


def _host_address(
    platform: BasePlatform, address: IPv4Address, path: tuple[str | int, ...], who: str
) -> Iterator[Finding]:
    cidr = platform.spec.network.cidr
    if address not in cidr:
        yield Finding(path, f"{address} of {who} is not in the nodes' network {cidr}", "see spec.network.cidr")
    elif cidr.prefixlen < 31 and address in (cidr.network_address, cidr.broadcast_address):
        yield Finding(path, f"{address} of {who} is the first or last of {cidr}", "hosts cannot have it")


def _cidrs(platform: BasePlatform) -> Iterator[Finding]:
    network = platform.spec.network
    named = (("cidr", network.cidr), ("podCidr", network.pod_cidr), ("serviceCidr", network.service_cidr))
    for position, (key, cidr) in enumerate(named):
        for other, taken in named[:position]:
            if cidr.overlaps(taken):
                hint = "networks of nodes, pods and Services must not share addresses"
                yield Finding((*_NETWORK, key), f"`{key}` {cidr} overlaps `{other}` {taken}", hint)


def _repository_login(platform: BasePlatform) -> Iterator[Finding]:
    repository = platform.spec.repository
    if repository.auth == "token" and repository.url.startswith("ssh://"):
        hint = "a token needs https://, ssh:// needs `auth: deployKey`"
        yield Finding(("spec", "repository", "auth"), "a token cannot be used with an ssh:// URL", hint)
    if repository.auth == "deployKey" and repository.url.startswith("https://"):
        hint = "a deploy key needs ssh://, https:// needs `auth: token`"
        yield Finding(("spec", "repository", "auth"), "a deploy key cannot be used with an https:// URL", hint)
    if repository.provider == "github" and "github" not in repository.url:
        hint = "set `provider: generic` for other hosts"
        yield Finding(("spec", "repository", "url"), "the provider is github, the URL is not GitHub's", hint)


def _disks(platform: BasePlatform) -> Iterator[Finding]:
    for position, node in enumerate(platform.spec.nodes):
        path = (*_NODES, position, "disks")
        devices = [disk.device for disk in node.disks]
        for index, device in enumerate(devices):
            if device in devices[:index]:
                yield Finding((*path, index, "device"), f"disk {device} of node `{node.name}` stands twice")
        if sum(disk.purpose == "system" for disk in node.disks) != 1:
            yield Finding(path, f"node `{node.name}` needs exactly one system disk", "`purpose: system`")
        if sum(disk.purpose == "storage" for disk in node.disks) > 1:
            hint = "Longhorn's data lies in one folder: leave one, more can be added in Longhorn"
            yield Finding(path, f"node `{node.name}` has more than one storage disk", hint)


def _firmware(platform: BasePlatform) -> Iterator[Finding]:
    for position, node in enumerate(platform.spec.nodes):
        if node.firmware == "bios" and node.architecture == "aarch64":
            path = (*_NODES, position, "firmware")
            yield Finding(path, f"node `{node.name}` is aarch64, which has no BIOS", "leave `firmware` out")


# what a kubelet may say of itself; with any other label of Kubernetes' own domains it does not start
_OWN_DOMAINS = re.compile(r"(?:^|\.)(?:kubernetes|k8s)\.io$")
_KUBELET_PREFIXES = re.compile(r"(?:^|\.)(?:kubelet|node)\.kubernetes\.io$")
_KUBELET_LABELS = {
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
}


def _labels(platform: BasePlatform) -> Iterator[Finding]:
    for position, node in enumerate(platform.spec.nodes):
        for key in node.labels:
            prefix = key.rpartition("/")[0]
            if not _OWN_DOMAINS.search(prefix) or _KUBELET_PREFIXES.search(prefix) or key in _KUBELET_LABELS:
                continue
            path = (*_NODES, position, "labels", key)
            hint = "use a prefix of your own domain, or set it with `kubectl label node`"
            yield Finding(path, f"a node may not give itself the label `{key}`: its kubelet would not start", hint)


# touched only where the whole list was refused: a node that was taken out does not make the others wrong
_SOME_NODES = (*_NODES, "any")

RULES: tuple[Rule[Any], ...] = (
    Rule(_duplicates),
    Rule(_servers, reads=(_NODES, (*_NETWORK, "apiAddress"))),
    Rule(_node_addresses, reads=(_NETWORK, _SOME_NODES)),
    Rule(_network_addresses, reads=(_NETWORK,)),
    Rule(_cidrs, reads=(_NETWORK,)),
    Rule(_repository_login, reads=(("spec", "repository"),)),
    Rule(_disks, reads=(_NODES,)),
    Rule(_firmware, reads=(_NODES,)),
    Rule(_labels, reads=(_NODES,)),
)
