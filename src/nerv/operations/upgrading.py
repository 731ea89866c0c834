"""Pins of a platform: what the definition says, what runs, what this NERV knows; and raising one of them.

Kubernetes rises one minor at a time, servers before agents (`nerv deploy --update` holds to it); charts rise with NERV
itself or by `version:` in the definition; NixOS by release.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.deploy import upgrade
from nerv.deploy.upgrade import Member
from nerv.errors import NervError
from nerv.operations import rendering
from nerv.operations.folder import PlatformFolder
from nerv.operations.kubeconfigs import kubeconfig_file, require
from nerv.operations.session import connect
from nerv.operations.updating import members
from nerv.platform import node_edits, versions

_PATHS = {"kubernetes": ("kubernetes", "version"), "nixos": ("nixos", "version")}


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
        name = {"kubernetes": "Kubernetes", "nixos": "NixOS"}[self.what]
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
    components = platform.spec.components
    charts = (
        (components.metallb, versions.METALLB),
        (components.traefik, versions.TRAEFIK),
        (components.longhorn, versions.LONGHORN),
        (components.cert_manager, versions.CERT_MANAGER),
    )
    for settings, pinned in charts:
        if settings.enabled:
            note = "" if settings.version in (None, pinned.version) else f"this NERV pins {pinned.version}"
            found.append(Pin(f"chart {pinned.name}", settings.version or pinned.version, "", note))
    return found


def _newer(what: str, platform: Platform) -> str:
    now = platform.spec.kubernetes.version if what == "kubernetes" else platform.spec.nixos.version
    later = [version for version in known(what) if _number(version) > _number(now)]
    return f"`nerv upgrade {what}` raises it to {later[0]}" if later else "the newest that this NERV knows"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.lstrip("v").split("."))


async def plan(folder: PlatformFolder, what: str, to: str) -> Plan:
    """What raising `what` means. Raises NervError for a version that is not known, a skip, or a way back."""
    if what not in _PATHS:
        raise NervError(f"`{what}` is not raised here", "kubernetes or nixos; charts have `version:` in the definition")
    platform = definition.load(folder.definition)
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


async def apply(folder: PlatformFolder, made: Plan) -> list[str]:
    """Write the definition and render; what was written. Raises NervError, ProblemsError; then nothing is."""
    before = folder.definition.read_bytes()
    definition.parse(made.text.encode(), folder.definition.name)
    folder.definition.write_text(made.text, encoding="utf-8")
    try:
        done = await rendering.render(folder)
    except NervError:
        folder.definition.write_bytes(before)
        raise
    return sorted({folder.definition.name, *done.written, *done.encrypted, *done.removed})
