"""Which requests a webhook is asked about: operations, resources, scope, namespace and object selectors, conditions.

Facts: k8s.io/apiserver/pkg/admission/plugin/webhook/{rules,predicates}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nerv.apiserver.context import Attributes
from nerv.apiserver.registry import Registry, Served
from nerv.apiserver.store import Store
from nerv.kube import selectors
from nerv.kube.objects import Object

_EXEMPT = frozenset(
    {
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    }
)
"""Nobody may lock themselves out of taking a webhook away."""


def served_for(registry: Registry, attributes: Attributes, hook: Mapping[str, Any]) -> Served | None:
    """The version in which the webhook wants to be asked, or None if its rules do not match."""
    if attributes.key in _EXEMPT:
        return None
    rules = hook.get("rules") or ()
    if _any_matches(rules, attributes, attributes.served):
        return attributes.served
    if hook.get("matchPolicy", "Equivalent") == "Equivalent":
        for other in registry.by_key(attributes.key):
            if other is not attributes.served and _any_matches(rules, attributes, other):
                return other
    return None


def _any_matches(rules: Iterable[Mapping[str, Any]], attributes: Attributes, served: Served) -> bool:
    return any(_matches(rule, attributes, served) for rule in rules)


def _matches(rule: Mapping[str, Any], attributes: Attributes, served: Served) -> bool:
    resource = served.resource
    operations = rule.get("operations") or ()
    if "*" not in operations and attributes.operation not in operations:
        return False
    groups, versions = rule.get("apiGroups") or (), rule.get("apiVersions") or ()
    if ("*" not in groups and resource.group not in groups) or (
        "*" not in versions and resource.version not in versions
    ):
        return False
    scope = rule.get("scope", "*")
    namespaced = resource.namespaced or attributes.key == "namespaces"
    if (scope == "Namespaced" and not resource.namespaced) or (
        scope == "Cluster" and namespaced and resource.namespaced
    ):
        return False
    return any(_resource_matches(item, resource.plural, attributes.subresource) for item in rule.get("resources") or ())


def _resource_matches(pattern: str, plural: str, subresource: str) -> bool:
    wanted, _, part = pattern.partition("/")
    return wanted in ("*", plural) and (part in ("*", subresource) if part else not subresource or pattern == "*/*")


def selected(store: Store, attributes: Attributes, hook: Mapping[str, Any]) -> bool:
    """Whether namespace and object selectors choose the request."""
    return _namespace_selected(store, attributes, hook) and _object_selected(attributes, hook)


def _namespace_selected(store: Store, attributes: Attributes, hook: Mapping[str, Any]) -> bool:
    selector = selectors.from_object(hook.get("namespaceSelector") or {})
    if selector.empty:
        return True
    if attributes.key == "namespaces":
        obj = attributes.obj or attributes.old or {}
        return selector.matches(_labels(obj))
    if not attributes.namespace:
        return True  # cluster-scoped objects are not narrowed by it
    entry = store.head("namespaces", "", attributes.namespace)
    return entry is not None and selector.matches(entry.labels)


def _object_selected(attributes: Attributes, hook: Mapping[str, Any]) -> bool:
    selector = selectors.from_object(hook.get("objectSelector") or {})
    if selector.empty:
        return True
    present = attributes.obj if attributes.operation != "DELETE" else None
    return any(obj is not None and selector.matches(_labels(obj)) for obj in (present, attributes.old))


def _labels(obj: Object) -> Mapping[str, str]:
    return (obj.get("metadata") or {}).get("labels") or {}
