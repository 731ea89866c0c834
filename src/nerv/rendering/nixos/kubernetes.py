"""K3s: what all nodes, servers, agents and single machines are started with.

`services.k3s` of NixOS 25.05 has no options for most of it: they are flags.
"""

from __future__ import annotations

from nerv.components.catalog import Platform
from nerv.nix.expressions import Binding, Expression, Select, Variable, lift
from nerv.platform.models import Node
from nerv.rendering.nixos import disks, network, policies
from nerv.rendering.nixos.modules import flag, json, module, option, secret, written

SERVER_TOKEN = "k3s-token"
AGENT_TOKEN = "k3s-agent-token"
_LOGS = "/var/lib/rancher/k3s/server/logs"
# Of the CIS guide for K3s.
_AUDIT_LOG = {"path": f"{_LOGS}/audit.log", "maxage": "30", "maxbackup": "10", "maxsize": "100"}
# The kubelet's own demands, which it checks under --protect-kernel-defaults; then what pods need.
_KERNEL = {
    "vm.overcommit_memory": 1,
    "vm.panic_on_oom": 0,
    "kernel.panic": 10,
    "kernel.panic_on_oops": 1,
    "kernel.keys.root_maxkeys": 1000000,
    "kernel.keys.root_maxbytes": 25000000,
    "net.ipv4.ip_forward": 1,
    "fs.inotify.max_user_instances": 8192,
    "fs.inotify.max_user_watches": 524288,
}
# What the platform brings itself, or does without: MetalLB, Traefik, Longhorn.
_REPLACED = ("traefik", "servicelb", "local-storage")


def common(platform: Platform) -> str:
    """modules/k3s.nix"""
    minor = platform.spec.kubernetes.version.removeprefix("v").replace(".", "_")
    flags = ["--protect-kernel-defaults", "--kubelet-arg=streaming-connection-idle-timeout=5m"]
    return module(
        "Kubernetes on every machine.",
        [
            option("services.k3s.enable", True),
            option("services.k3s.package", Select(Variable("pkgs"), (f"k3s_{minor}",))),
            option("services.k3s.extraFlags", flags),
            option("boot.kernelModules", ["br_netfilter", "overlay"]),
            option("boot.kernel.sysctl", _KERNEL, "The kubelet does not start with other values of the first six."),
        ],
    )


def server(platform: Platform) -> str:
    """modules/k3s-server.nix"""
    return module(
        "Servers: the control plane, and pods.",
        [
            option("services.k3s.role", "server"),
            option("services.k3s.tokenFile", secret(SERVER_TOKEN)),
            option("services.k3s.extraFlags", server_flags(platform)),
            option("systemd.tmpfiles.rules", [f"d {_LOGS} 0700 root root - -"], "The audit log's folder."),
        ],
        {
            "admission": written("admission.json", json(policies.ADMISSION)),
            "audit": written("audit.json", json(policies.AUDIT)),
        },
    )


def agent(platform: Platform) -> str:
    """modules/k3s-agent.nix"""
    return module(
        "Agents: pods alone. They know no token that would let them become servers.",
        [
            option("services.k3s.role", "agent"),
            option("services.k3s.serverAddr", address(platform)),
            option("services.k3s.tokenFile", secret(AGENT_TOKEN)),
        ],
    )


def of_host(platform: Platform, node: Node) -> list[Binding]:
    """What K3s is told on one machine alone."""
    made = []
    if node is platform.spec.servers[0]:
        made.append(option("services.k3s.clusterInit", True, "The first server starts the cluster."))
    elif node.role == "server":
        made.append(option("services.k3s.serverAddr", address(platform)))
    made.append(option("services.k3s.extraFlags", host_flags(node)))
    mount = disks.data_mount(platform, node)
    if mount:
        made.append(option("systemd.services.k3s.after", [mount], "Longhorn's data is there before its pods."))
    return made


def address(platform: Platform) -> str:
    """URL of the API server."""
    return f"https://{platform.spec.cluster_address}:{network.API_SERVER}"


def server_flags(platform: Platform) -> tuple[Expression, ...]:
    """Flags that every server must have alike."""
    spec = platform.spec
    kubernetes = spec.kubernetes
    shared = [str(spec.network.api_address)] if spec.network.api_address else []
    names = [*shared, *(node.name for node in spec.servers), *kubernetes.tls_sans]
    snapshots = kubernetes.etcd_snapshots
    return (
        *(flag("disable", name) for name in _REPLACED),
        flag("cluster-cidr", str(spec.network.pod_cidr)),
        flag("service-cidr", str(spec.network.service_cidr)),
        *(flag("tls-san", name) for name in dict.fromkeys(names)),
        flag("agent-token-file", secret(AGENT_TOKEN)),
        *(("--secrets-encryption",) if kubernetes.secrets_encryption else ()),
        flag("etcd-snapshot-schedule-cron", snapshots.schedule),
        flag("etcd-snapshot-retention", str(snapshots.retention)),
        _argument("admission-control-config-file", Variable("admission")),
        _argument("audit-policy-file", Variable("audit")),
        *(_argument(f"audit-log-{key}", value) for key, value in _AUDIT_LOG.items()),
        "--kube-controller-manager-arg=terminated-pod-gc-threshold=100",
    )


def _argument(name: str, value: Expression) -> Expression:
    return flag(f"kube-apiserver-arg={name}", value)


def host_flags(node: Node) -> tuple[Expression, ...]:
    """Flags of one machine."""
    return tuple(
        lift(text)
        for text in (
            f"--node-ip={node.address}",
            f"--flannel-iface={network.interface(node)}",
            *(f"--node-label={key}={value}" for key, value in node.labels.items()),
            *(f"--node-taint={taint.key}={taint.value}:{taint.effect}" for taint in node.taints),
        )
    )
