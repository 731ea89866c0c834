"""Rules over the whole definition: of the base, of every room, and between rooms, which do not know each other."""

from __future__ import annotations

from collections.abc import Iterator

from nerv.components.catalog import Platform
from nerv.components.cert_manager import checks as cert_manager
from nerv.components.flux import checks as flux
from nerv.components.longhorn import checks as longhorn
from nerv.components.metallb import checks as metallb
from nerv.platform import rules
from nerv.platform.findings import Finding, Rule
from nerv.platform.source import Path

_COMPONENTS = ("spec", "components")


def _metallb(platform: Platform) -> Iterator[Finding]:
    return metallb.definition(platform.spec.components.metallb, platform)


def _longhorn(platform: Platform) -> Iterator[Finding]:
    return longhorn.definition(platform.spec.components.longhorn, platform)


def _cert_manager(platform: Platform) -> Iterator[Finding]:
    return cert_manager.definition(platform.spec.components.cert_manager)


def _flux(platform: Platform) -> Iterator[Finding]:
    return flux.definition(platform.spec.components.flux)


def _load_balancer_address(platform: Platform) -> Iterator[Finding]:
    components = platform.spec.components
    address = components.traefik.address
    if address is None or not components.traefik.enabled or not components.metallb.enabled:
        return
    if not any(address in addresses for addresses in components.metallb.pool):
        pool = ", ".join(map(str, components.metallb.pool))
        path = (*_COMPONENTS, "traefik", "address")
        yield Finding(path, f"{address} is not in MetalLB's pool", f"the pool is {pool}")


def _needs(platform: Platform) -> Iterator[Finding]:
    """A component without what it stands on."""
    components = platform.spec.components
    there = {
        "metallb": components.metallb.enabled,
        "traefik": components.traefik.enabled,
        "certManager": components.cert_manager.enabled,
    }
    wanted: tuple[tuple[Path, str, bool, tuple[str, ...]], ...] = (
        (("traefik",), "Traefik", components.traefik.enabled, ("metallb",)),
        (
            ("traefik", "dashboard"),
            "Traefik's dashboard",
            components.traefik.enabled and components.traefik.dashboard,
            ("certManager",),
        ),
        (
            ("longhorn", "dashboard"),
            "Longhorn's dashboard",
            components.longhorn.enabled and components.longhorn.dashboard,
            ("traefik", "certManager"),
        ),
        (("console",), "the console", components.console.enabled, ("traefik", "certManager")),
        (("flux", "webhook"), "Flux's webhook", components.flux.webhook, ("traefik", "certManager")),
    )
    for path, who, used, needed in wanted:
        for other in needed:
            if used and not there[other]:
                hint = f"enable `{other}`, or switch {who} off"
                yield Finding((*_COMPONENTS, *path), f"{who} needs `{other}`, which is not enabled", hint)


_NETWORK = ("spec", "network")
_NODES = ("spec", "nodes")

RULES: tuple[Rule[Platform], ...] = (
    *rules.RULES,
    Rule(_metallb, reads=(_NETWORK, (*_COMPONENTS, "metallb", "pool", "any"))),
    Rule(_longhorn, reads=(_NODES,)),
    Rule(_cert_manager),
    Rule(_flux),
    Rule(_load_balancer_address, reads=((*_COMPONENTS, "metallb"),)),
    Rule(_needs),
)
