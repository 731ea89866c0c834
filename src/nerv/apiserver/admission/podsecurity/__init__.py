"""PodSecurity: the labels `pod-security.kubernetes.io/{enforce,audit,warn}` of a namespace, or what the server is
configured with where they are missing, held against pods.

Pods are refused, workloads with a pod template are only warned about: their pods will be refused one by one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from nerv.apiserver.admission.podsecurity.standards import Violation, violations
from nerv.apiserver.context import Attributes, Context
from nerv.kube import errors, fields
from nerv.kube.fields import FieldError
from nerv.kube.objects import Object

_LABEL = "pod-security.kubernetes.io/"
_LEVELS = ("privileged", "baseline", "restricted")
_VERSION = re.compile(r"latest|v1\.(0|[1-9][0-9]*)")
_TEMPLATES = {
    "podtemplates": ("template",),
    "replicationcontrollers": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "replicasets.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}


def check(context: Context, attributes: Attributes) -> None:
    """Raises errors.Forbidden when a pod breaks the enforced level."""
    obj = attributes.obj
    if obj is None or attributes.operation not in ("CREATE", "UPDATE"):
        return
    if attributes.key == "namespaces" and not attributes.subresource:
        _check_labels(obj)
    if attributes.namespace in context.pod_security.exempt:
        return
    if attributes.key == "pods" and (
        attributes.operation == "CREATE" or attributes.subresource == "ephemeralcontainers"
    ):
        labels = _labels(context, attributes.namespace)
        level, version = _level(labels, "enforce")
        found = violations(level, obj)
        if found:
            raise attributes.served.forbidden(attributes.name, f"violates PodSecurity {_text(level, version, found)}")
        _warn(attributes, labels, obj)
    elif attributes.key in _TEMPLATES and not attributes.subresource:
        template = _at(obj, _TEMPLATES[attributes.key])
        if template and template != _at(attributes.old or {}, _TEMPLATES[attributes.key]):
            _warn(attributes, _labels(context, attributes.namespace), template)


def _check_labels(namespace: Object) -> None:
    """Raises errors.Invalid for a level or version that is none."""
    labels = namespace["metadata"].get("labels") or {}
    wrong: list[FieldError] = []
    for mode in ("enforce", "audit", "warn"):
        level, version = labels.get(_LABEL + mode), labels.get(f"{_LABEL}{mode}-version")
        if level is not None and level not in _LEVELS:
            path = fields.key("metadata.labels", _LABEL + mode)
            wrong.append(fields.invalid(path, level, f"must be one of {', '.join(_LEVELS)}"))
        if version is not None and not _VERSION.fullmatch(version):
            path = fields.key("metadata.labels", f"{_LABEL}{mode}-version")
            wrong.append(fields.invalid(path, version, 'must be "latest" or "v1.x"'))
    if wrong:
        raise errors.invalid("Namespace", "", namespace["metadata"]["name"], [item.cause() for item in wrong])


def _warn(attributes: Attributes, labels: Mapping[str, str], pod: Object) -> None:
    level, version = _level(labels, "warn")
    found = violations(level, pod)
    if found:
        attributes.warnings.append(f"would violate PodSecurity {_text(level, version, found)}")


def _labels(context: Context, namespace: str) -> Mapping[str, str]:
    entry = context.store.head("namespaces", "", namespace)
    defaults = {f"{_LABEL}{mode}": level for mode, level in context.pod_security.defaults.items()}
    return {**defaults, **(entry.labels if entry else {})}


def _level(labels: Mapping[str, str], mode: str) -> tuple[str, str]:
    return labels.get(_LABEL + mode, "privileged"), labels.get(f"{_LABEL}{mode}-version", "latest")


def _text(level: str, version: str, found: list[Violation]) -> str:
    listed = ", ".join(f"{item.reason} ({item.detail})" if item.detail else item.reason for item in found)
    return f'"{level}:{version}": {listed}'


def _at(obj: Object, path: tuple[str, ...]) -> Object:
    value: Object = obj
    for part in path:
        value = value.get(part) or {}
    return value
