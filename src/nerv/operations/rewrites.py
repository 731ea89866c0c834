"""How known programs are told where to listen where pods share this machine's network (network driver `proxy`).

By image. The options are those of the programs' own references; a default stands here where a program listens
without being asked to.
"""

from __future__ import annotations

from collections.abc import Mapping

from nerv.node.programs import Rewrites

_LEADER = ("--enable-leader-election", "--leader-elect")
_METRICS, _HEALTH = ("--metrics-addr", ":8080"), ("--health-addr", ":9440")


def _flux(*listens: tuple[str, str]) -> Rewrites:
    return Rewrites((_METRICS, _HEALTH, *listens), _LEADER)


REWRITES: Mapping[str, Rewrites] = {
    # static configuration: `--entryPoints.<name>.address`, any case; without one it listens at :80
    "traefik": Rewrites(((r"(?i:--entrypoints\.[^.=]+\.address)", ""),)),
    "nerv-platform/nerv": Rewrites((("--listen", ""),), kubeconfig="--kubeconfig"),
    "fluxcd/source-controller": _flux(("--storage-addr", ":9090")),
    "fluxcd/kustomize-controller": _flux(),
    "fluxcd/helm-controller": _flux(),
    # of notification-controller `--events-addr` is an address to listen at, of the others a URL, which stays
    "fluxcd/notification-controller": _flux(("--events-addr", ":9090"), ("--receiverAddr", ":9292")),
}
