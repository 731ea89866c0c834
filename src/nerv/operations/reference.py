"""`KIND/NAME` as people write it, and the object that is meant.

A name without a namespace is looked for in all of them: on a platform every component has one of its own. Two objects
of one name are an error that names both; `KIND/NAMESPACE/NAME`, the form in which NERV prints objects, is exact.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from nerv.errors import NervError
from nerv.kube import errors, objects
from nerv.kube.catalogue import Catalogue
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import Resource


@dataclass(frozen=True)
class Reference:
    """What was written. `namespace` is empty where none was given."""

    kind: str
    name: str
    namespace: str = ""

    @classmethod
    def parse(cls, text: str, namespace: str | None = None) -> Reference:
        """`kustomization/apps`, `kustomization/flux-system/apps`. Raises NervError for anything else."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise NervError(f"{text!r} names no object", "write KIND/NAME or KIND/NAMESPACE/NAME")
        if len(parts) == 3 and namespace and namespace != parts[1]:
            raise NervError(f"{text} is not in namespace {namespace}", f"leave out -n {namespace}")
        return cls(parts[0], parts[-1], parts[1] if len(parts) == 3 else namespace or "")


def shown(obj: Object) -> str:
    """The exact reference of an object: `helmrelease/traefik-system/traefik`."""
    return f"{objects.kind(obj).lower()}/{objects.key(obj)}"


async def find(client: Client, catalogue: Catalogue, reference: Reference) -> tuple[Resource, Object]:
    """The object meant. Raises NervError for none or several, ApiError."""
    resource = catalogue.require(reference.kind)
    if reference.namespace or not resource.namespaced:
        try:
            return resource, _typed(await client.get(resource, reference.name, reference.namespace or None), resource)
        except errors.NotFound as error:
            listed = (await client.list(resource, reference.namespace or None)).items
            raise NervError(error.message, _near(reference.name, listed)) from None
    return resource, await _anywhere(client, resource, reference.name)


async def _anywhere(client: Client, resource: Resource, name: str) -> Object:
    try:
        listed = (await client.list(resource)).items
    except errors.Forbidden as error:
        raise NervError(error.message, "name the namespace with -n") from None
    found = [obj for obj in listed if objects.name(obj) == name]
    if len(found) > 1:
        raise NervError(f"there are {len(found)} {resource.plural} {name}", " or ".join(map(shown, found)))
    if not found:
        raise NervError(f'{resource.qualified} "{name}" not found in any namespace', _near(name, listed))
    return _typed(found[0], resource)


def _typed(obj: Object, resource: Resource) -> Object:
    """Servers leave kind and apiVersion out of items, but never NERV out of its messages."""
    obj.setdefault("apiVersion", resource.api_version)
    obj.setdefault("kind", resource.kind)
    return obj


def _near(name: str, listed: list[Object]) -> str:
    by_name = {objects.name(obj): obj for obj in listed}
    near = difflib.get_close_matches(name, by_name, 3)
    if near:
        return f"did you mean {' or '.join(shown(by_name[each]) for each in near)}?"
    return f"there are {', '.join(sorted(by_name)[:8])}" if by_name else "there are none"
