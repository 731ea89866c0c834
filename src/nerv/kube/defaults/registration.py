"""Defaults of what extends the API or says who may use it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

Spec = dict[str, Any]

RBAC_GROUP: Final = "rbac.authorization.k8s.io"


def binding(obj: Spec) -> None:
    """The groups of the role and of the subjects."""
    obj.setdefault("roleRef", {}).setdefault("apiGroup", RBAC_GROUP)
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", RBAC_GROUP)


def _webhooks(hooks: Iterable[Spec] | None, mutating: bool) -> None:
    for hook in hooks or ():
        hook.setdefault("failurePolicy", "Fail")
        hook.setdefault("matchPolicy", "Equivalent")
        hook.setdefault("namespaceSelector", {})
        hook.setdefault("objectSelector", {})
        hook.setdefault("timeoutSeconds", 10)
        if mutating:
            hook.setdefault("reinvocationPolicy", "Never")
        _service_port(hook.get("clientConfig"))
        _scopes(hook.get("rules"))


def _scopes(rules: Iterable[Spec] | None) -> None:
    for rule in rules or ():
        rule.setdefault("scope", "*")


def _service_port(client: Spec | None) -> None:
    if client and isinstance(client.get("service"), dict):
        client["service"].setdefault("port", 443)


def mutating_webhooks(obj: Spec) -> None:
    """A failing webhook fails the request."""
    _webhooks(obj.get("webhooks"), mutating=True)


def validating_webhooks(obj: Spec) -> None:
    """A failing webhook fails the request."""
    _webhooks(obj.get("webhooks"), mutating=False)


def validating_policy(obj: Spec) -> None:
    """A failing policy fails the request."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    _matching(spec.get("matchConstraints"))


def validating_policy_binding(obj: Spec) -> None:
    """Matches all namespaces and objects unless it says otherwise."""
    _matching(obj.setdefault("spec", {}).get("matchResources"))


def _matching(resources: Spec | None) -> None:
    if resources is None:
        return
    resources.setdefault("matchPolicy", "Equivalent")
    resources.setdefault("namespaceSelector", {})
    resources.setdefault("objectSelector", {})
    _scopes(resources.get("resourceRules"))
    _scopes(resources.get("excludeResourceRules"))


def definition(obj: Spec) -> None:
    """Names derived from the kind; no conversion."""
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if names.get("kind"):
        if not names.get("singular"):
            names["singular"] = names["kind"].lower()
        if not names.get("listKind"):
            names["listKind"] = f"{names['kind']}List"
    conversion = spec.setdefault("conversion", {})
    conversion.setdefault("strategy", "None")
    _service_port((conversion.get("webhook") or {}).get("clientConfig"))


def api_service(obj: Spec) -> None:
    """Port 443 of the service."""
    _service_port(obj.get("spec"))


def priority_class(obj: Spec) -> None:
    """Preempts what is less important."""
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")
