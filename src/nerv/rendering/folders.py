"""apps/ and apps-config/: a folder per component, and the kustomization.yaml files that list what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nerv import documents
from nerv.components import catalog
from nerv.components.catalog import Component, Platform
from nerv.components.objects import Folder
from nerv.rendering import headers

Tree = dict[str, str]


def apps(platform: Platform) -> Tree:
    """What brings definitions and controllers."""
    return _area("apps", platform, lambda component: component.apps(platform), ())


def apps_config(platform: Platform, *, secrets: bool) -> Tree:
    """What uses them, and the encrypted secrets beside it."""
    return _area(
        "apps-config", platform, lambda component: component.apps_config(platform), ("../secrets",) if secrets else ()
    )


def _area(area: str, platform: Platform, read: Callable[[Component], Folder], more: tuple[str, ...]) -> Tree:
    made: Tree = {}
    names: list[str] = []
    for component in catalog.enabled(platform):
        folder = read(component)
        if not folder:
            continue
        names.append(component.name)
        made[f"{area}/{component.name}/kustomization.yaml"] = kustomization(folder)
        for file, objects in folder.items():
            made[f"{area}/{component.name}/{file}"] = headers.GENERATED + documents.dump_all(objects)
    made[f"{area}/kustomization.yaml"] = kustomization((*names, *more))
    return made


def kustomization(resources: Iterable[str]) -> str:
    """A kustomization.yaml that lists `resources` in this order."""
    return headers.GENERATED + documents.dump(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": list(resources),
        }
    )
