"""What the containers of one pod share: its address, its network namespace, its volumes and a few files."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from nerv.kube.objects import Object
from nerv.network.driver import PodNetwork
from nerv.node.context import NodeContext
from nerv.node.environment import Sources
from nerv.node.rootfs import Mount
from nerv.node.volumes import PodVolumes

_HOMES = (Path("/root"), Path("/home"))
_SECRETS = tuple(Path(path) for path in ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssh", "/etc/ssl/private"))
"""What root alone may read: where NERV is run as root, its pods are root's processes, too."""


@dataclass
class Sandbox:
    """Of one pod. `pod` is always the newest object."""

    context: NodeContext
    pod: Object
    folder: Path
    """The pod's own folder: logs, volumes, files."""
    root: Path
    """An empty folder to build root file systems at."""
    sources: Sources
    volumes: PodVolumes
    address: str = ""
    _network: PodNetwork | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """The pod's unique name for the network."""
        return str(self.pod["metadata"]["uid"])

    @property
    def on_host(self) -> bool:
        """Whether the pod uses the node's own network."""
        return bool(self.pod["spec"].get("hostNetwork"))

    def pod_with_address(self) -> Object:
        """The pod as its own containers see it."""
        host = self.context.config.address
        status = {"podIP": self.address, "podIPs": [{"ip": self.address}], "hostIP": host, "hostIPs": [{"ip": host}]}
        return {**self.pod, "status": {**self.pod.get("status", {}), **status}}

    async def network(self) -> PodNetwork:
        """The network that programs are started in; made when first asked for."""
        if self._network is None:
            network = self.context.network
            self._network = (
                network.host(self.address) if self.on_host else await network.add_pod(self.key, self.address)
            )
        return self._network

    def forget_network(self) -> None:
        """The cluster's network was made anew: what is started from now on gets one in it."""
        self._network = None

    async def close(self) -> None:
        """Take the network and the files away."""
        if self._network is not None and not self.on_host:
            await self.context.network.remove_pod(self.key)
        self._network = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def hidden(self) -> tuple[Path, ...]:
        """What no program may see: homes, NERV's own folders and sockets, and what the configuration says."""
        config = self.context.config
        own = (config.folder, config.claims, config.run_folder, self.context.network.config.run_folder)
        return (*_HOMES, *_SECRETS, Path.home(), *own, *config.hidden)

    def files(self) -> tuple[Mount, ...]:
        """/etc/resolv.conf, /etc/hosts and /etc/hostname, as the kubelet writes them."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = []
        for name, text in (("resolv.conf", self._resolver()), ("hosts", self._hosts()), ("hostname", self._hostname())):
            path = self.folder / name
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
            found.append(Mount(str(path), f"/etc/{name}", read_only=True))
        return tuple(found)

    def _hostname(self) -> str:
        return str(self.pod["spec"].get("hostname") or self.pod["metadata"]["name"]) + "\n"

    def _resolver(self) -> str:
        config = self.context.network.config
        namespace, domain = self.pod["metadata"]["namespace"], config.cluster_domain
        servers, searches, options = [config.dns_address], [f"{namespace}.svc.{domain}", f"svc.{domain}", domain], []
        options = ["ndots:5"]
        extra = self.pod["spec"].get("dnsConfig") or {}
        if self.pod["spec"].get("dnsPolicy") == "None":
            servers, searches, options = [], [], []
        servers += extra.get("nameservers", [])
        searches += extra.get("searches", [])
        options += [
            f"{option['name']}:{option['value']}" if option.get("value") else option["name"]
            for option in extra.get("options", [])
        ]
        lines = [f"nameserver {server}" for server in servers]
        lines += [f"search {' '.join(searches)}"] if searches else []
        lines += [f"options {' '.join(options)}"] if options else []
        return "\n".join(lines) + "\n"

    def _hosts(self) -> str:
        spec = self.pod["spec"]
        own = self._hostname().strip()
        names = own
        if spec.get("subdomain"):
            namespace, domain = self.pod["metadata"]["namespace"], self.context.network.config.cluster_domain
            names = f"{own}.{spec['subdomain']}.{namespace}.svc.{domain}\t{own}"
        lines = ["# Kubernetes-managed hosts file.", "127.0.0.1\tlocalhost", f"{self.address}\t{names}"]
        for alias in spec.get("hostAliases", []):
            lines.append(f"{alias['ip']}\t{chr(9).join(alias.get('hostnames', []))}")
        return "\n".join(lines) + "\n"
