"""What `nerv.yaml` says, apart from components (their settings live in their rooms, see nerv.components.catalog)."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import Field

from nerv.platform import versions
from nerv.platform.base import Model
from nerv.platform.types import (
    Address,
    AgeRecipient,
    Branch,
    Device,
    Domain,
    Duration,
    GitUrl,
    Interface,
    LabelKey,
    LabelValue,
    Locale,
    Mac,
    Name,
    Network,
    Schedule,
    ServerName,
    SshKey,
    TimeZone,
    Unique,
)


class Metadata(Model):
    """Who the platform is."""

    name: Name
    """The platform's name: its folder in clusters/, its keys' folder, the first word of its certificates."""


class Disk(Model):
    """A disk of a node."""

    device: Device
    """Device path; /dev/disk/by-id/... stays the same when disks are added."""
    purpose: Literal["system", "storage"] = "system"
    """`system` is partitioned for NixOS, `storage` is mounted where Longhorn keeps its data."""


class Taint(Model):
    """Keeps pods without a matching toleration away from a node."""

    key: LabelKey
    """For example dedicated."""
    value: LabelValue = ""
    """For example database."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"
    """What happens to pods that do not tolerate it."""


class Node(Model):
    """A machine."""

    name: Name
    """Host name, unique in the platform."""
    role: Literal["server", "agent"] = "server"
    """`server` runs the control plane (and pods), `agent` runs pods only."""
    address: Address
    """IPv4 address in spec.network.cidr."""
    mac: Mac | None = None
    """MAC address of the network card, to wake and to find the machine."""
    interface: Interface | None = None
    """Name of the network card; without it the one that has the MAC address, else the first."""
    architecture: Literal["x86_64", "aarch64"] = "x86_64"
    """Processor architecture."""
    firmware: Literal["uefi", "bios"] = "uefi"
    """How the machine starts: decides partitions and boot loader."""
    disks: Annotated[tuple[Disk, ...], Field(min_length=1)] = (Disk(device="/dev/sda"),)
    """Disks that NERV may use; everything on them is erased by the installation."""
    labels: dict[LabelKey, LabelValue] = Field(default={})
    """Kubernetes labels of the node."""
    taints: tuple[Taint, ...] = ()
    """Kubernetes taints of the node."""


class NetworkSettings(Model):
    """The network that nodes live in, and the cluster's own networks."""

    cidr: Network
    """The nodes' network."""
    gateway: Address
    """Router of that network."""
    dns: Annotated[tuple[Address, ...], Unique] = ()
    """Name servers of the nodes; without any the gateway."""
    pod_cidr: Network = Field(default="10.42.0.0/16", validate_default=True)
    """Addresses of pods."""
    service_cidr: Network = Field(default="10.43.0.0/16", validate_default=True)
    """Addresses of Services."""
    api_address: Address | None = None
    """Virtual address of the API server, needed with more than one server."""
    operators: Annotated[tuple[Network, ...], Unique] = ()
    """Networks that may reach the API server; without any the nodes' own. SSH is open to all, with keys only."""

    @property
    def name_servers(self) -> tuple[IPv4Address, ...]:
        """`dns`, or the gateway where nothing is said."""
        return self.dns or (self.gateway,)


class NixosSettings(Model):
    """The operating system of all nodes."""

    version: versions.NixosRelease = versions.NIXOS
    """NixOS release."""
    state_version: versions.NixosRelease = versions.NIXOS
    """system.stateVersion: the release that the machines were first installed with; never raise it."""
    ssh_keys: Annotated[tuple[SshKey, ...], Unique] = ()
    """Public keys that may log in as root; `nerv deploy` needs one."""
    time_zone: TimeZone = "UTC"
    """For example Europe/Berlin."""
    locale: Locale = "en_US.UTF-8"
    """For example de_DE.UTF-8."""
    automatic_updates: Literal["off", "packages", "packages-and-kernel"] = "off"
    """Every night the newest packages of the release, one node after another; with the kernel a node also restarts."""


class EtcdSnapshots(Model):
    """Copies of the cluster's data that K3s makes on every server."""

    schedule: Schedule = "0 */6 * * *"
    """When, as in cron."""
    retention: Annotated[int, Field(ge=1, le=1000)] = 28
    """How many are kept on each server."""


class KubernetesSettings(Model):
    """K3s."""

    version: versions.KubernetesMinor = versions.KUBERNETES
    """Minor version; the NixOS release carries its newest patch."""
    tls_sans: Annotated[tuple[ServerName, ...], Unique] = ()
    """More names and addresses that the API server is reached by; its certificate names them."""
    secrets_encryption: bool = True
    """Keep Secrets encrypted in etcd."""
    etcd_snapshots: EtcdSnapshots = EtcdSnapshots()
    """Copies of the cluster's data."""


class RepositorySettings(Model):
    """The Git repository that Flux reconciles."""

    url: GitUrl
    """https:// (with a token) or ssh:// (with a deploy key)."""
    branch: Branch = "main"
    """Branch that Flux follows."""
    provider: Literal["github", "generic"] = "github"
    """Who hosts it: decides how `nerv deploy` makes the repository and its key."""
    auth: Literal["token", "deployKey"] | None = None
    """How Flux logs in; without it by the URL: https is a token, ssh a deploy key."""
    interval: Duration = "1m0s"
    """How often Flux looks for commits."""

    @property
    def login(self) -> Literal["token", "deployKey"]:
        """`auth`, or what the URL asks for."""
        return self.auth or ("deployKey" if self.url.startswith("ssh://") else "token")


class SecretsSettings(Model):
    """Who can read the encrypted files."""

    recipients: Annotated[tuple[AgeRecipient, ...], Unique] = ()
    """age public keys of more people; the operator's own key and Flux's are always in."""


class PlatformSpec(Model):
    """The platform apart from its components."""

    domain: Domain
    """Dashboards are served below it, for example https://longhorn.<domain>."""
    nodes: Annotated[tuple[Node, ...], Field(min_length=1)]
    """The machines. The first server starts the cluster."""
    network: NetworkSettings
    """Networks and addresses."""
    nixos: NixosSettings = NixosSettings()
    """The operating system."""
    kubernetes: KubernetesSettings = KubernetesSettings()
    """The Kubernetes distribution (K3s)."""
    repository: RepositorySettings
    """Where the rendered files live."""
    secrets: SecretsSettings = SecretsSettings()
    """Encryption of secrets."""

    @property
    def servers(self) -> tuple[Node, ...]:
        """Nodes with the control plane."""
        return tuple(node for node in self.nodes if node.role == "server")

    @property
    def cluster_address(self) -> IPv4Address:
        """Where the API server answers: the virtual address, else the first server."""
        return self.network.api_address or self.servers[0].address


class BasePlatform(Model):
    """A definition as rooms see it: all but the settings of other components."""

    api_version: Literal["nerv.dev/v1"]
    """Format of this file."""
    kind: Literal["Platform"]
    """Always Platform."""
    metadata: Metadata
    """The platform's name."""
    spec: PlatformSpec
    """What the platform is."""

    @property
    def name(self) -> str:
        """metadata.name"""
        return self.metadata.name

    @property
    def cluster_path(self) -> str:
        """Folder of the cluster in the repository."""
        return f"clusters/{self.metadata.name}"

    def host(self, label: str) -> str:
        """Name of a dashboard below the platform's domain."""
        return f"{label}.{self.spec.domain}"
