"""The command lines of the control plane: what a K3s server with NERV's flags would run, on loopback. Pure.

Flags are those of the pinned versions (catalog.py). No secret stands here: keys are named by their files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nerv import documents
from nerv.engines.ports import HOST
from nerv.engines.protocol import EngineConfig
from nerv.engines.upstream.credentials import Credentials

_NODE_ADDRESSES = "InternalIP,Hostname"


@dataclass(frozen=True)
class Places:
    """Ports on loopback and files of one run."""

    etcd: int
    etcd_peer: int
    api: int
    data: Path
    """etcd's folder"""
    egress: Path
    """the egress selector's configuration"""
    admission: Path
    """the admission plugins' configuration"""


def etcd(places: Places, files: Credentials) -> list[str]:
    """One member that takes nobody without a certificate of its authority."""
    client, peer = f"https://{HOST}:{places.etcd}", f"https://{HOST}:{places.etcd_peer}"
    certificate, key = str(files.etcd.certificate), str(files.etcd.key)
    return [
        "--name=nerv",
        f"--data-dir={places.data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=nerv={peer}",
        "--client-cert-auth=true",
        f"--trusted-ca-file={files.etcd_ca}",
        f"--cert-file={certificate}",
        f"--key-file={key}",
        "--peer-client-cert-auth=true",
        f"--peer-trusted-ca-file={files.etcd_ca}",
        f"--peer-cert-file={certificate}",
        f"--peer-key-file={key}",
        "--socket-reuse-port=true",
        "--log-level=warn",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=5m",
        "--snapshot-count=10000",
    ]


def api_server(config: EngineConfig, places: Places, files: Credentials) -> list[str]:
    """Behind the egress selector: nothing that it dials leaves the cluster's own network."""
    issuer = f"https://kubernetes.default.svc.{config.cluster_domain}"
    return [
        f"--bind-address={HOST}",
        f"--advertise-address={HOST}",
        "--endpoint-reconciler-type=none",  # Endpoints must not name a loopback address
        f"--secure-port={places.api}",
        "--permit-port-sharing=true",
        f"--tls-cert-file={files.api_server.certificate}",
        f"--tls-private-key-file={files.api_server.key}",
        f"--client-ca-file={files.ca.certificate}",
        f"--etcd-servers=https://{HOST}:{places.etcd}",
        f"--etcd-cafile={files.etcd_ca}",
        f"--etcd-certfile={files.etcd_client.certificate}",
        f"--etcd-keyfile={files.etcd_client.key}",
        f"--service-cluster-ip-range={config.service_cidr}",
        f"--service-account-issuer={issuer}",
        f"--service-account-key-file={files.service_account_public_key}",
        f"--service-account-signing-key-file={files.service_account_key}",
        f"--api-audiences={issuer},k3s",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--egress-selector-config-file={places.egress}",
        *((f"--admission-control-config-file={places.admission}",) if config.admission else ()),
        "--enable-aggregator-routing=true",  # webhooks at their pods' addresses: without a ready pod it says so
        f"--kubelet-certificate-authority={files.ca.certificate}",
        f"--kubelet-client-certificate={files.kubelet_client.certificate}",
        f"--kubelet-client-key={files.kubelet_client.key}",
        f"--kubelet-preferred-address-types={_NODE_ADDRESSES}",
        f"--proxy-client-cert-file={files.front_proxy.certificate}",
        f"--proxy-client-key-file={files.front_proxy.key}",
        f"--requestheader-client-ca-file={files.front_proxy_ca}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        "--profiling=false",
    ]


def controller_manager(config: EngineConfig, files: Credentials) -> list[str]:
    """Every controller under an account of its own; it serves nothing itself."""
    return [
        f"--kubeconfig={files.controller_manager}",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={files.service_account_key}",
        f"--root-ca-file={files.ca.certificate}",
        f"--cluster-signing-cert-file={files.ca.certificate}",
        f"--cluster-signing-key-file={files.ca.key}",
        f"--cluster-cidr={config.pod_cidr}",
        f"--service-cluster-ip-range={config.service_cidr}",
        "--allocate-node-cidrs=false",  # nodes register with theirs
        "--profiling=false",
    ]


def scheduler(files: Credentials) -> list[str]:
    """The default profile."""
    return [f"--kubeconfig={files.scheduler}", "--secure-port=0", "--leader-elect=false", "--profiling=false"]


def egress_selector(socket: Path, outside: Path) -> str:
    """Kubelets, webhooks of Services, aggregated APIs and proxied Services through `socket`, which leads into the
    cluster alone; webhooks that are named by a URL (`controlplane`) through `outside`; etcd directly."""

    def connect(path: Path) -> dict[str, object]:
        return {"proxyProtocol": "HTTPConnect", "transport": {"uds": {"udsName": str(path)}}}

    return documents.dump(
        {
            "apiVersion": "apiserver.k8s.io/v1beta1",
            "kind": "EgressSelectorConfiguration",
            "egressSelections": [
                {"name": "cluster", "connection": connect(socket)},
                {"name": "controlplane", "connection": connect(outside)},
                {"name": "etcd", "connection": {"proxyProtocol": "Direct"}},
            ],
        }
    )
