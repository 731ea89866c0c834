"""Replacing secrets by new ones: what changes in the repository, and what must happen next for the new one to count.

Each rotation is all or nothing: files are made anew first and put in place together (see nerv.rendering.writing), with
the old private key at hand until then (see nerv.operations.secrets.replacing).
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nerv.builders.sops import Format, detect
from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.deploy import flux
from nerv.errors import NervError
from nerv.operations import folder as folders
from nerv.operations import host_keys, keys, pki, rendering, session, sops
from nerv.operations.folder import PlatformFolder
from nerv.operations.rendering import Change
from nerv.operations.secrets import contents, files, private_keys, replacing, steps
from nerv.operations.secrets.git_login import git_login, set_git_login
from nerv.operations.secrets.private_keys import PrivateKeys
from nerv.operations.secrets.replacing import Replacement
from nerv.operations.target import Target
from nerv.rendering import secrets
from nerv.rendering.public import PublicKeys
from nerv.rendering.secrets import SERVERS_FILE


class What(enum.StrEnum):
    """What can be rotated."""

    data_keys = "data-keys"
    operator = "operator"
    flux = "flux"
    host = "host"
    k3s_token = "k3s-token"
    k3s_agent_token = "k3s-agent-token"
    dashboards = "dashboards"
    git_login = "git-login"
    webhook = "webhook"
    certificates = "certificates"


@dataclass(frozen=True)
class Rotated:
    """What a rotation did."""

    written: tuple[str, ...]
    """Files of the repository."""
    private: tuple[Path, ...] = ()
    """Files of the operator's folder, or of this machine's state."""
    next: tuple[str, ...] = ()
    """What is to be done now, in this order."""


@dataclass(frozen=True)
class Request:
    """What is asked for, and what is there."""

    folder: PlatformFolder
    platform: Platform
    public: PublicKeys
    own: PrivateKeys
    node: str = ""
    keep: bool = False
    token: str | None = field(default=None, repr=False)


def needs_token(folder: PlatformFolder) -> bool:
    """Whether the login to the repository is a token, which only its host can make. Raises ProblemsError."""
    return definition.load(folder.definition).spec.repository.login == "token"


async def rotate(
    folder: PlatformFolder, what: What, *, node: str = "", keep: bool = False, token: str | None = None
) -> Rotated:
    """Replace one secret. `node` is the host's; `keep` keeps the old private key in the operator's folder; `token` is
    the new token of the Git login.

    Raises NervError or ProblemsError with nothing changed.
    """
    platform = definition.load(folder.definition)
    replacing.settle(platform, folder.root)
    rendering.check_keys(folder, platform)
    public = rendering.public_keys(folder, platform)
    request = Request(folder, platform, public, private_keys.of_user(platform.name), node, keep, token)
    return await _ROTATIONS[what](request)


async def _data_keys(request: Request) -> Rotated:
    written = await _write(request, request.public, Change(renew=True))
    return Rotated(written, next=steps.data_keys(request.platform))


async def _operator(request: Request) -> Rotated:
    name, old = request.platform.name, keys.require(request.platform.name).operator
    if old in request.platform.spec.secrets.recipients:
        hint = f"it would stay a reader: `nerv secrets remove-recipient {old}` first"
        raise NervError("nerv.yaml names the operator's own key among spec.secrets.recipients", hint)
    path, new = keys.folder_for(name) / keys.OPERATOR, keys.new_key()
    public = dataclasses.replace(request.public, operator=keys.recipient_of(new))
    elsewhere = await _elsewhere(request, old, public.operator)
    with replacing.replacing(_kept(request, replacing.age_key(path, new), path)):
        written = await _write(request, public, Change(renew=True, texts=elsewhere))
    return Rotated(written, (path,), steps.operator(request.platform, path.parent))


async def _flux(request: Request) -> Rotated:
    name, old = request.platform.name, keys.require(request.platform.name).flux
    path, new = keys.folder_for(name) / keys.FLUX, keys.new_key()
    public = dataclasses.replace(request.public, flux=keys.recipient_of(new))
    texts = await _elsewhere(request, old, public.flux)
    texts |= await _set(request, {SERVERS_FILE: {contents.FLUX_AGE: contents.age_secret(new)}})
    with replacing.replacing(_kept(request, replacing.age_key(path, new), path)):
        written = await _write(request, public, Change(texts=texts))
    await _tell_running(request)
    return Rotated(written, (path,), steps.flux(request.platform))


async def _tell_running(request: Request) -> None:
    """Give Flux's key to the cluster on this machine, where it runs. Raises NervError, ApiError."""
    if folders.running_pid(request.folder) and request.folder.kubeconfig.exists():
        async with session.connect(Target(request.folder.kubeconfig)) as client:
            await flux.apply_all(client, [keys.age_secret(keys.require(request.platform.name))])


