"""The cluster's side of a bootstrap: Flux installed from what the branch holds, its secrets, the first run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nerv import documents
from nerv.builders import kustomize
from nerv.builders.kustomize import Overlay, Sources
from nerv.components.flux import controllers
from nerv.components.flux import resources as components
from nerv.deploy import flux
from nerv.deploy.hosting import content
from nerv.deploy.hosting.git import Remote
from nerv.deploy.hosting.journal import Journal
from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import SECRETS
from nerv.operations import keys
from nerv.operations.hosting.login import Login
from nerv.operations.hosting.request import Request

_REQUESTED_AT = "reconcile.fluxcd.io/requestedAt"


async def install_components(client: Client, request: Request, remote: Remote, journal: Journal) -> None:
    """Install what the branch holds, unless the cluster has applied its repository already."""
    if await flux.bootstrapped(client):
        journal.say("Flux is in the cluster and has applied its repository")
        return
    if not journal.change("install Flux's components"):
        return
    async with content.checkout(remote) as folder:
        found = await _built(folder, request)
    await flux.apply_all(client, [obj for obj in found if obj["kind"] not in flux.SYNC_KINDS])


async def _built(folder: Path, request: Request) -> list[Object]:
    """The components with the patches of the folder's kustomization.yaml, where there is one. Raises NervError."""
    own = folder / request.path / "flux-system"
    if (own / "kustomization.yaml").exists():
        return await kustomize.build(Sources(folder), f"./{request.path}/flux-system", Overlay())
    return documents.load_all((own / "gotk-components.yaml").read_text(encoding="utf-8"))


async def give_secrets(client: Client, request: Request, login: Login, journal: Journal) -> None:
    """The repository's login, and the key that decrypts; a Secret that is there stays."""
    if login.present:
        journal.say(f"Secret {flux.NAMESPACE}/{flux.NAME} is there")
    elif journal.change(f"give the cluster the repository's login (Secret {flux.NAMESPACE}/{flux.NAME})"):
        await client.apply(SECRETS, login.secret(), field_manager=flux.FIELD_MANAGER)
    name = components.AGE_SECRET
    if await flux.secret_exists(client, name):
        journal.say(f"Secret {flux.NAMESPACE}/{name} is there")
    elif journal.change(f"give the cluster Flux's age key (Secret {flux.NAMESPACE}/{name})"):
        secret = keys.age_secret(keys.require(request.platform.name))
        await client.apply(SECRETS, secret, field_manager=flux.FIELD_MANAGER)


async def start(client: Client, request: Request, revision: str, journal: Journal) -> None:
    """Let Flux reconcile the branch, and wait until it has applied `revision` of it. Raises NervError."""
    wanted = request.sync_objects()
    differs = [obj for obj in wanted if not _same((await _live(client, obj) or {}).get("spec"), obj["spec"])]
    if not differs:
        journal.say(f"Flux reconciles {request.url}, branch {request.branch}, ./{request.path}")
    elif journal.change(f"let Flux reconcile {request.url}, branch {request.branch}, ./{request.path}"):
        await flux.apply_all(client, wanted)
    if journal.dry_run:
        return
    await _ask(client, revision)
    await flux.wait_for_flux(
        client,
        revision=revision,
        timeout=request.options.timeout,
        say=journal.say,
        components=[controller.name for controller in controllers.CONTROLLERS],
    )


async def _live(client: Client, obj: Object) -> Object | None:
    if obj["kind"] == flux.KUSTOMIZATIONS.kind:
        return await flux.kustomization(client)
    return await flux.git_repository(client)


def _same(live: object, wanted: object) -> bool:
    """Whether everything that is wanted is so already, whatever else there is. Pure."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        return all(_same(live.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, Sequence) and not isinstance(wanted, str) and isinstance(live, Sequence):
        return len(live) == len(wanted) and all(map(_same, live, wanted))
    return live == wanted


async def _ask(client: Client, revision: str) -> None:
    """Let Flux look at once for a commit that it does not have yet."""
    found = await flux.git_repository(client)
    if found is None:
        raise NervError(f"GitRepository {flux.NAMESPACE}/{flux.NAME} is not there any more")
    artifact = ((found.get("status") or {}).get("artifact") or {}).get("revision")
    if artifact in (None, revision):
        return
    patch = {"metadata": {"annotations": {_REQUESTED_AT: datetime.now(UTC).isoformat()}}}
    await client.patch(flux.GIT_REPOSITORIES, flux.NAME, flux.NAMESPACE, patch)
