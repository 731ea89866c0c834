"""The environment of a container, by the kubelet's rules (kubelet_pods.go, envvars.go; version 1.31). Pure.

Order, later ones win: the Services of the namespace, envFrom, env. `$(NAME)` is replaced by what stands before it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from nerv.errors import NervError
from nerv.kube import quantity
from nerv.kube.objects import Object
from nerv.network.informing import Informer

_REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")
_NAME = re.compile(r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")
_KEYED = re.compile(r"^metadata\.(labels|annotations)\['([^']+)'\]$")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ConfigError(NervError):
    """A container cannot be created: something it refers to is missing. Worded as the kubelet words it."""


@dataclass(frozen=True)
class Sources:
    """What an environment is made from."""

    config_maps: Informer
    secrets: Informer
    services: Informer
    capacity: Mapping[str, int]
    """CPU in thousandths and memory in bytes of the node, for limits that are not set."""


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; unknown names stay as they are, and `$$` is one `$`."""

    def value(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return environment.get(match[2], match[0])

    return _REFERENCE.sub(value, text)


def of_container(pod: Object, container: Object, sources: Sources) -> dict[str, str]:
    """The whole environment. `pod` must carry its addresses in its status. Raises ConfigError."""
    namespace = pod["metadata"]["namespace"]
    environment = {"PATH": PATH, "HOME": "/", "HOSTNAME": pod["spec"].get("hostname") or pod["metadata"]["name"]}
    environment |= service_variables(_linked(pod, sources.services))
    for source in container.get("envFrom", []):
        environment |= _all_of(source, namespace, sources)
    for entry in container.get("env", []):
        if source := entry.get("valueFrom"):
            value = _value_from(source, pod, container, sources)
            if value is not None:
                environment[entry["name"]] = value
        else:
            environment[entry["name"]] = expand(entry.get("value", ""), environment)
    return environment


def service_variables(services: Iterable[Object]) -> dict[str, str]:
    """`NAME_SERVICE_HOST` and its kin, as Docker links had them."""
    variables = {}
    for service in services:
        spec = service["spec"]
        address = spec.get("clusterIP")
        if address in (None, "", "None") or not spec.get("ports"):
            continue
        name = service["metadata"]["name"].upper().replace("-", "_")
        first = spec["ports"][0]
        variables[f"{name}_SERVICE_HOST"] = address
        variables[f"{name}_SERVICE_PORT"] = str(first["port"])
        variables[f"{name}_PORT"] = f"{first.get('protocol', 'TCP').lower()}://{address}:{first['port']}"
        for port in spec["ports"]:
            protocol, number = port.get("protocol", "TCP"), str(port["port"])
            if port.get("name"):
                variables[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = number
            prefix = f"{name}_PORT_{number}_{protocol}"
            variables[prefix] = f"{protocol.lower()}://{address}:{number}"
            variables |= {
                f"{prefix}_PROTO": protocol.lower(),
                f"{prefix}_PORT": number,
                f"{prefix}_ADDR": address,
            }
    return variables


def _linked(pod: Object, services: Informer) -> list[Object]:
    namespace = pod["metadata"]["namespace"]
    own = services.list(namespace) if pod["spec"].get("enableServiceLinks", True) else []
    master = services.get("default", "kubernetes")
    return own if master is None or (namespace == "default" and own) else [*own, master]


def _all_of(source: Object, namespace: str, sources: Sources) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for field, informer, kind in (
        ("configMapRef", sources.config_maps, "configmap"),
        ("secretRef", sources.secrets, "secret"),
    ):
        if reference := source.get(field):
            found = informer.get(namespace, reference["name"])
            if found is None and not reference.get("optional"):
                raise ConfigError(f'{kind} "{reference["name"]}" not found')
            values = data_of(found) if found else {}
            return {prefix + key: value.decode(errors="replace") for key, value in values.items() if _NAME.match(key)}
    return {}


def data_of(obj: Object) -> dict[str, bytes]:
    """The content of a ConfigMap or Secret as bytes."""
    if obj["kind"] == "Secret":
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    plain = {key: value.encode() for key, value in (obj.get("data") or {}).items()}
    return plain | {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}


def _value_from(source: Object, pod: Object, container: Object, sources: Sources) -> str | None:
    namespace = pod["metadata"]["namespace"]
    if reference := source.get("configMapKeyRef"):
        return _key(reference, sources.config_maps, namespace, "configmap", "ConfigMap")
    if reference := source.get("secretKeyRef"):
        return _key(reference, sources.secrets, namespace, "secret", "Secret")
    if reference := source.get("fieldRef"):
        return field_of(pod, reference["fieldPath"])
    return resource_of(container, source["resourceFieldRef"], sources.capacity)


def _key(reference: Object, informer: Informer, namespace: str, kind: str, title: str) -> str | None:
    name, key = reference["name"], reference["key"]
    found = informer.get(namespace, name)
    if found is None:
        if reference.get("optional"):
            return None
        raise ConfigError(f'{kind} "{name}" not found')
    value = data_of(found).get(key)
    if value is None:
        if reference.get("optional"):
            return None
        raise ConfigError(f"couldn't find key {key} in {title} {namespace}/{name}")
    return value.decode(errors="replace")


def field_of(pod: Object, path: str) -> str:
    """A field of the downward API. Raises ConfigError for one that it does not have."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    if keyed := _KEYED.match(path):
        return str((metadata.get(keyed[1]) or {}).get(keyed[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        table: dict[str, Any] = metadata.get(path.partition(".")[2]) or {}
        return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(table.items()))
    values = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata.get("uid", ""),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": status.get("hostIP", ""),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": ",".join(entry["ip"] for entry in status.get("podIPs", [])),
    }
    if path not in values:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return str(values[path])


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def resource_of(container: Object, reference: Object, capacity: Mapping[str, int]) -> str:
    """A request or limit of a container in units of the divisor, rounded up; the node's own where it is not set."""
    part, _, name = reference["resource"].partition(".")
    resources = container.get("resources") or {}
    text = (resources.get(part) or {}).get(name)
    value = quantity.parse(text) if text is not None else _default(name, part, capacity)
    divisor = quantity.parse(reference.get("divisor") or "1")
    return str(-(-value // (divisor or 1)))


def _default(name: str, part: str, capacity: Mapping[str, int]) -> Fraction:
    if part == "requests":
        return Fraction(0)
    amount = Fraction(capacity.get(name, 0))
    return amount / 1000 if name == "cpu" else amount
