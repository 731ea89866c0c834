"""Longhorn's settings as objects: read with their defaults, and what they say about pods of the system."""

from __future__ import annotations

from nerv import documents
from nerv.controllers.runtime import Informer
from nerv.controllers.services.storage import resources
from nerv.controllers.services.storage.defaults import SETTINGS
from nerv.controllers.services.storage.manifests import Placement
from nerv.kube import objects
from nerv.kube.objects import Object

_PULL_POLICIES = {"always": "Always", "if-not-present": "IfNotPresent", "never": "Never"}


def customized(config_map: Object | None) -> dict[str, str]:
    """What the chart's ConfigMap longhorn-default-setting sets; unknown names are ignored, as the manager does."""
    text = ((config_map or {}).get("data") or {}).get("default-setting.yaml") or ""
    try:
        found = documents.load(text) or {}
    except documents.DocumentError:
        return {}
    known = {each.name for each in SETTINGS}
    return {name: _text(value) for name, value in found.items() if name in known and value is not None}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def value(settings: Informer, namespace: str, name: str) -> str:
    """The value of a setting; its default while the object does not exist."""
    obj = settings.get(namespace, name)
    if obj is not None:
        return str(obj.get("value") or "")
    return next((each.default for each in SETTINGS if each.name == name), "")


def placement(settings: Informer, namespace: str) -> Placement:
    """Where and how the pods of the system run."""
    policy = value(settings, namespace, "system-managed-pods-image-pull-policy")
    return Placement(
        namespace,
        priority_class=value(settings, namespace, "priority-class"),
        pull_policy=_PULL_POLICIES.get(policy, "IfNotPresent"),
        registry_secret=value(settings, namespace, "registry-secret"),
        tolerations=tolerations(value(settings, namespace, "taint-toleration")),
        node_selector=selector(value(settings, namespace, "system-managed-components-node-selector")),
    )


def tolerations(text: str) -> list[Object]:
    """`key=value:Effect; key:Effect` as tolerations."""
    found = []
    for part in filter(None, (each.strip() for each in text.split(";"))):
        pair, _, effect = part.partition(":")
        key, equals, wanted = pair.partition("=")
        rule: Object = {"key": key, "operator": "Equal" if equals else "Exists"}
        if equals:
            rule["value"] = wanted
        if effect:
            rule["effect"] = effect
        found.append(rule)
    return found


def selector(text: str) -> dict[str, str]:
    """`key:value; key:value` as labels."""
    pairs = (each.strip().partition(":") for each in text.split(";"))
    return {key: wanted for key, _, wanted in pairs if key}


def setting(namespace: str, name: str, text: str) -> Object:
    """The object of a setting."""
    return {
        "apiVersion": resources.API_VERSION,
        "kind": "Setting",
        "metadata": {"name": name, "namespace": namespace},
        "value": text,
    }


def problem(obj: Object) -> str:
    """Why a value cannot be set; empty if it can."""
    name, text = objects.name(obj), str(obj.get("value") or "")
    kind = next((each.kind for each in SETTINGS if each.name == name), None)
    if kind is None:
        return f"setting {name} is not supported"
    place = f"failed to validate setting {name} with invalid value {text}: value {text} of setting {name}"
    if kind == "bool" and text not in ("true", "false"):
        return f"{place} should be true or false"
    if kind == "int" and not text.lstrip("-").isdigit():
        return f"{place} is not a number"
    return ""
