"""What must hold here, on the operator's machine, before a node is deployed: all problems at once."""

from __future__ import annotations

import shutil

from nerv import process
from nerv.components.catalog import Platform
from nerv.deploy.hosting.github import GitHub, api_url
from nerv.deploy.hosting.permissions import Wishes, probe_token_scopes
from nerv.deploy.preflight import Finding, PreflightError
from nerv.errors import NervError, Problem, ProblemsError
from nerv.operations import host_keys, rendering
from nerv.operations.deployment import made_key
from nerv.operations.folder import PlatformFolder
from nerv.operations.hosting import webhook
from nerv.operations.hosting.request import Options as HostingOptions
from nerv.operations.hosting.request import for_github
from nerv.operations.secrets import git_login
from nerv.platform.models import Node

_SHOWN = 5


async def local(folder: PlatformFolder, platform: Platform, node: Node, build_on: str) -> list[Finding]:
    """Everything that speaks against it here."""
    found = [*_checked(folder), *await _committed(folder), *await _nix(node, build_on), *_keys(folder, platform, node)]
    if node == platform.spec.servers[0]:
        found += [*_login(folder), *await _pushed(folder)]
    return found


async def check_committed(folder: PlatformFolder) -> None:
    """Raises PreflightError where the repository is not what is committed and rendered."""
    found = [*_checked(folder), *await _committed(folder)]
    if found:
        raise PreflightError(found)


def _checked(folder: PlatformFolder) -> list[Finding]:
    """What `nerv check` finds, and whether the files are what the definition says."""
    try:
        rendering.require_deployable(folder)
        differences = rendering.differences(folder)
    except ProblemsError as error:
        return [_finding(problem) for problem in error.problems]
    if differences:
        said = f"{len(differences)} files are not what the definition says: {', '.join(differences[:_SHOWN])}"
        return [Finding("repository", said, "`nerv render`, then commit")]
    return []


def _finding(problem: Problem) -> Finding:
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    return Finding(place, problem.message, problem.hint or "`nerv check`")


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


async def _pushed(folder: PlatformFolder) -> list[Finding]:
    """Flux sees only what is pushed; whether the remote has it is not asked here."""
    done = await process.run(["git", "rev-list", "--count", "@{upstream}..HEAD"], cwd=folder.root, check=False)
    if done.code == 0 and done.stdout.strip() == "0":
        return []
    said = f"{done.stdout.strip()} commits are not pushed" if done.code == 0 else "the branch follows no remote branch"
    return [Finding("repository", said, "`nerv bootstrap` or `git push`: Flux fetches from there", blocking=False)]


def _login(folder: PlatformFolder) -> list[Finding]:
    """What the first server bootstraps Flux with."""
    try:
        found = git_login.git_login(folder)
    except NervError as error:
        return [Finding("secrets", error.message, error.hint or "`nerv secrets check`")]
    if found.complete:
        return []
    empty = ", ".join(key for key, value in found.data.items() if not value)
    remedy = "`nerv bootstrap github` (or git) asks the repository's host and keeps it, encrypted"
    return [Finding("secrets", f"Flux's login to the repository lacks {empty}", remedy)]


async def token(folder: PlatformFolder, given: str) -> list[Finding]:
    """Whether a token of GitHub may do what a bootstrap asks for."""
    request, place = for_github(folder, HostingOptions())
    wishes = Wishes(place.owner, place.name, deploy_key=request.auth == "deployKey", webhook=webhook.wanted(request))
    try:
        async with GitHub(api_url(place.hostname), given) as github:
            await probe_token_scopes(github, wishes)
    except NervError as error:
        return [Finding("GitHub", error.message, error.hint or "https://github.com/settings/tokens")]
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
