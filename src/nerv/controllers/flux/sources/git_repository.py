"""GitRepository: a branch, tag, version, reference or commit of a repository, as an artifact."""

from __future__ import annotations

import asyncio
import base64
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nerv.builders import git, ssh
from nerv.builders.git import Access, Commit, GitError
from nerv.controllers.flux import ignore, versions
from nerv.controllers.flux.artifacts import Storage
from nerv.controllers.flux.config import Outside
from nerv.controllers.flux.draft import Draft
from nerv.controllers.flux.sources.common import (
    FETCH_FAILED,
    INCLUDE_UNAVAILABLE,
    OUTDATED,
    STORAGE_FAILED,
    VERIFIED,
    Failed,
    Fetched,
    Later,
    Stuck,
    drifted,
    timeout,
)
from nerv.errors import NervError
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import SECRETS

_CONTENT_FIELDS = {
    "ignore": "observedIgnore",
    "recurseSubmodules": "observedRecurseSubmodules",
    "include": "observedInclude",
    "sparseCheckout": "observedSparseCheckout",
}


@dataclass(frozen=True)
class Target:
    """What is fetched: a full reference or a commit, and how its revision is written."""

    reference: str
    label: str

    def revision(self, commit: str) -> str:
        """`main@sha1:...`, or `sha1:...` for a commit without a branch."""
        algorithm = "sha256" if len(commit) == 64 else "sha1"
        return f"{self.label}@{algorithm}:{commit}" if self.label else f"{algorithm}:{commit}"


@dataclass(frozen=True)
class GitFetcher:
    """Fetches GitRepositories; `lookup` finds one by namespace and name (for includes)."""

    client: Client
    storage: Storage
    outside: Outside
    lookup: Callable[[str, str], Object | None]

    async def fetch(self, draft: Draft) -> Fetched:
        """Raises Failed, Stuck, Later."""
        access = await self._access(draft)
        if draft.spec.get("verify"):
            message = "failed to verify signature of commit: signatures cannot be verified here, remove spec.verify"
            draft.mark(VERIFIED, "False", "VerificationError", message)
            raise Stuck(FETCH_FAILED, "VerificationError", message)
        if draft.spec.get("recurseSubmodules"):
            raise Stuck(FETCH_FAILED, "GitOperationFailed", "spec.recurseSubmodules is not supported here")
        includes = self._includes(draft)
        repository = self.storage.work_folder("GitRepository", draft.namespace, draft.name)
        url: str = draft.spec["url"]
        try:
            target = await _target(url, draft.spec.get("ref") or {}, access, timeout(draft))
            commit = await _fetch(repository, url, target, access, timeout(draft))
        except GitError as error:
            raise Failed(
                FETCH_FAILED, "GitOperationFailed", f"failed to checkout and determine revision: {error.message}"
            ) from None
        revision = target.revision(commit.id)
        artifact = draft.status.get("artifact")
        message = f"stored artifact for revision '{revision}'"
        if artifact and artifact["revision"] == revision and _same_content(draft) and not _changed(draft, includes):
            return Fetched(message, f"stored artifact for commit '{revision}'")
        if not artifact or artifact["revision"] != revision:
            await self._announce(draft, f"new upstream revision '{revision}'", "NewRevision")
        elif _changed(draft, includes):
            await self._announce(draft, "included artifacts differ from last observed includes", "IncludeChange")
        await self._store(draft, repository, commit.id, revision, includes)
        return Fetched(message, f"stored artifact for commit '{commit.subject}'", changed=True)

    async def _announce(self, draft: Draft, message: str, reason: str) -> None:
        if draft.status.get("artifact"):
            draft.mark(OUTDATED, "True", reason, message)
        drifted(draft, f"building artifact: {message}")
        await draft.save()

    async def _store(self, draft: Draft, repository: Path, commit: str, revision: str, includes: list[Object]) -> None:
        with tempfile.TemporaryDirectory(prefix="nerv-git-") as name:
            files = Path(name) / "files"
            await git.export(repository, commit, files)
            sparse = draft.spec.get("sparseCheckout") or ()
            missing = [path for path in sparse if not (files / path).is_dir()]
            if missing:
                raise Stuck(
                    FETCH_FAILED,
                    "GitOperationFailed",
                    f"failed to sparse checkout directories : sparse checkout dir '{missing[0]}' does not exist in "
                    "repository",
                )
            await asyncio.to_thread(_keep, files, sparse, draft.spec.get("ignore"))
            self._copy_includes(draft, includes, files)
            draft.status["artifact"] = await asyncio.to_thread(
                self.storage.store_files,
                *("GitRepository", draft.namespace, draft.name, revision, f"{commit}.tar.gz", files),
            )
        for field, observed in _CONTENT_FIELDS.items():
            if draft.spec.get(field):
                draft.status[observed] = draft.spec[field]
            else:
                draft.status.pop(observed, None)
        draft.status.pop("includedArtifacts", None)
        if includes:
            draft.status["includedArtifacts"] = includes

    def _includes(self, draft: Draft) -> list[Object]:
        """The artifacts that are put into this one. Raises Later."""
        found = []
        for include in draft.spec.get("include") or ():
            name = include["repository"]["name"]
            source = self.lookup(draft.namespace, name)
            if source is None:
                message = f"could not get resource for include '{name}': gitrepositories \"{name}\" not found"
                raise Later(INCLUDE_UNAVAILABLE, "NotFound", message)
            artifact = (source.get("status") or {}).get("artifact")
            if not artifact:
                message = f"no artifact available for include '{name}'"
                raise Later(INCLUDE_UNAVAILABLE, "NoArtifact", message)
            found.append(artifact)
        return found

    def _copy_includes(self, draft: Draft, artifacts: list[Object], files: Path) -> None:
        for include, artifact in zip(draft.spec.get("include") or (), artifacts, strict=True):
            name = include["repository"]["name"]
            sources = self.storage.sources(artifact)
            origin = sources.root / (include.get("fromPath") or "").lstrip("/")
            target = files / (include.get("toPath") or name).lstrip("/")
            if not sources.contains(origin) or files.resolve() not in [target.resolve(), *target.resolve().parents]:
                raise Failed(STORAGE_FAILED, "IllegalPath", f"path calculation for include '{name}' failed")
            if not origin.is_dir():
                raise Failed(STORAGE_FAILED, "CopyFailure", f"failed to copy '{name}' include from {origin.name}")
            shutil.copytree(origin, target, dirs_exist_ok=True)

    async def _access(self, draft: Draft) -> Access:
        """Proxy, authorities and credentials. Raises Failed, Stuck."""
        url = urlsplit(draft.spec["url"])
        if draft.spec.get("provider") not in (None, "", "generic"):
            message = f"provider '{draft.spec['provider']}' is not supported here, use secretRef"
            raise Stuck(FETCH_FAILED, "InvalidProviderConfiguration", message)
        data: Mapping[str, str] = {}
        if draft.spec.get("secretRef"):
            data = await self._secret(draft, draft.spec["secretRef"]["name"])
        values = {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()}
        if url.scheme == "ssh":
            return self._ssh_access(values)
        return Access(
            self.outside.proxy_url,
            self.outside.ca_file,
            values.get("username", ""),
            values.get("password", ""),
            values.get("bearerToken", ""),
            values.get("ca.crt") or values.get("caFile", ""),
        )

    def _ssh_access(self, values: Mapping[str, str]) -> Access:
        """By a key, to a server whose key is known. Raises Failed."""
        missing = next((key for key in ("identity", "known_hosts") if not values.get(key)), None)
        if missing:
            why = f"failed to configure authentication options: invalid 'ssh' auth option: '{missing}' is required"
            raise Failed(FETCH_FAILED, "AuthenticationFailed", why)
        try:
            identity = ssh.identity(values["identity"], values.get("password", ""))
        except NervError as error:
            why = f"failed to checkout and determine revision: {error.message}"
            raise Failed(FETCH_FAILED, "GitOperationFailed", why) from None
        return Access(self.outside.proxy_url, identity=identity, known_hosts=values["known_hosts"])

    async def _secret(self, draft: Draft, name: str) -> Mapping[str, str]:
        try:
            secret = await self.client.get(SECRETS, name, draft.namespace)
        except errors.ApiError as error:
            raise Failed(
                FETCH_FAILED, "AuthenticationFailed", f"failed to get secret '{draft.namespace}/{name}': {error}"
            ) from None
        return secret.get("data") or {}


