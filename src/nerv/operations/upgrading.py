"""Pins of a platform: what the definition says, what runs, what this NERV knows; and raising one of them.

Kubernetes rises one minor at a time, servers before agents (`nerv deploy --update` holds to it); charts rise with NERV
itself or by `version:` in the definition; NixOS by release.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.deploy import upgrade
from nerv.deploy.upgrade import Member
from nerv.errors import NervError
from nerv.operations.folder import PlatformFolder
from nerv.operations.kubeconfigs import kubeconfig_file, require
from nerv.operations.session import connect
from nerv.operations.updating import members
from nerv.platform import node_edits, versions

_PATHS = {"kubernetes": ("kubernetes", "version"), "nixos": ("nixos", "version")}
_ONE_MINOR = ("longhorn",)
"""Charts whose makers refuse to skip a minor version."""


@dataclass(frozen=True)
class Pin:
    """One version in use."""

    name: str
    defined: str
    running: str
    note: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """One pin raised, and what has to be done for it, in order."""

    what: str
    before: str
    after: str
    servers: tuple[str, ...]
    agents: tuple[str, ...]
    text: str
    """nerv.yaml with the new version"""

    def lines(self) -> list[str]:
        name = {"kubernetes": "Kubernetes", "nixos": "NixOS"}.get(self.what, self.what)
        if self.what not in _PATHS:
            steps = [
                f"spec.components.{self.what}.version: {self.before} -> {self.after}",
                "render; `nerv charts pull` and `nerv up` show it on this machine first",
                "look at `git diff`, commit, push: Flux upgrades it; `nerv status` shows how far it is",
            ]
            return [f"{name} {self.before} -> {self.after}:", *(f"  {n}. {step}" for n, step in enumerate(steps, 1))]
        steps = [
            f"spec.{self.what}.version: {self.before} -> {self.after}",
            "render; look at `git diff`, commit, push",
            "take an etcd snapshot: `k3s etcd-snapshot save` on a server (there is no way back without one)",
            *(f"nerv deploy --update {server}    # servers first, one at a time" for server in self.servers),
            *(f"nerv deploy --update {agent}" for agent in self.agents),
        ]
        return [f"{name} {self.before} -> {self.after}:", *(f"  {n}. {step}" for n, step in enumerate(steps, 1))]


def known(what: str) -> tuple[str, ...]:
    """The versions that this NERV renders for."""
    return get_args(versions.KubernetesMinor if what == "kubernetes" else versions.NixosRelease)


async def pins(folder: PlatformFolder) -> list[Pin]:
    """Every pin. What runs is asked of the cluster where one was deployed from here."""
    platform = definition.load(folder.definition)
    running = await _running(platform)
    kubernetes = ", ".join(sorted({member.version for member in running}))
    found = [
        Pin("kubernetes", platform.spec.kubernetes.version, kubernetes, _newer("kubernetes", platform)),
        Pin("nixos", platform.spec.nixos.version, "", _newer("nixos", platform)),
        Pin("flux", versions.FLUX, "", "rises with NERV"),
    ]
    for name, (now, pinned) in _charts(platform).items():
        found.append(Pin(name, now, "", "" if now == pinned else f"this NERV is proved with {pinned}"))
    return found


def _charts(platform: Platform) -> dict[str, tuple[str, str]]:
    """Charts in use, by their name in the definition: the version in use, and the one that this NERV is proved with."""
    components = platform.spec.components
    known_charts = (
        ("metallb", components.metallb, versions.METALLB),
        ("traefik", components.traefik, versions.TRAEFIK),
        ("longhorn", components.longhorn, versions.LONGHORN),
        ("certManager", components.cert_manager, versions.CERT_MANAGER),
    )
    return {
        name: (settings.version or pinned.version, pinned.version)
        for name, settings, pinned in known_charts
        if settings.enabled
    }


def _newer(what: str, platform: Platform) -> str:
    now = platform.spec.kubernetes.version if what == "kubernetes" else platform.spec.nixos.version
    later = [version for version in known(what) if _number(version) > _number(now)]
    return f"`nerv upgrade {what}` raises it to {later[0]}" if later else "the newest that this NERV knows"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0]))


async def plan(folder: PlatformFolder, what: str, to: str) -> Plan:
    """What raising `what` means. Raises NervError for a version that is not known, a skip, or a way back."""
    platform = definition.load(folder.definition)
    charts = _charts(platform)
    if what in charts:
        return _chart_plan(folder, what, charts[what][0], to or charts[what][1])
    if what not in _PATHS:
        raise NervError(f"there is no `{what}` to raise", f"{', '.join((*_PATHS, *charts))}; Flux rises with NERV")
    before = platform.spec.kubernetes.version if what == "kubernetes" else platform.spec.nixos.version
    after = to or next((one for one in known(what) if _number(one) > _number(before)), "")
    if not after:
        raise NervError(f"{what} {before} is the newest that this NERV knows", "a newer NERV may know more")
    if after not in known(what):
        raise NervError(f"this NERV does not know {what} {after}", f"it knows {', '.join(known(what))}")
    if after == before:
        raise NervError(f"{what} is {before} already")
    if what == "kubernetes":
        upgrade.check_step(before, after)
    elif _number(after) < _number(before):
        raise NervError(
            f"NixOS does not go back from {before} to {after}", "`nerv deploy --update` rolls back by itself"
        )
    running = await _running(platform)
    _check_caught_up(running, before, what)
    spec = platform.spec
    return Plan(
        what,
        before,
        after,
        tuple(node.name for node in spec.servers),
        tuple(node.name for node in spec.nodes if node.role == "agent"),
        node_edits.set_value(folder.definition.read_text(encoding="utf-8"), _PATHS[what], after),
    )


def _chart_plan(folder: PlatformFolder, what: str, before: str, after: str) -> Plan:
    if after == before:
        raise NervError(f"{what} is {before} already", "--to names another version")
    if _number(after) < _number(before):
        raise NervError(f"{what} would go back from {before} to {after}", "charts with data cannot; edit it by hand")
    skipped = _number(after)[0] == _number(before)[0] and _number(after)[1] - _number(before)[1] > 1
    if what in _ONE_MINOR and skipped:
        raise NervError(f"{what} {after} skips a minor version after {before}", "its makers ask for one at a time")
    text = folder.definition.read_text(encoding="utf-8")
    return Plan(what, before, after, (), (), node_edits.set_value(text, ("components", what, "version"), after))


def _check_caught_up(running: Sequence[Member], defined: str, what: str) -> None:
    """Raises NervError while a node is behind what is defined already: raising once more would make it a skip."""
    behind = [member.name for member in running if what == "kubernetes" and 0 < member.minor < upgrade.minor(defined)]
    if behind:
        raise NervError(
            f"{', '.join(behind)} still run{'s' if len(behind) == 1 else ''} an older Kubernetes than {defined}",
            "`nerv deploy --update --all` first",
        )


async def _running(platform: Platform) -> list[Member]:
    if not kubeconfig_file(platform.name).exists():
        return []
    async with connect(require(platform.name)) as client:
        return await members(client)
