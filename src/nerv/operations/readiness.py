"""What must hold here, on the operator's machine, before a node is deployed: all problems at once."""

from __future__ import annotations

import shutil

from nerv import process
from nerv.components.catalog import Platform
from nerv.deploy.preflight import Finding
from nerv.errors import NervError, ProblemsError
from nerv.operations import host_keys, rendering
from nerv.operations.deployment import made_key
from nerv.operations.folder import PlatformFolder
from nerv.platform.models import Node

_SHOWN = 5


async def local(folder: PlatformFolder, platform: Platform, node: Node, build_on: str) -> list[Finding]:
    """Everything that speaks against it here."""
    found = [*_rendered(folder), *await _committed(folder), *await _nix(node, build_on), *_keys(folder, platform, node)]
    if not platform.spec.nixos.ssh_keys:
        remedy = "your public key, the line in ~/.ssh/id_ed25519.pub; then `nerv render` and commit"
        found.append(Finding("nerv.yaml", "spec.nixos.sshKeys is empty: nobody could log in", remedy))
    return found


def _rendered(folder: PlatformFolder) -> list[Finding]:
    try:
        differences = rendering.differences(folder)
    except ProblemsError as error:
        return [Finding("nerv.yaml", str(problem), "`nerv check`") for problem in error.problems]
    if differences:
        said = f"{len(differences)} files are not what the definition says: {', '.join(differences[:_SHOWN])}"
        return [Finding("repository", said, "`nerv render`, then commit")]
    return []


async def _committed(folder: PlatformFolder) -> list[Finding]:
    try:
        done = await process.run(["git", "status", "--porcelain"], cwd=folder.root, check=False)
    except NervError as error:
        return [Finding("repository", error.message, "install git")]
    if done.code:
        return [Finding("repository", f"{folder.root} is no Git repository", "`nerv init` makes it one")]
    changed = [line[3:] for line in done.stdout.splitlines()]
    if changed:
        more = ", ..." if len(changed) > _SHOWN else ""
        said = f"not committed: {', '.join(changed[:_SHOWN])}{more}"
        return [Finding("repository", said, "`git add -A && git commit`: Nix and Flux see only what is committed")]
    return []


async def _nix(node: Node, build_on: str) -> list[Finding]:
    if shutil.which("nix") is None:
        # --build-on remote moves the building alone
        return [Finding("here", "`nix` is not on PATH; systems are evaluated here", "https://nixos.org/download")]
    command = ["nix", "--extra-experimental-features", "nix-command flakes", "eval", "--raw", "--expr"]
    done = await process.run([*command, "builtins.currentSystem", "--impure"], check=False)
    if done.code:
        said = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return [Finding("here", f"`nix` cannot evaluate a flake: {said}", "Nix 2.18 or later with its daemon running")]
    system = done.stdout.strip()
    if build_on == "local" and system != f"{node.architecture}-linux":
        said = f"Nix here builds for {system}, {node.name} is {node.architecture}-linux"
        return [Finding("here", said, "--build-on remote")]
    return []


def _keys(folder: PlatformFolder, platform: Platform, node: Node) -> list[Finding]:
    try:
        made_key(folder, platform, node.name)
    except NervError as error:
        return [Finding("repository", error.message, error.hint)]
    path = host_keys.file_of(platform.name, node.name)
    if not path.exists():
        remedy = f"take it from who made it, or `nerv secrets rotate host {node.name}`"
        return [Finding("here", f"{path} is missing: the private host key of {node.name}", remedy)]
    return []
