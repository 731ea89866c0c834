"""The cluster's certificates and keys, kept in `.nerv/pki` (0600) and made where missing or about to end.

One certificate authority for the API server, kubelets and the mirror. The authority of the dashboards is another:
it lives in the cluster, made by cert-manager from the repository.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from nerv import certificates
from nerv.certificates import KeyPair
from nerv.errors import NervError
from nerv.operations.folder import write_private

# K3s renews at start what ends within 120 days; leaves here live a year and are renewed at the last 120 days too.
_RENEW_WITHIN = datetime.timedelta(days=120)


@dataclass(frozen=True)
class Pki:
    """Everything that identifies the parts of one cluster."""

    ca: KeyPair
    api_server: KeyPair
    admin: KeyPair
    kubelet_client: KeyPair
    service_account_key: str
    ssh_host_key: str
    """by which the mirror is known over SSH"""


def load(folder: Path, *, service_address: str, cluster_domain: str) -> Pki:
    """Read the certificates in `folder`, making what is missing. Raises NervError for unreadable ones."""
    ca = _kept(folder, "ca", lambda: certificates.create_ca("nerv-cluster-ca"))
    names = [
        "localhost",
        "127.0.0.1",
        "::1",
        service_address,
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{cluster_domain}",
    ]
    return Pki(
        ca=ca,
        api_server=_kept(folder, "kube-apiserver", lambda: certificates.issue(ca, "kube-apiserver", names=names)),
        admin=_kept(folder, "admin", lambda: _client(ca, "kubernetes-admin", ["system:masters"])),
        kubelet_client=_kept(
            folder,
            "kube-apiserver-kubelet-client",
            lambda: _client(ca, "kube-apiserver-kubelet-client", ["system:masters"]),
        ),
        service_account_key=_private_key(folder / "service-account.key"),
        ssh_host_key=_private_key(folder / "ssh-host.key"),
    )


def remove_leaves(folder: Path) -> tuple[Path, ...]:
    """Remove every certificate but the authority, with its key: the next start makes new ones. What was removed."""
    removed = [path for path in sorted(folder.glob("*.crt")) if path.stem != "ca"]
    for path in removed:
        path.with_suffix(".key").unlink(missing_ok=True)
        path.unlink()
    return tuple(removed)


def kubelet_serving(folder: Path, ca: KeyPair, node: str, address: str) -> KeyPair:
    """The serving certificate of one node's kubelet API."""
    return _kept(
        folder,
        f"kubelet-{node}",
        lambda: certificates.issue(ca, f"system:node:{node}", organizations=["system:nodes"], names=[node, address]),
    )


def _client(ca: KeyPair, name: str, organizations: Sequence[str]) -> KeyPair:
    return certificates.issue(ca, name, organizations=organizations, client=True, server=False)


def _kept(folder: Path, name: str, make: Callable[[], KeyPair]) -> KeyPair:
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    if certificate.exists() and key.exists():
        pair = KeyPair(certificate.read_text(encoding="utf-8"), key.read_text(encoding="utf-8"))
        try:
            ends = pair.not_after
        except ValueError:
            raise NervError(f"{certificate} is corrupt", "`nerv reset` starts this machine's state anew") from None
        if ends - datetime.datetime.now(datetime.UTC) > _RENEW_WITHIN:
            return pair
    made = make()
    write_private(key, made.key)
    write_private(certificate, made.certificate)
    return made


def _private_key(path: Path) -> str:
    if not path.exists():
        write_private(path, certificates.private_key_pem(ec.generate_private_key(ec.SECP256R1())))
    return path.read_text(encoding="utf-8")
