"""Kinds of sources that nothing here can fetch: they say so, instead of waiting for ever."""

from __future__ import annotations

from nerv.controllers.flux.draft import Draft
from nerv.controllers.flux.sources.common import FETCH_FAILED, Fetched, Stuck


async def refuse(draft: Draft) -> Fetched:
    """Raises Stuck."""
    message = f"{draft.resource.kind} sources cannot be fetched by this engine, use a GitRepository or HelmRepository"
    raise Stuck(FETCH_FAILED, "UnsupportedSourceKind", message)
