"""Rules of Services, configuration, storage and routes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from nerv.kube import fields, quantity
from nerv.kube.fields import FieldError
from nerv.kube.objects import Object
from nerv.kube.validation import names

Rule = Callable[[Object, Object | None], Iterator[FieldError]]

_MAX_BYTES: Final = 1024 * 1024
_SERVICE_TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_ACCESS_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_SECRET_KEYS: Final = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_CLAIM_RULE: Final = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)
_IMMUTABLE_WHEN: Final = "field is immutable when `immutable` is set"


def _spec(obj: Object | None) -> Mapping[str, Any]:
    return (obj or {}).get("spec") or {}


def _service(obj: Object, old: Object | None) -> Iterator[FieldError]:
    spec, kind = _spec(obj), _spec(obj).get("type", "ClusterIP")
    if kind not in _SERVICE_TYPES:
        yield fields.not_supported("spec.type", kind, _SERVICE_TYPES)
    ports = spec.get("ports") or []
    headless = spec.get("clusterIP") == "None"
    if kind == "ExternalName":
        if not spec.get("externalName"):
            yield fields.required("spec.externalName")
    elif not ports and not headless:
        yield fields.required("spec.ports")
    if kind == "LoadBalancer" and headless:
        detail = "may not be set to 'None' for LoadBalancer services"
        yield fields.invalid("spec.clusterIPs[0]", "None", detail)
    yield from _service_ports(ports)
    if spec.get("sessionAffinity", "None") not in ("ClientIP", "None"):
        yield fields.not_supported("spec.sessionAffinity", spec["sessionAffinity"], ("ClientIP", "None"))
    before = _spec(old)
    moved = bool(before.get("clusterIP") and spec.get("clusterIP")) and spec["clusterIP"] != before["clusterIP"]
    if moved and "ExternalName" not in (kind, before.get("type")):
        shown = f'[]string{{"{spec["clusterIP"]}"}}'
        yield FieldError("spec.clusterIPs[0]", fields.INVALID, f"Invalid value: {shown}: may not change once set")


def _service_ports(ports: list[Mapping[str, Any]]) -> Iterator[FieldError]:
    seen: list[tuple[Any, Any]] = []
    named: set[str] = set()
    for position, port in enumerate(ports):
        path = fields.index("spec.ports", position)
        name = port.get("name") or ""
        if len(ports) > 1 and not name:
            yield fields.required(f"{path}.name")
        elif name:
            yield from (fields.invalid(f"{path}.name", name, problem) for problem in names.label(name))
            if name in named:
                yield fields.duplicate(f"{path}.name", name)
            named.add(name)
        number = port.get("port", 0)
        yield from (fields.invalid(f"{path}.port", number, problem) for problem in names.number(number))
        target = port.get("targetPort")
        problems = names.port_name(target) if isinstance(target, str) else names.number(target) if target else []
        yield from (fields.invalid(f"{path}.targetPort", target, problem) for problem in problems)
        if port.get("protocol", "TCP") not in ("SCTP", "TCP", "UDP"):
            yield fields.not_supported(f"{path}.protocol", port["protocol"], ("SCTP", "TCP", "UDP"))
        identity = (number, port.get("protocol", "TCP"))
        if identity in seen:
            yield fields.duplicate(path, dict(port))
        seen.append(identity)


def _data(obj: Object, old: Object | None, encoded: tuple[str, ...], plain: tuple[str, ...]) -> Iterator[FieldError]:
    size = 0
    for field in (*encoded, *plain):
        for key, value in (obj.get(field) or {}).items():
            where = fields.key(field, key)
            yield from (fields.invalid(where, key, problem) for problem in names.config_key(key))
            if field in encoded:
                try:
                    size += len(base64.b64decode(value or "", validate=True))
                except (ValueError, TypeError):
                    yield fields.invalid(where, "<hidden contents redacted>", "illegal base64 data")
            else:
                size += len((value or "").encode())
    if size > _MAX_BYTES:
        yield fields.too_long("data" if encoded == ("data",) else "", _MAX_BYTES)
    if old is not None and old.get("immutable"):
        if not obj.get("immutable"):
            yield fields.forbidden("immutable", _IMMUTABLE_WHEN)
        for field in (*encoded, *plain):
            if (obj.get(field) or {}) != (old.get(field) or {}):
                yield fields.forbidden(field, _IMMUTABLE_WHEN)


def _config_map(obj: Object, old: Object | None) -> Iterator[FieldError]:
    yield from _data(obj, old, ("binaryData",), ("data",))
    for key in (obj.get("binaryData") or {}).keys() & (obj.get("data") or {}).keys():
        yield fields.invalid(fields.key("data", key), key, "duplicate of key present in binaryData")


def _secret(obj: Object, old: Object | None) -> Iterator[FieldError]:
    yield from _data(obj, old, ("data",), ())
    for key in _SECRET_KEYS.get(obj.get("type", ""), ()):
        if key not in (obj.get("data") or {}):
            yield fields.required(fields.key("data", key))
    if old is not None and obj.get("type") != old.get("type"):
        yield fields.invalid("type", obj.get("type"), fields.IMMUTABLE)


def _modes(spec: Mapping[str, Any]) -> Iterator[FieldError]:
    if not spec.get("accessModes"):
        yield fields.required("spec.accessModes", "at least 1 access mode is required")
    for mode in spec.get("accessModes") or ():
        if mode not in _ACCESS_MODES:
            yield fields.not_supported("spec.accessModes", mode, _ACCESS_MODES)


def _claim(obj: Object, old: Object | None) -> Iterator[FieldError]:
    spec = _spec(obj)
    yield from _modes(spec)
    wanted = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if wanted is None:
        yield fields.required("spec.resources[storage]")
    elif quantity.parse(wanted) <= 0:
        yield fields.invalid("spec.resources[storage]", wanted, "must be greater than zero")
    if old is None or wanted is None:
        return
    before = _spec(old)
    if _claim_core(spec, before) != _claim_core(before, before):
        yield fields.forbidden("spec", _CLAIM_RULE)
    had = ((before.get("resources") or {}).get("requests") or {}).get("storage", "0")
    if quantity.parse(wanted) < quantity.parse(had):
        yield fields.forbidden("spec.resources.requests.storage", "field can not be less than previous value")


def _claim_core(spec: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What of a claim may not change; the volume and the default class may be filled in once."""
    found = {name: value for name, value in spec.items() if name not in ("resources", "volumeAttributesClassName")}
    for name in ("volumeName", "storageClassName"):
        if not before.get(name):
            found.pop(name, None)
    return found