async def _target(url: str, ref: Mapping[str, str], access: Access, timeout: float) -> Target:
    """By the order of precedence that the API documents: commit, name, semver, tag, branch. Raises GitError."""
    if ref.get("commit"):
        return Target(ref["commit"], ref.get("branch", ""))
    if ref.get("name"):
        return Target(ref["name"], ref["name"])
    if ref.get("semver"):
        found = await git.references(url, access, "refs/tags/*", timeout=timeout)
        tags = [name.removeprefix("refs/tags/") for name in found]
        try:
            tag = versions.newest(tags, ref["semver"])
        except versions.ConstraintError as error:
            raise GitError(f"semver parse error: {error}") from None
        if tag is None:
            raise GitError(f"no match found for semver: {ref['semver']}")
        return Target(f"refs/tags/{tag}", tag)
    if ref.get("tag"):
        return Target(f"refs/tags/{ref['tag']}", ref["tag"])
    branch = ref.get("branch") or "master"
    return Target(f"refs/heads/{branch}", branch)


async def _fetch(repository: Path, url: str, target: Target, access: Access, timeout: float) -> Commit:
    try:
        return await git.fetch(repository, url, target.reference, access, timeout=timeout)
    except GitError as error:
        if "unable to clone" in error.message and "remote ref" not in error.message:
            # what is kept may be broken (a power cut, a rewritten server): the next try starts afresh
            shutil.rmtree(repository, ignore_errors=True)
        raise


def _same_content(draft: Draft) -> bool:
    """Whether the fields that shape the artifact are those it was made with."""
    return all(
        (draft.spec.get(field) or None) == (draft.status.get(observed) or None)
        for field, observed in _CONTENT_FIELDS.items()
    )


def _changed(draft: Draft, includes: list[Object]) -> bool:
    before = draft.status.get("includedArtifacts") or []
    return [each["revision"] for each in before] != [each["revision"] for each in includes]


def _keep(files: Path, sparse: Iterable[str], extra: str | None) -> None:
    """Leave only what belongs into the artifact."""
    folders = tuple(f"{path.strip('./')}/" for path in sparse)
    texts = {
        "" if path.parent == files else str(path.parent.relative_to(files)): path.read_text(errors="replace")
        for path in files.rglob(ignore.FILE)
    }
    rules = ignore.patterns(texts, extra)
    for path in sorted(files.rglob("*"), reverse=True):
        name = str(path.relative_to(files))
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif ignore.excluded(name, rules) or (folders and not name.startswith(folders)):
            path.unlink()
