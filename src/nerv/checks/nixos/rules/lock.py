"""flake.lock: pins every input that flake.nix names, and nothing that this NixOS cannot build."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nerv import documents
from nerv.checks.nixos.flake import FLAKE, LOCK, Flake
from nerv.checks.repository import Repository, mapping
from nerv.components.catalog import Platform
from nerv.errors import Problem
from nerv.nix.values import EvaluationError, Set, force

# sops-nix at 17eea6f3; its next commit needs Go 1.25, NixOS 25.05 has 1.24
_NEWEST_SOPS = 1770145881
# disko at v1.13.0's first parent of the fix (3db2f04, 2025-07-21): before, only the last module's `content` counted
_OLDEST_DISKO = 1753056000
_GITHUB = re.compile(r"github:([^/]+)/([^/?]+)(?:/([^?]+))?")
_REVISION = re.compile(r"[0-9a-f]{40}")
_REMEDY = "run `nerv render`, or `nix flake lock` where you changed the inputs"


def agreement(_platform: Platform, flake: Flake, repository: Repository) -> Iterator[Problem]:
    """Inputs that the lock file lacks, does not pin, or has from elsewhere."""
    if not flake.inputs:
        return
    nodes, problem = _nodes(repository)
    if problem:
        yield problem
        return
    locked = mapping(mapping(nodes.get("root")).get("inputs"))
    for name in flake.inputs.keys() | locked.keys():
        if name not in locked:
            yield Problem(LOCK, 0, 0, f"input `{name}` of flake.nix is not locked", _REMEDY)
        elif name not in flake.inputs:
            yield Problem(LOCK, 0, 0, f"locks `{name}`, which is no input of flake.nix", _REMEDY)
        else:
            yield from _input(name, flake.inputs[name], locked[name], nodes)


def _nodes(repository: Repository) -> tuple[Mapping[str, Any], Problem | None]:
    text = repository.files.get(LOCK)
    if text is None:
        return {}, Problem(LOCK, 0, 0, "does not exist: the inputs of the flake are not pinned", _REMEDY)
    try:
        read = documents.load_json(text)
    except documents.DocumentError:
        return {}, Problem(LOCK, 0, 0, "is not valid JSON", _REMEDY)
    return mapping(mapping(read).get("nodes")), None


def _input(name: str, written: object, target: object, nodes: Mapping[str, Any]) -> Iterator[Problem]:
    if not isinstance(target, str):
        return  # follows another input
    node = mapping(nodes.get(target))
    locked = mapping(node.get("locked"))
    if not node:
        yield Problem(LOCK, 0, 0, f"input `{name}` has no node", _REMEDY)
        return
    if locked.get("type") not in ("path", "tarball", "file") and not _REVISION.fullmatch(str(locked.get("rev", ""))):
        yield Problem(LOCK, 0, 0, f"input `{name}` is not pinned to a revision", _REMEDY)
    if not str(locked.get("narHash", "")).startswith("sha256-"):
        yield Problem(LOCK, 0, 0, f"input `{name}` has no hash of its contents", _REMEDY)
    yield from _original(name, _text(written, "url"), node, locked)
    yield from _follows(name, written, node)


def _original(name: str, url: str, node: Mapping[str, Any], locked: Mapping[str, Any]) -> Iterator[Problem]:
    found = _GITHUB.fullmatch(url)
    if not found:
        return
    original = mapping(node.get("original"))
    said = {"owner": found[1], "repo": found[2]}
    if found[3]:
        said["rev" if _REVISION.fullmatch(found[3]) else "ref"] = found[3]
    has = {key: original.get(key) for key in ("owner", "repo", "ref", "rev") if original.get(key)}
    if {k: v.lower() for k, v in said.items()} != {k: str(v).lower() for k, v in has.items()}:
        yield Problem(
            LOCK, 0, 0, f"input `{name}` is locked from elsewhere than `{url}`, which flake.nix says", _REMEDY
        )
    elif "rev" in said and locked.get("rev") != said["rev"]:
        yield Problem(LOCK, 0, 0, f"input `{name}` is locked at another revision than flake.nix says", _REMEDY)


def _follows(name: str, written: object, node: Mapping[str, Any]) -> Iterator[Problem]:
    found = force(written)
    inner = force(found["inputs"]) if isinstance(found, Set) and "inputs" in found else None
    if not isinstance(inner, Set):
        return
    for other, said_of in inner.items():
        target = _text(said_of, "follows")
        if target and mapping(node.get("inputs")).get(other) != target.split("/"):
            said = f"input `{name}` does not take `{other}` from `{target}`, as flake.nix says"
            yield Problem(LOCK, 0, 0, said, _REMEDY)


def _text(values: object, name: str) -> str:
    try:
        found = force(values)
        return str(force(found[name])) if isinstance(found, Set) and name in found else ""
    except EvaluationError:
        return ""


def buildable(platform: Platform, flake: Flake, repository: Repository) -> Iterator[Problem]:
    """Inputs that do not fit the NixOS release."""
    nodes, _ = _nodes(repository)
    locked = {name: mapping(mapping(node).get("locked")) for name, node in nodes.items()}
    release = platform.spec.nixos.version
    nixpkgs = str(mapping(mapping(nodes.get("nixpkgs")).get("original")).get("ref", ""))
    if "nixpkgs" in flake.inputs and nixpkgs not in ("", f"nixos-{release}"):
        said = f"nixpkgs follows `{nixpkgs}`, but nerv.yaml says NixOS {release}"
        yield Problem(FLAKE, 0, 0, said, f"follow nixos-{release}: options differ between releases")
    if _modified(locked, "sops-nix") > _NEWEST_SOPS:
        said = "sops-nix is newer than NixOS 25.05 can build: it needs Go 1.25"
        yield Problem(LOCK, 0, 0, said, "pin 17eea6f3816ba6568b8c81db8a4e6ca438b30b7c")
    if 0 < _modified(locked, "disko") < _OLDEST_DISKO:
        said = "disko is older than v1.13.0: where two modules say something of a disk, it forgets one of them"
        yield Problem(LOCK, 0, 0, said, "pin v1.13.0")


def _modified(locked: Mapping[str, Mapping[str, Any]], name: str) -> int:
    found = locked.get(name, {}).get("lastModified", 0)
    return found if isinstance(found, int) else 0
