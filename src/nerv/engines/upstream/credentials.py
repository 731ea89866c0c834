"""Certificates, keys and kubeconfigs of the control plane's own processes, as the files that they read (0600).

Three authorities that do not know each other: the cluster's (given, kept: kubeconfigs of users hang on it), etcd's and
the front proxy's. The last two are nobody's but these processes', so all of theirs is made anew at every start and
never comes to its end.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nerv import certificates
from nerv.certificates import KeyPair
from nerv.engines.ports import HOST
from nerv.engines.protocol import EngineConfig
from nerv.kube import kubeconfig


@dataclass(frozen=True)
class Files:
    """A certificate and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Credentials:
    """Where everything lies."""

    ca: Files
    api_server: Files
    kubelet_client: Files
    service_account_key: Path
    service_account_public_key: Path
    etcd_ca: Path
    etcd: Files
    """Serves clients and peers."""
    etcd_client: Files
    front_proxy_ca: Path
    front_proxy: Files
    controller_manager: Path
    """kubeconfig"""
    scheduler: Path
    """kubeconfig"""


def write(folder: Path, config: EngineConfig, server: str) -> Credentials:
    """Make and write all of it below `folder`, made 0700."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    etcd_ca = certificates.create_ca("nerv-etcd-ca")
    front_proxy_ca = certificates.create_ca("nerv-front-proxy-ca")
    etcd = certificates.issue(etcd_ca, "etcd", names=["localhost", HOST], client=True)
    etcd_client = certificates.issue(etcd_ca, "kube-apiserver-etcd-client", client=True, server=False)
    front_proxy = certificates.issue(front_proxy_ca, "front-proxy-client", client=True, server=False)
    return Credentials(
        ca=_pair(folder, "ca", config.ca),
        api_server=_pair(folder, "kube-apiserver", config.serving),
        kubelet_client=_pair(folder, "kubelet-client", config.kubelet_client),
        service_account_key=write_private(folder / "service-account.key", config.service_account_key),
        service_account_public_key=write_private(
            folder / "service-account.pub", certificates.public_key_pem(config.service_account_key)
        ),
        etcd_ca=write_private(folder / "etcd-ca.crt", etcd_ca.certificate),
        etcd=_pair(folder, "etcd", etcd),
        etcd_client=_pair(folder, "etcd-client", etcd_client),
        front_proxy_ca=write_private(folder / "front-proxy-ca.crt", front_proxy_ca.certificate),
        front_proxy=_pair(folder, "front-proxy", front_proxy),
        controller_manager=_kubeconfig(folder, config, server, "kube-controller-manager"),
        scheduler=_kubeconfig(folder, config, server, "kube-scheduler"),
    )


def _kubeconfig(folder: Path, config: EngineConfig, server: str, component: str) -> Path:
    """Of the user that Kubernetes' own roles name."""
    user = certificates.issue(config.ca, f"system:{component}", client=True, server=False)
    text = kubeconfig.inline(server, config.ca.certificate, user, cluster=component)
    return write_private(folder / f"{component}.kubeconfig", text)


def _pair(folder: Path, name: str, pair: KeyPair) -> Files:
    return Files(
        write_private(folder / f"{name}.crt", pair.certificate),
        write_private(folder / f"{name}.key", pair.key),
    )


def write_private(path: Path, text: str) -> Path:
    """Write a file (0600) whole or not at all, and return its place."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
    return path
