"""Post-renderers: what happens to rendered objects before they are stored and applied.

The kustomize ones of the spec come first, then the labels by which every object says which HelmRelease it is of. Hooks
are not post-rendered (Helm 3).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nerv import documents
from nerv.builders import kustomize
from nerv.builders.helm import Rendered, sdk
from nerv.controllers.flux.helm.engine.cluster import ActionError
from nerv.controllers.flux.helm.engine.options import PostRender
from nerv.controllers.flux.helm.view import View
from nerv.errors import NervError
from nerv.kube.objects import Object

_INPUT = "helm-output.yaml"


def post_renderer(view: View) -> PostRender:
    """The post-renderer of a HelmRelease."""

    async def post_render(rendered: Rendered) -> str:
        found: Sequence[Object] = [manifest.object for manifest in rendered.manifests]
        for renderer in view.spec.get("postRenderers") or ():
            if renderer.get("kustomize"):
                found = await _kustomized(found, renderer["kustomize"])
        labelled = [_labelled(obj, view.origin) for obj in found]
        return await sdk.call(lambda: documents.dump_all(labelled))

    return post_render


def _labelled(obj: Object, labels: Mapping[str, str]) -> Object:
    metadata = dict(obj.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    return {**obj, "metadata": metadata}


async def _kustomized(found: Sequence[Object], renderer: Mapping[str, Any]) -> Sequence[Object]:
    """Through kustomize, as one resource file with the renderer's patches and images. Raises ActionError."""
    overlay = kustomize.Overlay(
        patches=tuple(renderer.get("patches") or ()), images=tuple(renderer.get("images") or ())
    )
    with tempfile.TemporaryDirectory(prefix="nerv-helm-") as folder:
        (Path(folder) / _INPUT).write_text(documents.dump_all(found))
        (Path(folder) / "kustomization.yaml").write_text(documents.dump({"resources": [_INPUT]}))
        sources = kustomize.Sources(Path(folder))
        try:
            return list(await kustomize.build(sources, "./", overlay))
        except NervError as error:
            raise ActionError(f"error while running post render on files: {error.message}") from None
