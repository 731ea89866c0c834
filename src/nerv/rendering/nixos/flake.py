"""flake.nix and flake.lock: the machines by name, and what they are made of, pinned.

The lock is complete as it is rendered: no machine and no operator ever resolves an input.
"""

from __future__ import annotations

from nerv import documents
from nerv.components.catalog import Platform
from nerv.nix.expressions import (
    Apply,
    AttributeSet,
    Binding,
    Expression,
    Function,
    Inherit,
    Let,
    Parameter,
    Path,
    Variable,
    attributes,
    call,
    name,
)
from nerv.platform import versions
from nerv.platform.versions import Input
from nerv.rendering.nixos import modules

NIXPKGS = "nixpkgs"
FOLLOWING = {"disko": versions.DISKO, "sops-nix": versions.SOPS_NIX}
"""Inputs whose own nixpkgs is ours."""


def text(platform: Platform) -> str:
    """flake.nix"""
    inputs: dict[str, object] = {NIXPKGS: {"url": _url(versions.NIXPKGS)}}
    inputs |= {
        found: {"url": _url(pinned), "inputs": {NIXPKGS: {"follows": NIXPKGS}}} for found, pinned in FOLLOWING.items()
    }
    flake = AttributeSet(
        (
            Binding(("description",), f"The machines of {platform.name}"),
            modules.inner("inputs", inputs),
            Binding(("outputs",), _outputs(platform)),
        )
    )
    return modules.file("The machines, and what they are made of; flake.lock pins it.", flake)


def _outputs(platform: Platform) -> Expression:
    system = AttributeSet(
        (
            Binding(("specialArgs",), AttributeSet((Inherit(("inputs",)),))),
            Binding(
                ("modules",),
                (name("disko.nixosModules.disko"), name("sops-nix.nixosModules.sops"), Variable("host")),
            ),
        )
    )
    machine = Function(Apply(name("nixpkgs.lib.nixosSystem"), system), "host")
    hosts = {node.name: call(Variable("machine"), Path(f"./hosts/{node.name}.nix")) for node in platform.spec.nodes}
    parameters = tuple(Parameter(found) for found in (NIXPKGS, *FOLLOWING))
    body = Let((Binding(("machine",), machine),), AttributeSet((Binding(("nixosConfigurations",), attributes(hosts)),)))
    return Function(body, "inputs", parameters, open=True)


def lock() -> str:
    """flake.lock, as Nix itself writes it."""
    follows = {NIXPKGS: [NIXPKGS]}
    nodes: dict[str, object] = {found: {"inputs": follows, **_locked(pinned)} for found, pinned in FOLLOWING.items()}
    nodes[NIXPKGS] = _locked(versions.NIXPKGS)
    nodes["root"] = {"inputs": {found: found for found in sorted((NIXPKGS, *FOLLOWING))}}
    return (
        documents.dump_json({"nodes": dict(sorted(nodes.items())), "root": "root", "version": 7}, indent=True).decode()
        + "\n"
    )


def _locked(pinned: Input) -> dict[str, object]:
    place = {"owner": pinned.owner, "repo": pinned.repository, "type": "github"}
    kind = "rev" if pinned.reference == pinned.revision else "ref"
    locked = {"lastModified": pinned.last_modified, "narHash": pinned.nar_hash, "rev": pinned.revision, **place}
    return {
        "locked": dict(sorted(locked.items())),
        "original": dict(sorted({kind: pinned.reference, **place}.items())),
    }


def _url(pinned: Input) -> str:
    return f"github:{pinned.owner}/{pinned.repository}/{pinned.reference}"
