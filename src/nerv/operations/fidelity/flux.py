"""Cases of Flux: what its controllers say of objects, on a platform that runs (either engine), over its repository.

A case's object is applied, and when its Ready condition has the status that the case names its conditions, what it
says of revisions, its inventory and its events are the answer. Names, revisions and times are made the same.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources as package
from pathlib import Path
from typing import Any

from nerv import documents, process
from nerv.errors import NervError
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import EVENTS, Resource
from nerv.operations.fidelity import normalise
from nerv.operations.fidelity.normalise import Names
from nerv.operations.fidelity.playing import Answer

NAMESPACE = "flux-system"
SOURCE = "flux-system"
_FOLDER = "parity"
_PATIENCE = 90.0
_SETTLE = 3.0
"""Seconds without a new event after which none is expected any more."""
_FIRST_EVENT = 8.0
"""Seconds in which the first event comes, where one comes at all."""
_VERSIONS = {
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
}
_DEFAULTS: dict[str, Object] = {
    "Kustomization": {"interval": "10m", "prune": True, "sourceRef": {"kind": "GitRepository", "name": SOURCE}},
    "GitRepository": {"interval": "10m"},
    "HelmRelease": {
        "interval": "10m",
        "chart": {"spec": {"chart": f"./{_FOLDER}/chart", "sourceRef": {"kind": "GitRepository", "name": SOURCE}}},
    },
}
_STATUS = (
    "lastAppliedRevision",
    "lastAttemptedRevision",
    "inventory",
)
_REVISION = re.compile(r"(?<=sha1:)[0-9a-f]{40}|\b[0-9a-f]{40}\b")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SECONDS = re.compile(r"\b\d+(\.\d+)?(ms|µs|s)\b|\b\d+m\d+(\.\d+)?s\b")
_PATH = re.compile(r"(/[\w.-]+)*/[\w.-]*\d{5,}[\w.-]*/")


@dataclass(frozen=True)
class FluxCase:
    """An object, and the status of Ready at which its answer counts."""

    name: str
    kind: str
    spec: Object
    ready: str
    until: str
    """What the message of Ready must hold, where there is more than one such state on the way."""
    also: Object
    gap: str = ""
    other_version: str = ""
    area: str = "flux"

    @property
    def object_name(self) -> str:
        """metadata.name"""
        return f"{_FOLDER}-{re.sub('[^a-z0-9]+', '-', self.name.lower()).strip('-')}"

    @property
    def identity(self) -> str:
        """How the recording names it."""
        return f"{self.kind}: {self.name}"


@cache
def _told() -> Mapping[str, Any]:
    read: Mapping[str, Any] = documents.load((package.files(__package__) / "flux.yaml").read_text(encoding="utf-8"))
    return read


@cache
def cases() -> tuple[FluxCase, ...]:
    """Every case of Flux, in order."""
    return tuple(
        FluxCase(
            case["name"],
            case["object"]["kind"],
            case["object"]["spec"],
            case["ready"],
            case.get("until", ""),
            case.get("also", {}),
            case.get("gap", ""),
            case.get("otherVersion", ""),
        )
        for case in _told()["cases"]
    )


async def play_all(client: Client, repository: Path, url: str) -> dict[str, list[Answer]]:
    """The answers of every case on a running platform whose repository is `repository`, known to it as `url`.

    Leaves a commit there, and its objects in the cluster. Raises NervError when something never comes.
    """
    revision = await _commit(repository)
    await _until_fetched(client, revision)
    answers = await asyncio.gather(*(_play(case, client, url) for case in cases()))
    return dict(zip((case.identity for case in cases()), answers, strict=True))


async def _commit(repository: Path) -> str:
    for path, text in _told()["files"].items():
        file = repository / _FOLDER / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    git = ["git", "-C", str(repository)]
    await process.run([*git, "add", "--all", _FOLDER])
    await process.run(
        [*git, "-c", "commit.gpgsign=false", "commit", "--quiet", "--allow-empty", "--message", "Cases of parity"]
    )
    return (await process.run([*git, "rev-parse", "HEAD"])).stdout.strip()


async def _until_fetched(client: Client, revision: str) -> None:
    resource = await client.resource_for(_VERSIONS["GitRepository"], "GitRepository")

    async def fetched() -> bool:
        found = await client.get(resource, SOURCE, NAMESPACE)
        return bool(((found.get("status") or {}).get("artifact") or {}).get("revision", "").endswith(revision))

    await _until(fetched, f"GitRepository {SOURCE} to fetch {revision}")


async def _until(holds: Any, what: str) -> None:
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while not await holds():
        if asyncio.get_running_loop().time() > deadline:
            raise NervError(f"waited {_PATIENCE:.0f} s for {what}")
        await asyncio.sleep(0.1)


async def _play(case: FluxCase, client: Client, url: str) -> list[Answer]:
    resource = await client.resource_for(_VERSIONS[case.kind], case.kind)
    await _clear(case, client, resource)
    wanted = documents.dump_json({**_DEFAULTS[case.kind], **case.spec}).decode().replace("{url}", url)
    made = await client.create(
        resource,
        {
            "apiVersion": _VERSIONS[case.kind],
            "kind": case.kind,
            "metadata": {"name": case.object_name, "namespace": NAMESPACE},
            "spec": documents.load_json(wanted),
        },
    )
    last: dict[str, Object] = {}

    async def settled() -> bool:
        last["object"] = await client.get(resource, case.object_name, NAMESPACE)
        status, message = _ready(last["object"])
        return status == case.ready and case.until in message

    await _until(settled, f"{case.identity} to be Ready={case.ready} {case.until}".rstrip())
    events = await _events(client, made["metadata"]["uid"])
    found = await client.get(resource, case.object_name, NAMESPACE)
    if _ready(found)[0] != case.ready:  # it is being tried again
        found = last["object"]
    answer: Answer = {"status": _status(found), "events": events}
    if case.also:
        answer["also"] = await _also(client, case.also)
    return [_same(answer, url)]


async def _clear(case: FluxCase, client: Client, resource: Resource) -> None:
    """Take away what an earlier run has left."""

    async def gone() -> bool:
        try:
            await client.delete(resource, case.object_name, NAMESPACE)
        except errors.NotFound:
            return True
        return False

    await _until(gone, f"{case.kind} {case.object_name} of an earlier run to go")


def _ready(obj: Object) -> tuple[str, str]:
    """Status and message of the condition."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next(((item["status"], item.get("message", "")) for item in conditions if item["type"] == "Ready"), ("", ""))