async def _host(request: Request) -> Rotated:
    node = next((node for node in request.platform.spec.nodes if node.name == request.node), None)
    if node is None:
        known = ", ".join(node.name for node in request.platform.spec.nodes)
        raise NervError(f"there is no node {request.node!r}" if request.node else "which node?", f"there are {known}")
    name, new = request.platform.name, host_keys.generate()
    public = dataclasses.replace(
        request.public, hosts={**request.public.hosts, node.name: host_keys.public_line(new, node.name)}
    )
    path = host_keys.file_of(name, node.name)
    with replacing.replacing(_kept(request, replacing.host_key(name, node.name, new), path)):
        written = await _write(request, public, Change())
    return Rotated(written, (path,), steps.host(node, path))


async def _k3s_token(request: Request) -> Rotated:
    texts = await _set(request, {SERVERS_FILE: {contents.SERVER_TOKEN: contents.new_token()}})
    return Rotated(await _write(request, request.public, Change(texts=texts)), next=steps.k3s_token(request.platform))


async def _k3s_agent_token(request: Request) -> Rotated:
    value = {contents.AGENT_TOKEN: contents.new_token()}
    texts = await _set(request, dict.fromkeys(secrets.host_files(request.platform), value))
    written = await _write(request, request.public, Change(texts=texts))
    return Rotated(written, next=steps.k3s_agent_token(request.platform))


async def _dashboards(request: Request) -> Rotated:
    name = request.platform.name
    path, new = keys.credentials_file(name), keys.new_credentials()
    with replacing.replacing(Replacement({path: new.text()})):
        made = {file.path: contents.login(file, name) for file in secrets.logins(request.platform)}
        written = await _write(request, request.public, Change(contents=made))
    return Rotated(written, (path,), steps.dashboards(request.platform))


async def _webhook(request: Request) -> Rotated:
    made = {file.path: contents.webhook(file) for file in secrets.webhook(request.platform)}
    if not made:
        raise NervError("the platform has no webhook", "`spec.components.flux.webhook: true` asks for one")
    written = await _write(request, request.public, Change(contents=made))
    return Rotated(written, next=steps.webhook(request.platform))


async def _git_login(request: Request) -> Rotated:
    deploy_key = not needs_token(request.folder)
    if not deploy_key and not request.token:
        raise NervError("the new token is missing", "make one where the repository is hosted, and give it on stdin")
    before = git_login(request.folder)
    given = {"password": request.token} if request.token and not deploy_key else {}
    await set_git_login(request.folder, given, new_key=deploy_key)
    changed = git_login(request.folder) != before
    return Rotated((SERVERS_FILE,) if changed else (), next=steps.git_login(request.platform))


async def _certificates(request: Request) -> Rotated:
    """Certificates of the cluster on this machine; the authority stays, so that who trusts it goes on doing so."""
    if folders.running_pid(request.folder):
        raise NervError(f"{request.folder.root} runs", "`nerv down` first; the next `nerv up` makes new certificates")
    removed = pki.remove_leaves(request.folder.state / "pki")
    return Rotated((), removed, steps.certificates(request.platform))


_ROTATIONS: Mapping[What, Callable[[Request], Awaitable[Rotated]]] = {
    What.data_keys: _data_keys,
    What.operator: _operator,
    What.flux: _flux,
    What.host: _host,
    What.k3s_token: _k3s_token,
    What.k3s_agent_token: _k3s_agent_token,
    What.dashboards: _dashboards,
    What.webhook: _webhook,
    What.git_login: _git_login,
    What.certificates: _certificates,
}


async def _write(request: Request, public: PublicKeys, change: Change) -> tuple[str, ...]:
    done = await rendering.write(request.folder, request.platform, public, request.own, change)
    return tuple(sorted({*done.written, *done.encrypted}))


async def _set(request: Request, values: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Files with single values changed. Raises NervError."""
    made = {}
    with sops.bench(secrets.groups(request.platform, request.public)) as bench:
        for path, changed in values.items():
            text = files.read(request.folder.root, path)
            for key, value in changed.items():
                text = await bench.set(path, text, key, value, request.own.environment)
            made[path] = text
    return made


async def _elsewhere(request: Request, old: str, new: str) -> dict[str, str]:
    """Files outside the rules that the old key opens, for the new one. Raises NervError."""
    groups = secrets.groups(request.platform, request.public)
    known = {file.path for file in files.present(request.folder.root, request.platform, groups)}
    made = {}
    with sops.bench(groups) as bench:
        for path in files.mentioning(request.folder.root, old):
            if path in known:
                continue
            text = files.read(request.folder.root, path)
            if detect(text.encode()) not in (Format.YAML, Format.JSON):
                raise NervError(f"{path} is encrypted for the old key, in a format that is not changed here")
            recipients = [new if found == old else found for found in sops.recipients_in(text, path)]
            made[path] = await bench.renew(path, text, request.own.environment, recipients)
    return made


def _kept(request: Request, replacement: Replacement, path: Path) -> Replacement:
    """With `keep`, the old private key stays in the operator's folder."""
    if not request.keep or not path.exists():
        return replacement
    target = replacing.retired(keys.folder_for(request.platform.name), path)
    return Replacement({**replacement.first, target: path.read_text(encoding="utf-8")}, replacement.last)
