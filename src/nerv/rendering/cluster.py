"""clusters/<name>/: Flux itself, and the two Kustomizations that apply apps/ and apps-config/ in order."""

from __future__ import annotations

from nerv import documents
from nerv.components.catalog import Platform
from nerv.components.flux import resources as flux
from nerv.platform import versions
from nerv.rendering import headers
from nerv.rendering.folders import Tree, kustomization

_COMPONENTS = "gotk-components.yaml"
_SYNC = "gotk-sync.yaml"


def files(platform: Platform) -> Tree:
    """Every file of the cluster's folder."""
    settings = platform.spec.components.flux
    folder = platform.cluster_path
    told = headers.FLUX_OWNED + f"# Flux Version: {versions.FLUX}\n# Components: {','.join(versions.FLUX_COMPONENTS)}\n"
    return {
        f"{folder}/kustomization.yaml": kustomization(("flux-system", "apps.yaml", "apps-config.yaml")),
        f"{folder}/flux-system/kustomization.yaml": kustomization((_COMPONENTS, _SYNC)),
        f"{folder}/flux-system/{_COMPONENTS}": told + documents.dump_all(flux.components(settings)),
        f"{folder}/flux-system/{_SYNC}": headers.FLUX_OWNED + documents.dump_all(flux.sync(platform)),
        f"{folder}/apps.yaml": headers.GENERATED + documents.dump(flux.apps(settings)),
        f"{folder}/apps-config.yaml": headers.GENERATED + documents.dump(flux.apps_config(settings)),
    }


def flux_owned(path: str) -> bool:
    """Whether a bootstrap by Flux may rewrite the file."""
    return path.endswith((f"/flux-system/{_COMPONENTS}", f"/flux-system/{_SYNC}"))
