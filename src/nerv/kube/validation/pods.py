"""Rules of pods and pod templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from nerv.kube import fields, quantity
from nerv.kube.fields import FieldError
from nerv.kube.objects import Object, clone
from nerv.kube.validation import names
from nerv.kube.validation.metadata import labels

Spec = Mapping[str, Any]

_PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")
_RESTART_POLICIES: Final = ("Always", "OnFailure", "Never")
_DNS_POLICIES: Final = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_UPDATE_RULE: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod(obj: Object, old: Object | None) -> Iterator[FieldError]:
    """A pod: its spec, and that it hardly changes."""
    yield from spec(obj.get("spec") or {}, "spec")
    if old is not None and _fixed(obj, old) != _fixed(old, old):
        yield fields.forbidden("spec", _UPDATE_RULE)


def _fixed(obj: Object, old: Object) -> Object:
    """The part of a pod's spec that may not change. The scheduler binds through a subresource, once; scheduling gates
    may be taken away."""
    found: Object = clone(obj.get("spec") or {})
    gates = (old.get("spec") or {}).get("schedulingGates") or []
    if all(gate in gates for gate in found.get("schedulingGates") or []):
        found.pop("schedulingGates", None)
    for name in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "ephemeralContainers"):
        found.pop(name, None)
    for container in (*(found.get("containers") or ()), *(found.get("initContainers") or ())):
        container.pop("image", None)
    return found


def template(owner: Spec, path: str, restart: Iterable[str] = ("Always",)) -> Iterator[FieldError]:
    """The pod template of a workload. `restart` are the policies that it may have."""
    found = owner.get("template") or {}
    yield from labels(f"{path}.template.labels", (found.get("metadata") or {}).get("labels"))
    below = found.get("spec") or {}
    yield from spec(below, f"{path}.template.spec")
    policy, allowed = below.get("restartPolicy", "Always"), tuple(restart)
    if policy in _RESTART_POLICIES and policy not in allowed:
        where = f"{path}.template.spec.restartPolicy"
        if "Always" in allowed:
            yield fields.not_supported(where, policy, allowed)
        else:
            yield fields.required(where, "valid values: " + ", ".join(f'"{item}"' for item in allowed))


def spec(found: Spec, path: str) -> Iterator[FieldError]:
    """Containers, volumes and enumerations."""
    volumes = [item.get("name", "") for item in found.get("volumes") or ()]
    yield from _unique_names(volumes, f"{path}.volumes")
    if not found.get("containers"):
        yield fields.required(f"{path}.containers")
    seen: list[str] = []
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for position, item in enumerate(found.get(kind) or ()):
            where = f"{path}.{kind}[{position}]"
            yield from _container(item, where, volumes)
            if item.get("name") in seen:
                yield fields.duplicate(f"{where}.name", item["name"])
            seen.append(item.get("name") or "")
    yield from _one_of(found, "restartPolicy", _RESTART_POLICIES, path)
    yield from _one_of(found, "dnsPolicy", _DNS_POLICIES, path)
    if (found.get("terminationGracePeriodSeconds") or 0) < 0:
        seconds = found["terminationGracePeriodSeconds"]
        yield fields.invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must be greater than or equal to 0")
    for field, check in (("serviceAccountName", names.subdomain), ("nodeName", names.subdomain)):
        if found.get(field):
            yield from (fields.invalid(f"{path}.{field}", found[field], item) for item in check(found[field]))
    if found.get("hostname"):
        yield from (fields.invalid(f"{path}.hostname", found["hostname"], it) for it in names.label(found["hostname"]))


def _one_of(found: Spec, field: str, allowed: Iterable[str], path: str) -> Iterator[FieldError]:
    if found.get(field) is not None and found[field] not in allowed:
        yield fields.not_supported(f"{path}.{field}", found[field], allowed)


def _unique_names(found: Iterable[str], path: str) -> Iterator[FieldError]:
    seen: list[str] = []
    for position, name in enumerate(found):
        where = f"{path}[{position}].name"
        if not name:
            yield fields.required(where)
            continue
        yield from (fields.invalid(where, name, problem) for problem in names.label(name))
        if name in seen:
            yield fields.duplicate(where, name)
        seen.append(name)


def _container(item: Spec, path: str, volumes: Iterable[str]) -> Iterator[FieldError]:
    name, image = item.get("name") or "", item.get("image") or ""
    if not name:
        yield fields.required(f"{path}.name")
    else:
        yield from (fields.invalid(f"{path}.name", name, problem) for problem in names.label(name))
    if not image:
        yield fields.required(f"{path}.image")
    elif image != image.strip():
        yield fields.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    yield from _one_of(item, "imagePullPolicy", _PULL_POLICIES, path)
    yield from _ports(item, path)
    for position, variable in enumerate(item.get("env") or ()):
        where = f"{path}.env[{position}]"
        if not variable.get("name"):
            yield fields.required(f"{where}.name")
        else:
            problems = names.environment(variable["name"])
            yield from (fields.invalid(f"{where}.name", variable["name"], problem) for problem in problems)
        if variable.get("value") and variable.get("valueFrom"):
            yield fields.invalid(f"{where}.valueFrom", "", "may not be specified when `value` is not empty")
    yield from _mounts(item, path, set(volumes))
    yield from _resources(item.get("resources") or {}, f"{path}.resources")


def _ports(item: Spec, path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for position, port in enumerate(item.get("ports") or ()):
        where = f"{path}.ports[{position}]"
        if port.get("containerPort") in (None, 0):
            yield fields.required(f"{where}.containerPort")
        else:
            problems = names.number(port["containerPort"])
            yield from (fields.invalid(f"{where}.containerPort", port["containerPort"], it) for it in problems)
        if port.get("name"):
            yield from (fields.invalid(f"{where}.name", port["name"], it) for it in names.port_name(port["name"]))
            if port["name"] in seen:
                yield fields.duplicate(f"{where}.name", port["name"])
            seen.add(port["name"])
        yield from _one_of(port, "protocol", _PROTOCOLS, where)


def _mounts(item: Spec, path: str, volumes: set[str]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for position, mount in enumerate(item.get("volumeMounts") or ()):
        where = f"{path}.volumeMounts[{position}]"
        if not mount.get("name"):
            yield fields.required(f"{where}.name")
        elif mount["name"] not in volumes:
            yield fields.not_found(f"{where}.name", mount["name"])
        place = mount.get("mountPath")
        if not place:
            yield fields.required(f"{where}.mountPath")
        elif place in seen:
            yield fields.invalid(f"{where}.mountPath", place, "must be unique")
        seen.add(place or "")


def _resources(found: Spec, path: str) -> Iterator[FieldError]:
    limits, requests = found.get("limits") or {}, found.get("requests") or {}
    for kind, table in (("limits", limits), ("requests", requests)):
        for name, value in table.items():
            try:
                amount = quantity.parse(value)
            except ValueError as error:
                yield fields.invalid(f"{path}.{kind}.{name}", value, str(error))
                return
            if amount < 0:
                yield fields.invalid(f"{path}.{kind}[{name}]", value, "must be greater than or equal to 0")
    for name, value in requests.items():
        if name in limits and quantity.parse(value) > quantity.parse(limits[name]):
            yield fields.invalid(
                f"{path}.requests", value, f"must be less than or equal to {name} limit of {limits[name]}"
            )
