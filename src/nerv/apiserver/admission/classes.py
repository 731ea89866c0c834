"""DefaultStorageClass and DefaultIngressClass: who does not choose gets the class marked as default."""

from __future__ import annotations

from nerv.apiserver.context import Attributes, Context
from nerv.kube import objects

_STORAGE = "storageclasses.storage.k8s.io"
_INGRESS = "ingressclasses.networking.k8s.io"
_DEFAULT_STORAGE = "storageclass.kubernetes.io/is-default-class"
_DEFAULT_INGRESS = "ingressclass.kubernetes.io/is-default-class"


def choose(context: Context, attributes: Attributes) -> None:
    """Fill in the class of a new claim or ingress."""
    obj = attributes.obj
    if attributes.operation != "CREATE" or attributes.subresource or obj is None:
        return
    if attributes.key == "persistentvolumeclaims":
        old_way = "volume.beta.kubernetes.io/storage-class" in objects.annotations(obj)
        if obj["spec"].get("storageClassName") is None and not old_way:
            name = _default(context, _STORAGE, _DEFAULT_STORAGE)
            if name:
                obj["spec"]["storageClassName"] = name
    elif attributes.key == "ingresses.networking.k8s.io":
        old_way = "kubernetes.io/ingress.class" in objects.annotations(obj)
        if obj["spec"].get("ingressClassName") is None and not old_way:
            name = _default(context, _INGRESS, _DEFAULT_INGRESS)
            if name:
                obj["spec"]["ingressClassName"] = name


def _default(context: Context, key: str, annotation: str) -> str:
    """The newest class with the annotation; equally old ones by name."""
    marked = [entry.load() for entry in context.store.iterate(key) if annotation.encode() in entry.raw]
    marked = [item for item in marked if objects.annotations(item).get(annotation) == "true"]
    if not marked:
        return ""
    newest = max(item["metadata"]["creationTimestamp"] for item in marked)
    names: list[str] = [item["metadata"]["name"] for item in marked if item["metadata"]["creationTimestamp"] == newest]
    return min(names)
