"""NamespaceLifecycle: nothing is created in a namespace that is missing or goes away; three are never deleted."""

from __future__ import annotations

from nerv.apiserver.context import Attributes, Context
from nerv.kube import errors
from nerv.kube.objects import deleting

KEY = "namespaces"
_IMMORTAL = ("default", "kube-system", "kube-public")


def must_exist(context: Context, attributes: Attributes) -> None:
    """Raises errors.NotFound, errors.Forbidden."""
    if attributes.operation != "CREATE" or not attributes.namespace or attributes.subresource:
        return
    entry = context.store.head(KEY, "", attributes.namespace)
    if entry is None:
        raise errors.not_found("namespaces", "", attributes.namespace)
    if b'"deletionTimestamp"' in entry.raw and deleting(entry.load()):
        refusal = attributes.served.forbidden(
            attributes.name,
            f"unable to create new content in namespace {attributes.namespace} because it is being terminated",
        )
        refusal.status["details"]["causes"] = [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {attributes.namespace} is being terminated",
                "field": "metadata.namespace",
            }
        ]
        raise refusal


def keep_spec(context: Context, attributes: Attributes) -> None:
    """The finalizers of a namespace are written through `finalize` alone."""
    if attributes.key == KEY and attributes.operation == "UPDATE" and attributes.subresource != "finalize":
        assert attributes.obj is not None
        assert attributes.old is not None
        attributes.obj["spec"] = attributes.old.get("spec") or {}


def must_not_be_deleted(context: Context, attributes: Attributes) -> None:
    """Raises errors.Forbidden."""
    if attributes.operation == "DELETE" and attributes.key == KEY and attributes.name in _IMMORTAL:
        raise attributes.served.forbidden(attributes.name, "this namespace may not be deleted")
