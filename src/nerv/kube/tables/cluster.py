"""Rows of Services, nodes, volumes, events and the rest of what a cluster has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.tables.ages import age, since
from nerv.kube.tables.printer import Printer, columns
from nerv.kube.tables.workloads import selector

_ROLE = "node-role.kubernetes.io/"
_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _spec(obj: Object) -> Mapping[str, Any]:
    return obj.get("spec") or {}


def _status(obj: Object) -> Mapping[str, Any]:
    return obj.get("status") or {}


def _simple(*cells: Callable[[Object], Any]) -> Callable[[Object, datetime], list[Any]]:
    """Name, some cells, age."""
    return lambda obj, now: [objects.name(obj), *(cell(obj) for cell in cells), age(obj, now)]


def _service(obj: Object, now: datetime) -> list[Any]:
    spec = _spec(obj)
    ports = []
    for port in spec.get("ports") or ():
        number = f"{port['port']}:{port['nodePort']}" if port.get("nodePort") else f"{port['port']}"
        ports.append(f"{number}/{port.get('protocol', 'TCP')}")
    labels = ",".join(f"{name}={value}" for name, value in sorted((spec.get("selector") or {}).items()))
    return [
        objects.name(obj),
        spec.get("type", ""),
        spec.get("clusterIP") or "<none>",
        _external(obj, spec),
        ",".join(ports) or "<none>",
        age(obj, now),
        labels or "<none>",
    ]


def _external(obj: Object, spec: Mapping[str, Any]) -> str:
    kind, fixed = spec.get("type"), spec.get("externalIPs") or []
    if kind == "ExternalName":
        return spec.get("externalName") or ""
    if kind == "LoadBalancer":
        found = [*load_balancer(obj), *fixed]
        return ",".join(found) or "<pending>"
    return ",".join(fixed) or "<none>"


def load_balancer(obj: Object) -> list[str]:
    """Addresses or names in `status.loadBalancer`."""
    ingress = (_status(obj).get("loadBalancer") or {}).get("ingress") or ()
    return [item.get("ip") or item.get("hostname") or "" for item in ingress]


def _first(items: Sequence[str], limit: int) -> str:
    more = f" + {len(items) - limit} more..." if len(items) > limit else ""
    return ",".join(items[:limit]) + more if items else "<none>"


def _endpoints(obj: Object) -> str:
    pairs = [
        f"{address['ip']}:{port['port']}" if port else address["ip"]
        for subset in obj.get("subsets") or ()
        for port in subset.get("ports") or (None,)
        for address in subset.get("addresses") or ()
    ]
    return _first(pairs, 3)


def _slice_ports(obj: Object) -> str:
    if not obj.get("ports"):
        return "<unset>"
    return _first([str(port.get("port", "*")) for port in obj["ports"]], 3)


def _slice_addresses(obj: Object) -> str:
    found = [address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    return _first(found, 3) if found else "<unset>"


def _ingress(obj: Object, now: datetime) -> list[Any]:
    spec = _spec(obj)
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    return [
        objects.name(obj),
        spec.get("ingressClassName") or "<none>",
        _first(hosts, 3) if hosts else "*",
        ",".join(load_balancer(obj)),
        "80, 443" if spec.get("tls") else "80",
        age(obj, now),
    ]


def _node(obj: Object, now: datetime) -> list[Any]:
    spec, status = _spec(obj), _status(obj)
    ready = objects.condition(obj, "Ready")
    shown = "Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"
    if spec.get("unschedulable"):
        shown += ",SchedulingDisabled"
    roles = sorted(
        {name.removeprefix(_ROLE) for name in objects.labels(obj) if name.startswith(_ROLE) and name != _ROLE}
        | {value for name, value in objects.labels(obj).items() if name == "kubernetes.io/role" and value}
    )
    addresses = {item["type"]: item["address"] for item in reversed(status.get("addresses") or [])}
    info = status.get("nodeInfo") or {}
    return [
        objects.name(obj),
        shown,
        ",".join(roles) or "<none>",
        age(obj, now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", "<none>"),
        addresses.get("ExternalIP", "<none>"),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _event(obj: Object, now: datetime) -> list[Any]:
    involved = obj.get("involvedObject") or obj.get("regarding") or {}
    series = obj.get("series") or {}
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or first
    last = series.get("lastObservedTime") or last
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    where = f"{component}, {source['host']}" if source.get("host") else component
    count = series.get("count") or obj.get("count") or obj.get("deprecatedCount") or 1
    return [
        since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{involved.get('kind', '').lower()}/{involved.get('name', '')}",
        involved.get("fieldPath", ""),
        where,
        (obj.get("message") or obj.get("note") or "").strip(),
        since(first, now),
        count,
        objects.name(obj),
    ]


def modes(found: Sequence[str] | None) -> str:
    """Access modes in their short form."""
    return ",".join(dict.fromkeys(_MODES.get(mode, mode) for mode in found or ()))


def _volume(obj: Object, now: datetime) -> list[Any]:
    spec, status = _spec(obj), _status(obj)
    claim = spec.get("claimRef") or {}
    return [
        objects.name(obj),
        (spec.get("capacity") or {}).get("storage", ""),
        modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        "Terminating" if objects.deleting(obj) else status.get("phase", ""),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or "<unset>",
        status.get("reason", ""),
        age(obj, now),
        spec.get("volumeMode", "<unset>"),
    ]


def _claim(obj: Object, now: datetime) -> list[Any]:
    spec, status = _spec(obj), _status(obj)
    bound = bool(spec.get("volumeName"))
    return [
        objects.name(obj),
        "Terminating" if objects.deleting(obj) else status.get("phase", ""),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "") if bound else "",
        modes(status.get("accessModes")) if bound else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or "<unset>",
        age(obj, now),
        spec.get("volumeMode", "<unset>"),
    ]


def _binding(obj: Object, now: datetime) -> list[Any]:
    role = obj.get("roleRef") or {}
    subjects: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for item in obj.get("subjects") or ():
        name = f"{item['namespace']}/{item['name']}" if item.get("kind") == "ServiceAccount" else item.get("name", "")
        subjects.setdefault(item.get("kind", ""), []).append(name)
    found = [", ".join(subjects[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [objects.name(obj), f"{role.get('kind', '')}/{role.get('name', '')}", age(obj, now), *found]


def _storage_class(obj: Object, now: datetime) -> list[Any]:
    name = objects.name(obj)
    if objects.annotations(obj).get("storageclass.kubernetes.io/is-default-class") == "true":
        name += " (default)"
    return [
        name,
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")),
        age(obj, now),
    ]


def _request(obj: Object, now: datetime) -> list[Any]:
    spec = _spec(obj)
    seconds = spec.get("expirationSeconds")
    conditions = [item["type"] for item in _status(obj).get("conditions") or ()]
    shown = next((item for item in ("Denied", "Approved") if item in conditions), "Pending")
    if "Failed" in conditions:
        shown += ",Failed"
    if _status(obj).get("certificate"):
        shown += ",Issued"
    duration = f"{seconds // 86400}d" if seconds and seconds % 86400 == 0 else f"{seconds}s" if seconds else "<none>"
    return [objects.name(obj), age(obj, now), spec.get("signerName", ""), spec.get("username", ""), duration, shown]


def _api_service(obj: Object) -> str:
    found = _spec(obj).get("service")
    return f"{found['namespace']}/{found['name']}" if found else "Local"


def _available(obj: Object) -> str:
    found = objects.condition(obj, "Available")
    if found is None:
        return "Unknown"
    return "True" if found["status"] == "True" else f"{found['status']} ({found.get('reason', '')})"


def _quota(obj: Object, now: datetime) -> list[Any]:
    used, hard = _status(obj).get("used") or {}, _status(obj).get("hard") or _spec(obj).get("hard") or {}
    requests = [f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard) if not name.startswith("limits")]
    limits = [f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard) if name.startswith("limits")]
    return [objects.name(obj), ", ".join(requests), ", ".join(limits), age(obj, now)]


def _data(obj: Object) -> int:
    return len(obj.get("data") or ()) + len(obj.get("binaryData") or ())


def _parameters(obj: Object) -> str:
    found = _spec(obj).get("parameters")
    if not found:
        return "<none>"
    group = f".{found['apiGroup']}" if found.get("apiGroup") else ""
    return f"{found.get('kind', '')}{group}/{found.get('name', '')}"


def _param_kind(obj: Object) -> str:
    found = _spec(obj).get("paramKind")
    return f"{found.get('apiVersion', '')}/{found.get('kind', '')}" if found else "<unset>"


def _param_ref(obj: Object) -> str:
    found = _spec(obj).get("paramRef")
    if not found:
        return "<unset>"
    name = found.get("name") or "*"
    return f"{found['namespace']}/{name}" if found.get("namespace") else name


_PV = ("Name", "Capacity", "Access Modes", "Reclaim Policy", "Status", "Claim", "StorageClass")
_EVENT = ("Last Seen", "Type", "Reason", "Object", "Subobject+", "Source+", "Message", "First Seen+", "Count:integer+")
_BINDING = ("Name", "Role", "Age", "Users+", "Groups+", "ServiceAccounts+")

SERVICE = Printer(columns("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector+"), _service)
ENDPOINTS = Printer(columns("Name", "Endpoints", "Age"), _simple(_endpoints))
ENDPOINT_SLICE = Printer(
    columns("Name", "AddressType", "Ports", "Endpoints", "Age"),
    _simple(lambda obj: obj.get("addressType", ""), _slice_ports, _slice_addresses),
)
INGRESS = Printer(columns("Name", "Class", "Hosts", "Address", "Ports", "Age"), _ingress)
INGRESS_CLASS = Printer(
    columns("Name", "Controller", "Parameters", "Age"),
    _simple(lambda obj: _spec(obj).get("controller", ""), _parameters),
)
NETWORK_POLICY = Printer(
    columns("Name", "Pod-Selector", "Age"), _simple(lambda obj: selector(_spec(obj).get("podSelector")))
)
NODE = Printer(
    columns(
        *("Name", "Status", "Roles", "Age", "Version", "Internal-IP+", "External-IP+", "OS-Image+"),
        *("Kernel-Version+", "Container-Runtime+"),
    ),
    _node,
)
EVENT = Printer(columns(*_EVENT, "Name+"), _event)
NAMESPACE = Printer(columns("Name", "Status", "Age"), _simple(lambda obj: _status(obj).get("phase", "")))
CONFIG_MAP = Printer(columns("Name", "Data:integer", "Age"), _simple(_data))
SECRET = Printer(columns("Name", "Type", "Data", "Age"), _simple(lambda obj: obj.get("type", ""), _data))
SERVICE_ACCOUNT = Printer(columns("Name", "Secrets:integer", "Age"), _simple(lambda obj: len(obj.get("secrets") or ())))
VOLUME = Printer(columns(*_PV, "VolumeAttributesClass", "Reason", "Age", "VolumeMode+"), _volume)
CLAIM = Printer(
    columns(
        *("Name", "Status", "Volume", "Capacity", "Access Modes", "StorageClass", "VolumeAttributesClass", "Age"),
        "VolumeMode+",
    ),
    _claim,
)
STORAGE_CLASS = Printer(
    columns("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion:boolean", "Age"),
    _storage_class,
)
BINDING = Printer(columns(*_BINDING), _binding)
LEASE = Printer(columns("Name", "Holder", "Age"), _simple(lambda obj: _spec(obj).get("holderIdentity", "")))
WEBHOOKS = Printer(columns("Name", "Webhooks:integer", "Age"), _simple(lambda obj: len(obj.get("webhooks") or ())))
POLICY = Printer(
    columns("Name", "Validations:integer", "ParamKind", "Age"),
    _simple(lambda obj: len(_spec(obj).get("validations") or ()), _param_kind),
)
POLICY_BINDING = Printer(
    columns("Name", "PolicyName", "ParamRef", "Age"), _simple(lambda obj: _spec(obj).get("policyName", ""), _param_ref)
)
PRIORITY_CLASS = Printer(
    columns("Name", "Value:integer", "Global-Default:boolean", "Age"),
    _simple(lambda obj: obj.get("value", 0), lambda obj: bool(obj.get("globalDefault"))),
)
RUNTIME_CLASS = Printer(columns("Name", "Handler", "Age"), _simple(lambda obj: obj.get("handler", "")))
REQUEST = Printer(columns("Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"), _request)
API_SERVICE = Printer(columns("Name", "Service", "Available", "Age"), _simple(_api_service, _available))
QUOTA = Printer(columns("Name", "Request", "Limit", "Age"), _quota)
CSI_NODE = Printer(columns("Name", "Drivers:integer", "Age"), _simple(lambda obj: len(_spec(obj).get("drivers") or ())))
CSI_DRIVER = Printer(
    columns(
        *("Name", "AttachRequired:boolean", "PodInfoOnMount:boolean", "StorageCapacity:boolean"),
        *("TokenRequests", "RequiresRepublish:boolean", "Modes", "Age"),
    ),
    _simple(
        lambda obj: bool(_spec(obj).get("attachRequired", True)),
        lambda obj: bool(_spec(obj).get("podInfoOnMount")),
        lambda obj: bool(_spec(obj).get("storageCapacity")),
        lambda obj: ",".join(item.get("audience", "") for item in _spec(obj).get("tokenRequests") or ()) or "<unset>",
        lambda obj: bool(_spec(obj).get("requiresRepublish")),
        lambda obj: ",".join(_spec(obj).get("volumeLifecycleModes") or ()) or "<none>",
    ),
)
ATTACHMENT = Printer(
    columns("Name", "Attacher", "PV", "Node", "Attached:boolean", "Age"),
    _simple(
        lambda obj: _spec(obj).get("attacher", ""),
        lambda obj: (_spec(obj).get("source") or {}).get("persistentVolumeName", ""),
        lambda obj: _spec(obj).get("nodeName", ""),
        lambda obj: bool(_status(obj).get("attached")),
    ),
)
