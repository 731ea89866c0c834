"""HelmRepository: the index of a chart repository, as an artifact."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit

from nerv import documents
from nerv.controllers.flux.artifacts import Storage
from nerv.controllers.flux.config import Outside
from nerv.controllers.flux.draft import Draft
from nerv.controllers.flux.sources import chart_index, download
from nerv.controllers.flux.sources.common import FETCH_FAILED, OUTDATED, Failed, Fetched, Stuck, drifted, timeout
from nerv.kube.client import Client


@dataclass(frozen=True)
class RepositoryFetcher:
    """Fetches HelmRepositories of type `default`; those of type `oci` have nothing to fetch."""

    client: Client
    storage: Storage
    outside: Outside

    async def fetch(self, draft: Draft) -> Fetched:
        """Raises Failed, Stuck."""
        url = _checked(draft.spec["url"])
        try:
            credentials = await download.credentials(self.client, draft.obj)
            body = await download.get(
                f"{url.rstrip('/')}/index.yaml",
                self.outside,
                credentials,
                timeout=timeout(draft),
                limit=chart_index.MAX_INDEX,
            )
        except download.CredentialsError as error:
            raise Failed(FETCH_FAILED, "AuthenticationFailed", error.message) from None
        except download.DownloadError as error:
            message = f"failed to fetch Helm repository index: {error.message}"
            raise Failed(FETCH_FAILED, "Failed", message) from None
        revision = f"sha256:{hashlib.sha256(body).hexdigest()}"
        message = f"stored artifact: revision '{revision}'"
        event = f"stored fetched index of size {_size(len(body))} from '{draft.spec['url']}'"
        if (draft.status.get("artifact") or {}).get("revision") == revision:
            return Fetched(message, event)
        try:
            index = await asyncio.to_thread(chart_index.read, body)
        except chart_index.ChartIndexError as error:
            message = f"failed to load Helm repository from index YAML: {error.message}"
            raise Failed(FETCH_FAILED, "IndexationFailed", message) from None
        if draft.status.get("artifact"):
            draft.mark(OUTDATED, "True", "NewRevision", f"new index revision '{revision}'")
        drifted(draft, f"building artifact: new index revision '{revision}'")
        await draft.save()
        artifact = self.storage.store(
            "HelmRepository",
            draft.namespace,
            draft.name,
            revision,
            f"index-{revision.removeprefix('sha256:')}.yaml",
            documents.dump_json(index),
        )
        draft.status["artifact"] = artifact
        draft.status["url"] = f"{artifact['url'].rpartition('/')[0]}/index.yaml"
        return Fetched(message, event, changed=True)


def _checked(url: str) -> str:
    if url.startswith("oci://"):
        why = "'oci' URL scheme cannot be used with 'default' HelmRepository type"
        raise Stuck(FETCH_FAILED, "URLInvalid", f"invalid Helm repository URL: {why}")
    try:
        host = urlsplit(url).hostname
    except ValueError as error:
        raise Stuck(FETCH_FAILED, "URLInvalid", f"invalid Helm repository URL: {error}") from None
    if not host:
        raise Stuck(FETCH_FAILED, "URLInvalid", f"invalid Helm repository URL: '{url}' has no host")
    return url


def _size(count: int) -> str:
    """Bytes as people read them: `12.3kB`."""
    number = float(count)
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.4g}{unit}"
        number /= 1000
    return f"{number:.4g}GB"
