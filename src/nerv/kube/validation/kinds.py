"""All rules for one object: metadata, required fields, and the rules of its kind."""

from __future__ import annotations

from typing import Final

from nerv.kube.fields import FieldError
from nerv.kube.objects import GroupVersionKind, Object
from nerv.kube.schemas import builtin
from nerv.kube.validation import core, registration, required, workloads
from nerv.kube.validation.metadata import builtin_finalizers, validate_metadata
from nerv.kube.validation.workloads import Rule

# servers of their own inside the API server: they know no standard finalizers, and put a bare one on definitions
_PLAIN_FINALIZERS: Final = ("apiextensions.k8s.io", "apiregistration.k8s.io")
_RULES: Final[dict[tuple[str, str], Rule]] = workloads.RULES | core.RULES | registration.RULES


def validate(obj: Object, old: Object | None = None, *, subresource: str = "") -> list[FieldError]:
    """Everything wrong with a builtin object. `old` is the stored object on updates.

    The object must be defaulted and of the right types (`schemas.type_error`). A write through a subresource (status,
    binding) is checked for its metadata alone: the rules of the spec would forbid what it is there for.
    """
    errors = validate_metadata(obj, old)
    if GroupVersionKind.of(obj).group not in _PLAIN_FINALIZERS:
        errors = [*errors, *builtin_finalizers(obj.get("metadata") or {})]
    if subresource:
        return errors
    schema = builtin(GroupVersionKind.of(obj))
    rule = _RULES.get((obj.get("apiVersion", ""), obj.get("kind", "")))
    if rule is not None:
        errors += rule(obj, old)
    if schema is not None:
        told = {error.field for error in errors}
        errors += [error for error in required.check(obj, schema) if error.field not in told]
    return errors
