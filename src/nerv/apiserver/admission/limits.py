"""LimitRanger: default requests and limits of containers, and the smallest and largest that a namespace allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nerv.apiserver.admission import quotas
from nerv.apiserver.context import Attributes, Context
from nerv.kube import quantity
from nerv.kube.objects import Object

_KEY = "limitranges"
_ANNOTATION = "kubernetes.io/limit-ranger"


def fill(context: Context, attributes: Attributes) -> None:
    """Give containers the namespace's defaults, and say in an annotation what was given."""
    rules = list(_rules(context, attributes, "Container"))
    if not rules:
        return
    assert attributes.obj is not None
    told = [text for container in _containers(attributes.obj) for text in _fill(container, rules)]
    if told:
        annotations = attributes.obj["metadata"].setdefault("annotations", {})
        annotations[_ANNOTATION] = f"LimitRanger plugin set: {'; '.join(told)}"


def _fill(container: dict[str, Any], rules: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Set what a container does not say itself; the words of the annotation."""
    given: dict[str, list[str]] = {"requests": [], "limits": []}
    resources = container.setdefault("resources", {})
    for rule in rules:
        for field, source in (("limits", "default"), ("requests", "defaultRequest")):
            for name, value in (rule.get(source) or {}).items():
                if name not in (resources.get(field) or {}):
                    # a limit that the container chose itself is the better request than the default one
                    own = (resources.get("limits") or {}).get(name) if field == "requests" else None
                    resources.setdefault(field, {})[name] = own if own and name not in _given(rule) else value
                    given[field].append(name)
    for field, names in given.items():
        if names:
            yield f"{', '.join(sorted(names))} {field[:-1]} for container {container['name']}"


def _given(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    return rule.get("defaultRequest") or {}


def check(context: Context, attributes: Attributes) -> None:
    """Raises errors.Forbidden for a container, pod or claim outside of the bounds."""
    problems: list[str] = []
    for kind in ("Container", "Pod"):
        for rule in _rules(context, attributes, kind):
            assert attributes.obj is not None
            if kind == "Container":
                holders = [item.get("resources") or {} for item in _containers(attributes.obj)]
            else:
                holders = [_sum(attributes.obj)]
            problems += [text for holder in holders for text in _problems(rule, holder, kind)]
    if attributes.key == "persistentvolumeclaims" and attributes.operation == "CREATE" and attributes.obj:
        for rule in _ranges(context, attributes.namespace, "PersistentVolumeClaim"):
            problems += _problems(rule, attributes.obj["spec"].get("resources") or {}, "PersistentVolumeClaim")
    if problems:
        unique = list(dict.fromkeys(problems))
        text = unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"
        raise attributes.served.forbidden(attributes.name, text)


def _rules(context: Context, attributes: Attributes, kind: str) -> Iterable[Mapping[str, Any]]:
    if attributes.key != "pods" or attributes.operation != "CREATE" or attributes.subresource:
        return ()
    return _ranges(context, attributes.namespace, kind)


def _ranges(context: Context, namespace: str, kind: str) -> list[Mapping[str, Any]]:
    return [
        rule
        for entry in context.store.entries(_KEY, namespace)
        for rule in entry.load()["spec"].get("limits") or ()
        if rule.get("type") == kind
    ]


def _problems(rule: Mapping[str, Any], resources: Mapping[str, Any], kind: str) -> Iterable[str]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, least in (rule.get("min") or {}).items():
        value = requests.get(name)
        if value is None:
            yield f"minimum {name} usage per {kind} is {least}.  No request is specified"
        elif quantity.parse(value) < quantity.parse(least):
            yield f"minimum {name} usage per {kind} is {least}, but request is {value}"
    for name, most in (rule.get("max") or {}).items():
        field = "request" if kind == "PersistentVolumeClaim" else "limit"
        value = (requests if field == "request" else limits).get(name)
        if value is None:
            yield f"maximum {name} usage per {kind} is {most}.  No {field} is specified"
        elif quantity.parse(value) > quantity.parse(most):
            yield f"maximum {name} usage per {kind} is {most}, but {field} is {value}"


def _sum(pod: Object) -> Object:
    total: dict[str, dict[str, str]] = {"limits": {}, "requests": {}}
    for container in pod["spec"].get("containers") or ():
        for field, found in total.items():
            for name, value in ((container.get("resources") or {}).get(field) or {}).items():
                total_value = quantity.parse(found.get(name, "0")) + quantity.parse(value)
                found[name] = quotas.text(total_value)
    return total


def _containers(pod: Object) -> Iterable[dict[str, Any]]:
    for field in ("initContainers", "containers"):
        yield from pod["spec"].get(field) or ()
