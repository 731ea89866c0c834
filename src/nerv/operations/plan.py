"""What the running half needs from the definition, as plain values: it never sees the definition itself."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, summarize_address_range
from pathlib import Path

from nerv.components import catalog, cert_manager, definition, longhorn, metallb, traefik
from nerv.components.catalog import Platform
from nerv.components.cert_manager import resources as cert_manager_resources
from nerv.components.longhorn import resources as longhorn_resources
from nerv.components.site import Program
from nerv.mirror import ChartOrigin
from nerv.operations.bootstrap import Repository
from nerv.operations.folder import PlatformFolder
from nerv.platform import versions
from nerv.platform.models import Node

CLUSTER_DOMAIN = "cluster.local"
_DNS_HOST = 10
"""K3s gives cluster DNS the tenth address of the Service network."""


@dataclass(frozen=True)
class NodePlan:
    """One machine."""

    name: str
    address: str
    roles: tuple[str, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """One platform as the running half sees it."""

    name: str
    nodes: tuple[NodePlan, ...]
    pod_cidr: str
    service_cidr: str
    repository_url: str
    branch: str
    cluster_path: str
    charts: tuple[ChartOrigin, ...]
    programs: tuple[Program, ...]
    authority_secret: tuple[str, str]
    """namespace and name of the Secret of the dashboards' certificate authority"""
    dashboards: tuple[str, ...]
    """host names that answer on this machine once everything is ready"""
    machine_networks: tuple[IPv4Network, ...]
    """addresses of nodes, of the API server and of load balancers in the network of the machines"""
    cluster_domain: str = CLUSTER_DOMAIN

    @property
    def api_address(self) -> str:
        """The Service `kubernetes` has the first address."""
        return str(IPv4Network(self.service_cidr)[1])

    @property
    def dns_address(self) -> str:
        return str(IPv4Network(self.service_cidr)[_DNS_HOST])

    @property
    def mirror_address(self) -> str:
        """Where the cluster's DNS leads the mirrored hosts: the last Service address that nothing is given."""
        return str(IPv4Network(self.service_cidr)[-2])

    @property
    def networks(self) -> tuple[IPv4Network, ...]:
        """Every address that is the cluster's own."""
        return (IPv4Network(self.pod_cidr), IPv4Network(self.service_cidr), *self.machine_networks)

    def node_pod_cidr(self, number: int) -> str:
        """Each node has a /24 of the pods' network, as Kubernetes hands them out."""
        return str(next(itertools.islice(IPv4Network(self.pod_cidr).subnets(new_prefix=24), number, None)))

    def repository(self, root: Path) -> Repository:
        """The platform's own repository in `root`."""
        return Repository(root, self.branch, self.cluster_path)


def load(folder: PlatformFolder) -> Plan:
    """The plan of a folder's definition. Raises ProblemsError, NervError."""
    return of(definition.load(folder.definition))


def of(platform: Platform) -> Plan:
    """The plan of a definition."""
    spec = platform.spec
    return Plan(
        name=platform.name,
        nodes=tuple(_node(node) for node in spec.nodes),
        pod_cidr=str(spec.network.pod_cidr),
        service_cidr=str(spec.network.service_cidr),
        repository_url=spec.repository.url,
        branch=spec.repository.branch,
        cluster_path=platform.cluster_path,
        charts=charts(),
        programs=tuple(program for component in catalog.enabled(platform) for program in component.programs),
        dashboards=dashboards(platform),
        authority_secret=(cert_manager_resources.NAMESPACE, cert_manager_resources.issuer(platform.name)),
        machine_networks=_machine_networks(platform),
    )


def dashboards(platform: Platform) -> tuple[str, ...]:
    """Longhorn's own pages are the console's here, so that without the console nobody serves them."""
    console = platform.spec.components.console.enabled
    found = (each for each in catalog.served(platform) if console or each.namespace != longhorn_resources.NAMESPACE)
    return tuple(platform.host(each.label) for each in found)


def _machine_networks(platform: Platform) -> tuple[IPv4Network, ...]:
    spec = platform.spec
    virtual = (spec.network.api_address,) if spec.network.api_address else ()
    single = (IPv4Network(address) for address in (*(node.address for node in spec.nodes), *virtual))
    pools = (summarize_address_range(each.first, each.last) for each in spec.components.metallb.pool)
    return (*single, *itertools.chain.from_iterable(pools))


def _node(node: Node) -> NodePlan:
    # K3s' roles: a server with embedded etcd carries all three
    roles = ("control-plane", "etcd", "master") if node.role == "server" else ()
    return NodePlan(node.name, str(node.address), roles, dict(node.labels))


def charts() -> tuple[ChartOrigin, ...]:
    """Every pinned chart with its stand-in."""
    rooms = (
        (versions.METALLB, metallb),
        (versions.TRAEFIK, traefik),
        (versions.LONGHORN, longhorn),
        (versions.CERT_MANAGER, cert_manager),
    )
    return tuple(
        ChartOrigin(chart.repository, chart.name, chart.version, Path(next(iter(room.__path__))) / "standin")
        for chart, room in rooms
    )
