"""What is compared and sent at an apply: desired objects in normal form, and whether a live one differs. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from nerv.kube import objects
from nerv.kube.errors import ApiError, Conflict, Invalid, NoMatch, NotFound
from nerv.kube.objects import Object

GROUP = "kustomize.toolkit.fluxcd.io"
_SECRET_FIELDS = ("apiVersion", "kind", "metadata", "immutable", "data", "type")
_IMMUTABLE = re.compile(r"is\simmutable|immutable\sfield")


def normalize(obj: Object, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Object:
    """A copy to apply: with these labels and annotations, without status, Secrets without `stringData`."""
    result: Object = objects.clone(obj)
    metadata = result["metadata"]
    metadata.pop("creationTimestamp", None)
    if objects.kind(obj) != "CustomResourceDefinition":
        result.pop("status", None)
    else:
        _drop_authority(result)
    for field, added in (("labels", labels), ("annotations", annotations)):
        if added:
            metadata[field] = {**(metadata.get(field) or {}), **added}
    if objects.kind(obj) == "Secret" and objects.api_version(obj) == "v1":
        return _typed_secret(result)
    return result


def _typed_secret(secret: Object) -> Object:
    """As Go's type of a Secret has it: `stringData` in `data`, and what the type does not know is lost.

    So is `sops`: kustomize-controller 1.6 applies the ciphertext of an encrypted `stringData`, and refuses that of
    `data` alone, which is no base64 and keeps the Secret from becoming typed at all. Shown with the real one.
    """
    if not all(_is_base64(value) for value in (secret.get("data") or {}).values()):
        return secret
    texts = secret.pop("stringData", None) or {}
    encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in texts.items()}
    if encoded:
        secret["data"] = {**(secret.get("data") or {}), **encoded}
    return {key: value for key, value in secret.items() if key in _SECRET_FIELDS}


def _is_base64(value: Any) -> bool:
    try:
        base64.b64decode(str(value or ""), validate=True)
    except ValueError:
        return False
    return True


def _drop_authority(definition: Object) -> None:
    """An authority of a conversion webhook that is none would make the whole definition invalid."""
    webhook = (((definition.get("spec") or {}).get("conversion") or {}).get("webhook") or {}).get("clientConfig") or {}
    bundle = webhook.get("caBundle")
    if bundle is not None and b"-----BEGIN CERTIFICATE-----" not in _decoded(bundle):
        del webhook["caBundle"]


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError:
        return b""


def differs(live: Object, wanted: Object) -> bool:
    """Whether an apply would change more than bookkeeping: labels, annotations, or anything but metadata and status."""
    return (
        objects.labels(live) != objects.labels(wanted)
        or objects.annotations(live) != objects.annotations(wanted)
        or _content(live) != _content(wanted)
    )


def _content(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion", "kind")}


def switched(obj: Object | None, switch: str, value: str) -> bool:
    """Whether a label or an annotation of ours has that value, in any case of letters."""
    if obj is None:
        return False
    name = f"{GROUP}/{switch}"
    return any(
        str(found.get(name, "")).lower() == value.lower() for found in (objects.labels(obj), objects.annotations(obj))
    )


def is_immutable(error: ApiError) -> bool:
    """Whether an object must be made anew to become what is wanted."""
    return isinstance(error, (Conflict, Invalid)) or _IMMUTABLE.search(error.message) is not None


def failure(subject: str, namespace: str, error: ApiError) -> str:
    """The words for an apply that was tried and refused."""
    if isinstance(error, NotFound) and not isinstance(error, NoMatch):
        return f"{subject} {'not found' if namespace else 'namespace not specified'}: {error.message}"
    conflicts = any(cause.get("reason") == "FieldManagerConflict" for cause in error.causes)
    reason = "FieldManagerConflict" if conflicts else "" if isinstance(error, NoMatch) else error.reason
    return f"{subject} dry-run failed{f' ({reason})' if reason else ''}: {error.message}"