def _volume(obj: Object, old: Object | None) -> Iterator[FieldError]:
    spec = _spec(obj)
    yield from _modes(spec)
    if not spec.get("capacity"):
        yield fields.required("spec.capacity")
    elif set(spec["capacity"]) != {"storage"}:
        yield fields.not_supported("spec.capacity", next(iter(spec["capacity"])), ("storage",))
    sources = _sources(spec)
    if not sources:
        yield fields.required("spec", "must specify a volume type")
    elif len(sources) > 1:
        yield fields.forbidden(f"spec.{sources[1]}", "may not specify more than 1 volume type")
    if old is not None and {name: spec[name] for name in sources} != {
        name: _spec(old)[name] for name in _sources(_spec(old))
    }:
        yield fields.forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation")


_VOLUME_FIELDS: Final = frozenset(
    (
        *("accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy"),
        *("storageClassName", "volumeAttributesClassName", "volumeMode"),
    )
)


def _sources(spec: Mapping[str, Any]) -> list[str]:
    return [name for name in spec if name not in _VOLUME_FIELDS]


def _storage_class(obj: Object, old: Object | None) -> Iterator[FieldError]:
    if not obj.get("provisioner"):
        yield fields.required("provisioner")
    if obj.get("reclaimPolicy") not in ("Delete", "Retain"):
        yield fields.not_supported("reclaimPolicy", obj.get("reclaimPolicy"), ("Delete", "Retain"))
    if old is None:
        return
    for field, default in (("parameters", {}), ("provisioner", ""), ("reclaimPolicy", ""), ("volumeBindingMode", "")):
        if (obj.get(field) or default) != (old.get(field) or default):
            if field in ("parameters", "provisioner"):
                yield fields.forbidden(field, f"updates to {field} are forbidden.")
            else:
                yield fields.invalid(field, obj.get(field), fields.IMMUTABLE)


def _ingress(obj: Object, old: Object | None) -> Iterator[FieldError]:
    spec = _spec(obj)
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield fields.invalid("spec", spec, "either `defaultBackend` or `rules` must be specified")
    for position, rule in enumerate(spec.get("rules") or ()):
        for place, item in enumerate((rule.get("http") or {}).get("paths") or ()):
            path = f"spec.rules[{position}].http.paths[{place}]"
            kinds = ("Exact", "ImplementationSpecific", "Prefix")
            if item.get("pathType") is None:
                yield fields.required(f"{path}.pathType", "pathType must be specified")
            elif item["pathType"] not in kinds:
                yield fields.not_supported(f"{path}.pathType", item["pathType"], kinds)
            elif item["pathType"] != "ImplementationSpecific" and not (item.get("path") or "").startswith("/"):
                yield fields.invalid(f"{path}.path", item.get("path", ""), "must be an absolute path")


def _endpoint_slice(obj: Object, old: Object | None) -> Iterator[FieldError]:
    kinds = ("FQDN", "IPv4", "IPv6")
    if obj.get("addressType") and obj["addressType"] not in kinds:
        yield fields.not_supported("addressType", obj["addressType"], kinds)
    if old is not None and obj.get("addressType") != old.get("addressType"):
        yield fields.invalid("addressType", obj.get("addressType"), fields.IMMUTABLE)
    for position, endpoint in enumerate(obj.get("endpoints") or ()):
        if not endpoint.get("addresses"):
            yield fields.required(f"endpoints[{position}].addresses", "must contain at least 1 address")


def _priority_class(obj: Object, old: Object | None) -> Iterator[FieldError]:
    if old is not None and obj.get("value", 0) != old.get("value", 0):
        yield fields.forbidden("value", "may not be changed in an update.")


def _namespace(obj: Object, old: Object | None) -> Iterator[FieldError]:
    for position, finalizer in enumerate(_spec(obj).get("finalizers") or ()):
        for problem in names.qualified(finalizer):
            yield fields.invalid(f"spec.finalizers[{position}]", finalizer, problem)


RULES: Final[dict[tuple[str, str], Rule]] = {
    ("v1", "Service"): _service,
    ("v1", "ConfigMap"): _config_map,
    ("v1", "Secret"): _secret,
    ("v1", "Namespace"): _namespace,
    ("v1", "PersistentVolume"): _volume,
    ("v1", "PersistentVolumeClaim"): _claim,
    ("storage.k8s.io/v1", "StorageClass"): _storage_class,
    ("networking.k8s.io/v1", "Ingress"): _ingress,
    ("discovery.k8s.io/v1", "EndpointSlice"): _endpoint_slice,
    ("scheduling.k8s.io/v1", "PriorityClass"): _priority_class,
}