def _status(obj: Object) -> Object:
    status = obj.get("status") or {}
    fields = ("type", "status", "reason", "message")
    told = {name: status[name] for name in _STATUS if name in status}
    # Reconciling speaks of the try that is under way, which may be any
    lasting = [item for item in status.get("conditions") or () if item["type"] != "Reconciling"]
    told["conditions"] = [
        {field: item.get(field, "") for field in fields} for item in sorted(lasting, key=lambda item: item["type"])
    ]
    told["observed"] = status.get("observedGeneration") == obj["metadata"]["generation"]
    told["finalizers"] = obj["metadata"].get("finalizers") or []
    return told


async def _events(client: Client, uid: str) -> list[Object]:
    """Reasons, types and messages, each once: how often something is tried is no part of the answer."""
    begun = quiet_since = asyncio.get_running_loop().time()
    told: set[tuple[str, str, str]] = set()
    while True:
        found = await client.list(EVENTS, NAMESPACE, field_selector=f"involvedObject.uid={uid}")
        now = asyncio.get_running_loop().time()
        seen = {(item["type"], item["reason"], _SECONDS.sub("<seconds>", item["message"])) for item in found.items}
        if seen != told:
            told, quiet_since = seen, now
        if now - quiet_since > _SETTLE and (told or now - begun > _FIRST_EVENT):
            return [{"type": kind, "reason": reason, "message": message} for kind, reason, message in sorted(told)]
        await asyncio.sleep(0.1)


async def _also(client: Client, wanted: Object) -> Any:
    resource = await client.resource_for(wanted["apiVersion"], wanted["kind"])
    return normalise.kept(await client.get(resource, wanted["name"], wanted["namespace"]), tuple(wanted["fields"]))


def _same(answer: Answer, url: str) -> Answer:
    text = documents.dump_json(answer).decode()
    text = text.replace(url, "<url>")
    text = _DIGEST.sub("<digest>", _REVISION.sub("<revision>", text))
    text = _PATH.sub("", text)  # where artifacts are unpacked
    made: Answer = normalise.answer(documents.load_json(_SECONDS.sub("<seconds>", text)), Names())
    return made
