"""What has to happen after a rotation, in words: in order, with the commands to type. Pure."""

from __future__ import annotations

from pathlib import Path

from nerv.components.catalog import Platform
from nerv.platform.models import Node
from nerv.rendering.secrets import AGENTS_FILE, SERVERS_FILE

_PUSH = "commit and push what changed"


def data_keys(_platform: Platform) -> tuple[str, ...]:
    """Nothing restarts: the values are the same."""
    return (_PUSH,)


def operator(_platform: Platform, folder: Path) -> tuple[str, ...]:
    """Nothing restarts."""
    return (
        _PUSH,
        f"back up {folder}: the old backup opens nothing of today",
        "was the old key in wrong hands? It still opens what Git's history holds: rotate those values too",
    )


def flux(platform: Platform) -> tuple[str, ...]:
    """No pod restarts: kustomize-controller reads the key at every reconciliation."""
    return (
        f"{_PUSH}; until step 2 is done Flux reports that it cannot decrypt, and deletes nothing",
        f"`nerv deploy --update {platform.spec.servers[0].name}`: the new key comes into Secret flux-system/sops-age",
        f"`flux reconcile kustomization apps-config` on {platform.spec.servers[0].name}, or wait for its interval",
    )


def host(node: Node, key: Path) -> tuple[str, ...]:
    """sshd restarts; K3s does not."""
    target = "/etc/ssh/ssh_host_ed25519_key"
    put = f"ssh root@{node.address} 'install -m 600 /dev/stdin {target} && systemctl restart sshd' < {key}"
    return (
        _PUSH,
        f"is {node.name} installed already? Put its key there: `{put}`; else `nerv deploy {node.name}` does it",
        f"`nerv deploy --update {node.name}` at once: a restart in between would find secrets that it cannot open",
    )


def k3s_token(platform: Platform) -> tuple[str, ...]:
    """K3s restarts on all servers; pods go on running."""
    first = platform.spec.servers[0]
    rotate = 'K3S_TOKEN=$(cat /run/secrets/k3s-token) k3s token rotate --new-token "$(cat)"'
    return (
        _PUSH,
        "before any update, tell the cluster, which still runs with the old token: "
        f"`nerv secrets show {SERVERS_FILE} k3s-token | ssh root@{first.address} '{rotate}'` "
        f"(K3s takes the new token only as an argument: for that moment {first.name}'s process list shows it)",
        f"`nerv deploy --update {_names(platform.spec.servers)}`: one after the other K3s restarts with it",
        "take a snapshot of etcd: older ones need the old token",
    )


def k3s_agent_token(platform: Platform) -> tuple[str, ...]:
    """K3s restarts on every node; pods go on running."""
    agents = tuple(node for node in platform.spec.nodes if node.role == "agent")
    made = (_PUSH, f"`nerv deploy --update {_names(platform.spec.servers)}`: K3s restarts, and takes the new token")
    return (*made, f"`nerv deploy --update {_names(agents)}`: K3s restarts with it") if agents else made


def dashboards(_platform: Platform) -> tuple[str, ...]:
    """Nothing restarts: Traefik follows the Secret."""
    return (f"{_PUSH}: the old password works until Flux has applied it",)


def webhook(_platform: Platform) -> tuple[str, ...]:
    """Nothing restarts: notification-controller follows the Secret within the Receiver's interval."""
    return (_PUSH, "`nerv bootstrap github`: GitHub is told of the new path and token")


def git_login(platform: Platform) -> tuple[str, ...]:
    """Nothing restarts: source-controller reads the login at every fetch."""
    repository, first = platform.spec.repository, platform.spec.servers[0].name
    what = "deploy key" if repository.login == "deployKey" else "token"
    host = "github" if repository.provider == "github" else "git"
    made = [_PUSH]
    if repository.login == "deployKey":
        made.append(f"`nerv bootstrap {host} --repository-only`: the repository's host is told of the new key")
    made.append(f"`nerv deploy --update {first}`: Flux logs in with the new {what}")
    return (*made, f"take the old {what} away where the repository is hosted")


def certificates(platform: Platform) -> tuple[str, ...]:
    """This machine's cluster restarts; on machines K3s does."""
    return (
        "`nerv up`: the cluster on this machine has new certificates and a new kubeconfig",
        f"on machines: `k3s certificate rotate` with K3s stopped, in this order: {_names(platform.spec.nodes)}",
        "certificates of dashboards are cert-manager's, which renews them by itself",
    )


def edited(path: str) -> tuple[str, ...]:
    """After a change by hand: what machines read reaches them by an update, the rest is Flux's."""
    if path in (SERVERS_FILE, AGENTS_FILE):
        role = "server" if path == SERVERS_FILE else "agent"
        return (f"`nerv deploy --update` every {role}: services that read what changed restart",)
    return ()


def _names(nodes: tuple[Node, ...]) -> str:
    return " ".join(node.name for node in sorted(nodes, key=lambda node: node.role == "agent"))
