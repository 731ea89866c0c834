"""StorageObjectInUseProtection: volumes and claims are held until nobody uses them."""

from __future__ import annotations

from nerv.apiserver.context import Attributes, Context

_FINALIZERS = {
    "persistentvolumes": "kubernetes.io/pv-protection",
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
}


def protect(context: Context, attributes: Attributes) -> None:
    """Add the finalizer that the protection controllers take away."""
    finalizer = _FINALIZERS.get(attributes.key)
    if finalizer and attributes.operation == "CREATE" and attributes.obj is not None:
        finalizers = attributes.obj["metadata"].setdefault("finalizers", [])
        if finalizer not in finalizers:
            finalizers.append(finalizer)
