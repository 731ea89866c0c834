"""The kubeconfig of a platform's real cluster: fetched from a server over SSH, kept in the operator's folder (0600)."""

from __future__ import annotations

from pathlib import Path

from nerv import documents
from nerv.components.catalog import Platform
from nerv.deploy.ssh import Remote
from nerv.errors import NervError
from nerv.operations.folder import write_private
from nerv.operations.keys import folder_for
from nerv.operations.target import KUBECONFIG, Target

_REMOTE = "/etc/rancher/k3s/k3s.yaml"


def kubeconfig_file(platform: str) -> Path:
    """Where it is kept."""
    return folder_for(platform) / KUBECONFIG


def require(platform: str) -> Target:
    """The cluster that it names. Raises NervError where no cluster was deployed from here."""
    path = kubeconfig_file(platform)
    if not path.exists():
        raise NervError(
            f"{path} is missing: no cluster was deployed from here",
            "`nerv deploy NODE --from kubeconfig` fetches it from a server",
        )
    return Target(path, platform)


async def fetch(remote: Remote, platform: Platform) -> Path:
    """Fetch it. Raises SshError, NervError."""
    done = await remote.run(f"cat {_REMOTE}")
    path = kubeconfig_file(platform.name)
    write_private(path, rewritten(done.stdout, platform.name, str(platform.spec.cluster_address)))
    return path


def rewritten(text: str, name: str, address: str) -> str:
    """K3s' kubeconfig for use from elsewhere: cluster, user and context named `name`, the server at `address`."""
    try:
        read = documents.load(text)
        cluster, user = read["clusters"][0]["cluster"], read["users"][0]["user"]
    except (documents.DocumentError, TypeError, KeyError, IndexError):
        raise NervError(f"{_REMOTE} is no kubeconfig", "is K3s up on that server?") from None
    return documents.dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {**cluster, "server": f"https://{address}:6443"}}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        }
    )
