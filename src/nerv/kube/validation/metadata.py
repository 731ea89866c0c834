"""Metadata of every kind: name, labels, annotations, owners, and what may not change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from nerv.kube import fields
from nerv.kube.fields import FieldError
from nerv.kube.objects import Object
from nerv.kube.validation import names

_ANNOTATIONS_LIMIT: Final = 256 * 1024
_STANDARD_FINALIZERS: Final = ("kubernetes", "orphan", "foregroundDeletion")
_RBAC: Final = "rbac.authorization.k8s.io/v1"

_NAMES: Final[dict[tuple[str, str], Callable[[str], list[str]]]] = {
    ("v1", "Namespace"): names.label,
    ("v1", "Service"): names.service,
    (_RBAC, "Role"): names.path_segment,
    (_RBAC, "ClusterRole"): names.path_segment,
    (_RBAC, "RoleBinding"): names.path_segment,
    (_RBAC, "ClusterRoleBinding"): names.path_segment,
}


def validate_metadata(obj: Object, old: Object | None = None) -> list[FieldError]:
    """Errors of `metadata`, for builtin kinds and custom resources alike."""
    metadata = obj.get("metadata") or {}
    errors = [*_name(obj, metadata), *_labels(metadata), *_annotations(metadata), *_references(metadata)]
    if old is not None:
        errors += _unchanged(metadata, old.get("metadata") or {})
    return errors


def _name(obj: Object, metadata: Mapping[str, Any]) -> Iterator[FieldError]:
    check = _NAMES.get((obj.get("apiVersion", ""), obj.get("kind", "")), names.subdomain)
    name, prefix = metadata.get("name") or "", metadata.get("generateName") or ""
    if not name and not prefix:
        yield fields.required("metadata.name", "name or generateName is required")
    elif name:
        yield from (fields.invalid("metadata.name", name, problem) for problem in check(name))
    else:
        stem = prefix[:-1] + "a" if prefix.endswith("-") else prefix
        yield from (fields.invalid("metadata.generateName", prefix, problem) for problem in check(stem))
    if metadata.get("namespace"):
        for problem in names.label(metadata["namespace"]):
            yield fields.invalid("metadata.namespace", metadata["namespace"], problem)


def labels(path: str, found: Mapping[str, Any] | None) -> Iterator[FieldError]:
    """Keys and values of a map of labels."""
    for key, value in (found or {}).items():
        yield from (fields.invalid(path, key, problem) for problem in names.qualified(key))
        yield from (fields.invalid(path, value, problem) for problem in names.label_value(value))


def _labels(metadata: Mapping[str, Any]) -> Iterator[FieldError]:
    return labels("metadata.labels", metadata.get("labels"))


def _annotations(metadata: Mapping[str, Any]) -> Iterator[FieldError]:
    size = 0
    for key, value in (metadata.get("annotations") or {}).items():
        size += len(key) + len(value.encode())
        # Prefixes of annotations may be in upper case, for historical reasons.
        yield from (fields.invalid("metadata.annotations", key, problem) for problem in names.qualified(key.lower()))
    if size > _ANNOTATIONS_LIMIT:
        yield fields.too_long("metadata.annotations", _ANNOTATIONS_LIMIT)


def _references(metadata: Mapping[str, Any]) -> Iterator[FieldError]:
    controllers = 0
    for reference in metadata.get("ownerReferences") or ():
        path = "metadata.ownerReferences"  # without the index, as the server says it
        for field in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(field):
                yield fields.invalid(fields.child(path, field), "", f"{field} must not be empty")
        controllers += bool(reference.get("controller"))
    if controllers > 1:
        shown = "only one reference can have Controller set to true"
        yield fields.invalid("metadata.ownerReferences", metadata["ownerReferences"], shown)
    for finalizer in metadata.get("finalizers") or ():
        yield from (fields.invalid("metadata.finalizers", finalizer, item) for item in names.qualified(finalizer))


def builtin_finalizers(metadata: Mapping[str, Any]) -> Iterator[FieldError]:
    """Those of builtin kinds must be qualified or standard; custom resources are only advised to."""
    for position, finalizer in enumerate(metadata.get("finalizers") or ()):
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS and not names.qualified(finalizer):
            shown = "name is neither a standard finalizer name nor is it fully qualified"
            yield fields.invalid(fields.index("metadata.finalizers", position), finalizer, shown)


def _unchanged(metadata: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[FieldError]:
    for field in ("name", "namespace", "uid", "creationTimestamp"):
        if metadata.get(field) != old.get(field):
            yield fields.invalid(f"metadata.{field}", metadata.get(field) or "", fields.IMMUTABLE)
    if old.get("deletionTimestamp"):
        added = [item for item in metadata.get("finalizers") or () if item not in (old.get("finalizers") or ())]
        if added:
            found = fields.show(fields.Strings(added))
            detail = f"no new finalizers can be added if the object is being deleted, found new finalizers {found}"
            yield fields.forbidden("metadata.finalizers", detail)
