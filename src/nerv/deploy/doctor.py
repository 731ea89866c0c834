"""The join doctor: the journal of `k3s` turned into causes with remedies. Pure; the words are K3s' (1.21 to 1.34)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from nerv.deploy.causes import Cause

TRIES = 3
"""Restarts, or complaints of a K3s that goes on, after which a permanent cause is believed: either comes every five
seconds or so."""


@dataclass(frozen=True)
class JoinDiagnosis:
    """A cause, and whether it goes away by itself (a server that still boots) or not."""

    message: str
    remedy: str
    permanent: bool

    @override
    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})"


# cause -> permanent
_CAUSES: tuple[tuple[Cause, bool], ...] = (
    (
        Cause(
            r"token CA hash does not match the Cluster CA certificate hash",
            "the token belongs to another cluster (its CA hash is another one)",
            "k3s-token in nixos/secrets is from an earlier cluster: `nerv node reset NODE` where the node is the "
            "old one, "
            "or take the token without the K10...:: part",
        ),
        True,
    ),
    (
        Cause(
            r"bootstrap data already found and encrypted with different token",
            "the server's database was made with another token",
            "put the old value back as k3s-token (nixos/secrets), or `k3s token rotate` on a server that runs",
        ),
        True,
    ),
    (
        Cause(
            r"(?:token is not valid|failed to (?:retrieve configuration from server|validate token|get CA certs)"
            r"|server-bootstrap|/v1-k3s/\S+?): .*?(?:401 Unauthorized|403 Forbidden|not authorized)"
            r"|invalid username/password combination|server-bootstrap: 500 Internal Server Error",
            "the server refuses the token",
            "servers need k3s-token, agents k3s-agent-token, the same on all of them: `nerv render`, commit, and "
            "`nerv deploy --update` the server",
        ),
        True,
    ),
    (
        Cause(
            r"Node password rejected, duplicate hostname",
            "the cluster remembers another machine of this name (its node password)",
            "`kubectl delete node NODE`, and `kubectl -n kube-system delete secret NODE.node-password.k3s` where "
            "it stays; "
            "`nerv node reset NODE` does both",
        ),
        True,
    ),
    (
        Cause(
            r"duplicate node name found|due to duplicate node names",
            "etcd still has a member of this name",
            "its database is gone but its membership is not: `nerv node reset NODE` removes the member and joins "
            "it anew",
        ),
        True,
    ),
    (
        Cause(
            r"member has been (?:permanently )?removed from the cluster|data-dir used by this member must be removed",
            "this machine was removed from etcd and still has its old database",
            "`nerv node reset NODE` wipes it and joins it anew",
        ),
        True,
    ),
    (
        Cause(
            r"critical configuration (?:value )?mismatch(?:ed)?:? ?([\w-][\w -]*)?",
            "its settings differ from the other servers': {0}",
            "all servers need the same networks and flags: `nerv render`, commit, `nerv deploy --update` every server",
        ),
        True,
    ),
    (
        Cause(
            r"x509: certificate has expired or is not yet valid: current time (\S+) is (before|after) (\S+)",
            "the clocks differ: this machine says {0}, the certificate's limit is {2}",
            "set the clock (NTP: `timedatectl`), and the hardware clock with `hwclock -w`",
        ),
        False,
    ),
    (
        Cause(
            r"x509: certificate is valid for (.+?), not (\S+)",
            "the servers' certificate does not name {1}",
            "the API address changed: `nerv deploy --update` the servers first, so that they serve it (tls-san)",
        ),
        True,
    ),
    (
        Cause(
            r"[Ii]nvalid kernel flag: (\S+?), expected value: (\d+), actual value: (\d+)",
            "kernel setting {0} is {2}, kubelet (protect-kernel-defaults) wants {1}",
            "boot.kernel.sysctl in nixos/modules/k3s.nix sets it: `nerv render`, commit and deploy again",
        ),
        True,
    ),
    (
        Cause(
            r"failed to find (memory|cpuset|pids) cgroup",
            "the kernel has no {0} cgroup",
            'boot.kernelParams = [ "cgroup_enable=memory" "cgroup_memory=1" ] (small ARM boards have it switched off)',
        ),
        True,
    ),
    (
        Cause(
            r"no space left on device|etcdserver: no space|database space exceeded",
            "the disk (or etcd's quota) is full",
            "`df -h` there; `nix-collect-garbage -d` and `k3s crictl rmi --prune` give space back",
        ),
        True,
    ),
    (
        Cause(
            r"listen tcp \S*?:(\d+): bind: address already in use",
            "port {0} is taken on the machine",
            "`ss -ltnp` there shows by whom: another Kubernetes, or a K3s that was not stopped (`k3s-killall.sh`)",
        ),
        True,
    ),
    (
        Cause(
            r"failed to find interface with specified node ip|unable to (?:find|determine) .*node.?ip"
            r"|bind: cannot assign requested address",
            "the machine does not have the address that the definition gives it",
            "check `address`, `interface` and `mac` of the node, and `ip address` on the machine",
        ),
        True,
    ),
    (
        Cause(
            r"dial tcp (\S+?):(\d+): (?:connect: )?(connection refused|no route to host|network is unreachable"
            r"|i/o timeout|connection timed out)",
            "{0}:{1} does not answer: {2}",
            "does the first server run; does its firewall let TCP 6443 and, between servers, 2379-2380 through; has "
            "nobody else the API address (`arping` it)?",
        ),
        False,
    ),
    (
        Cause(
            r"failed to get CA certs: Get \S+: (EOF|read tcp \S+ read: connection reset by peer"
            r"|context deadline exceeded|net/http: TLS handshake timeout)",
            "the API address answers, but not as a K3s server: {0}",
            "another machine may have the API address, or a firewall or proxy stands in between",
        ),
        False,
    ),
    (
        Cause(
            r"open (/run/secrets/\S+): no such file or directory|failed to read token from file",
            "the secret {0} is not on the machine",
            "sops-nix could not decrypt it: is the machine's host key the one that NERV made (`nerv render` "
            "encrypts to it)?",
        ),
        True,
    ),
    (
        Cause(
            r"etcdserver: (?:re-configuration failed due to not enough started members|unhealthy cluster)"
            r"|etcd cluster join failed: (?:context deadline exceeded|.*too many learner members)",
            "etcd takes no new member now: not enough members run",
            "bring the other servers up first (`kubectl get nodes`); servers join one at a time",
        ),
        False,
    ),
)


def diagnose(journal: str) -> list[JoinDiagnosis]:
    """Every cause that the journal names, most telling first, each once."""
    found = ((cause.find(journal), permanent) for cause, permanent in _CAUSES)
    made = (JoinDiagnosis(cause.message, cause.remedy, permanent) for cause, permanent in found if cause)
    return list(dict.fromkeys(made))


def insists(lines: Sequence[str]) -> bool:
    """Whether these lines of a K3s that goes on name a permanent cause often enough to believe it."""
    return sum(any(one.permanent for one in diagnose(line)) for line in lines) >= TRIES
