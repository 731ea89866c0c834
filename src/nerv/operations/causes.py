"""What an object in trouble waits for: another object, or nobody, and then what to do about it. One rule for each kind.

All rules are pure functions over `Facts`; the words that they decide by are those of Flux 2.6, Kubernetes 1.31,
cert-manager and MetalLB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.operations import kinds, remedies, trace, tree
from nerv.operations.events import Event
from nerv.operations.status import PodItem
from nerv.operations.tree import Key

Step: TypeAlias = Key | str
"""The object that is waited for, or the way out where this one is the cause"""


@dataclass(frozen=True)
class Facts:
    """What is known of a cluster."""

    objects: Mapping[Key, Object]
    owned: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)
    warnings: Mapping[tuple[str, str, str], tuple[Event, ...]] = field(default_factory=dict)
    parts: Mapping[Key, tuple[Key, ...]] = field(default_factory=dict)
    """what a Kustomization or a HelmRelease applied"""

    def including(self, obj: Object) -> Facts:
        """The same with an object of any other kind."""
        return replace(self, objects={**self.objects, Key.of(obj): obj})

    def find(self, key: Key) -> Object | None:
        """The object, or None."""
        return self.objects.get(key)

    def warning(self, obj: Object) -> Event | None:
        """The newest warning about an object."""
        subject = (objects.kind(obj), objects.namespace(obj), objects.name(obj))
        return next(reversed(self.warnings.get(subject, ())), None)

    def in_trouble(self, wanted: Iterable[Key]) -> Iterator[Key]:
        """Those of the objects that exist and are in trouble."""
        for key in wanted:
            obj = self.find(key)
            if obj is not None and trouble(obj, self):
                yield key


def trouble(obj: Object, facts: Facts) -> str:
    """Why an object is not as it should be, in one line; empty when nothing is wrong with it."""
    kind, status = objects.kind(obj), obj.get("status") or {}
    if kind == "Pod":
        return _pod_trouble(obj, facts)
    if kind == "PersistentVolumeClaim":
        return "" if status.get("phase") == "Bound" or _waits_for_user(obj) else _said(obj, facts, "is not bound yet")
    if kind == "Service":
        pending = (obj.get("spec") or {}).get("type") == "LoadBalancer" and not _ingress(status)
        return _said(obj, facts, "has no address yet") if pending else ""
    level, message = tree.level_of(obj)
    if kind == "Job" and level == "Current" and not objects.is_true(obj, "Complete"):
        # that a Job runs is no trouble; that its pods fail is, long before it gives up
        failing = next(filter(None, (trouble(pod, facts) for pod in facts.owned.get(objects.uid(obj), ()))), "")
        return f"a pod of it fails: {failing}" if failing else ""
    if level == "Suspended":
        ready = objects.condition(obj, "Ready") or {}
        return "" if ready.get("status") == "True" else f"suspended; before: {message or 'nothing'}"
    if level == "Current":
        return ""
    return message or f"{level}: says nothing more"


def step(obj: Object, facts: Facts) -> Step:
    """What an object in trouble waits for."""
    rule = _RULES.get(objects.kind(obj), _other)
    return rule(obj, facts)


def absent(key: Key) -> str:
    """What to do about an object that others name and that is not there."""
    if key.group == kinds.SOURCE_GROUP:
        return f"make the {key.kind}, or correct the sourceRef that names it"
    if key.kind in ("Kustomization", "HelmRelease"):
        return "correct the dependsOn that names it, or add it"
    return f"make the {key.kind}, or correct what names it"


def _ingress(status: Mapping[str, Any]) -> list[Object]:
    return (status.get("loadBalancer") or {}).get("ingress") or []


def _waits_for_user(claim: Object) -> bool:
    """A claim of a class that binds at first use is not in trouble, and says so by its events alone."""
    annotations = objects.annotations(claim)
    return not (claim.get("spec") or {}).get("volumeName") and "volume.kubernetes.io/selected-node" not in annotations


def _said(obj: Object, facts: Facts, otherwise: str) -> str:
    event = facts.warning(obj)
    return event.message if event else otherwise


def _where(obj: Object) -> str:
    return Key.of(obj).shown


def _ready(obj: Object) -> tuple[str, str]:
    """Reason and message of the condition Ready."""
    found = objects.condition(obj, "Ready") or {}
    return str(found.get("reason", "")), str(found.get("message", ""))


# Flux


def _held(obj: Object) -> str:
    suspended = (obj.get("spec") or {}).get("suspend")
    return f"it is held by hand: `nerv resume {_where(obj)}`" if suspended else ""


def _dependency(obj: Object, facts: Facts) -> Key | None:
    """The first object of dependsOn that does not exist, or is in trouble."""
    own = Key.of(obj)
    for each in (obj.get("spec") or {}).get("dependsOn") or ():
        key = own._replace(namespace=each.get("namespace") or own.namespace, name=each["name"])
        other = facts.find(key)
        if other is None or trouble(other, facts):
            return key
    return None


def _source(obj: Object, facts: Facts) -> Key | None:
    """The source, if it does not exist or is in trouble."""
    key = trace.source_reference(obj)
    if key is None:
        return None
    found = facts.find(key)
    return key if found is None or trouble(found, facts) else None


_FIRST = ("HelmRelease", "Kustomization", "Node", "Deployment", "StatefulSet", "DaemonSet", "Job", "Pod")


def _part(obj: Object, facts: Facts) -> Key | None:
    """The first thing it applied that is in trouble."""
    found = sorted(
        (key for key in facts.in_trouble(facts.parts.get(Key.of(obj), ())) if key != Key.of(obj)),
        key=lambda key: _FIRST.index(key.kind) if key.kind in _FIRST else len(_FIRST),
    )
    return found[0] if found else None


def _kustomization(obj: Object, facts: Facts) -> Step:
    reason, message = _ready(obj)
    if held := _held(obj):
        return held
    if before := _dependency(obj, facts) or _source(obj, facts):
        return before
    if reason == "BuildFailed":
        return remedies.BUILD
    if reason in ("HealthCheckFailed", "Progressing", "ReconciliationFailed", "") and (part := _part(obj, facts)):
        return part
    if webhook := _webhook(message, facts):
        return webhook
    if reason == "DependencyNotReady":
        return f"what it depends on is ready by now: Flux goes on within a minute, or `nerv reconcile {_where(obj)}`"
    if reason == "Progressing":
        return f"it is at work: `nerv events {_where(obj)} --watch` shows it"
    return remedies.choose(remedies.KUSTOMIZATION, message, _where(obj), "do what the message says, then commit it")


def _release(obj: Object, facts: Facts) -> Step:
    reason, message = _ready(obj)
    if held := _held(obj):
        return held
    if before := _dependency(obj, facts) or _source(obj, facts):
        return before
    if part := _part(obj, facts):
        return part
    if webhook := _webhook(message, facts):
        return webhook
    if reason == "Progressing":
        return f"it is at work: `nerv events {_where(obj)} --watch` shows it"
    otherwise = f"do what the message says; `nerv events {_where(obj)}` tells more"
    return remedies.choose(remedies.RELEASE, message, _where(obj), otherwise)


def _source_object(obj: Object, facts: Facts) -> Step:
    if held := _held(obj):
        return held
    if objects.kind(obj) == "HelmChart" and (before := _source(obj, facts)):
        return before
    return remedies.choose(
        remedies.SOURCE, _ready(obj)[1], _where(obj), f"`nerv events {_where(obj)}` tells what was tried"
    )


def _webhook(message: str, facts: Facts) -> Key | None:
    """The pod in trouble behind the Service of a webhook that a message names: `https://<service>.<namespace>.svc`."""
    _, found, rest = message.partition("failed calling webhook")
    host = rest.partition("https://")[2].partition("/")[0].partition(":")[0].split(".")
    if not found or len(host) < 2:
        return None
    service = facts.find(Key("", "Service", host[1], host[0]))
    selector = ((service or {}).get("spec") or {}).get("selector") or {}
    behind = (
        key
        for key, obj in facts.objects.items()
        if key.kind == "Pod" and key.namespace == host[1] and selector.items() <= objects.labels(obj).items()
    )
    return next(facts.in_trouble(behind), None) if selector else None


# Workloads


def _workload(obj: Object, facts: Facts) -> Step:
    for below in facts.owned.get(objects.uid(obj), ()):
        if trouble(below, facts):
            return Key.of(below)
    failure = (objects.condition(obj, "ReplicaFailure") or {}).get("message", "")
    message = failure or _said(obj, facts, "")
    return remedies.choose(remedies.WORKLOAD, message, _where(obj), f"`nerv events {_where(obj)}` tells more")


def _pod_trouble(pod: Object, facts: Facts) -> str:
    item = PodItem.from_object(pod)
    if item.ready or item.phase == "Succeeded":
        return ""
    ended = _ended(pod)
    waits = item.waits or str((pod.get("status") or {}).get("message") or item.phase)
    event = facts.warning(pod)
    parts = [waits, ended, event.message if event and event.message not in waits else ""]
    return "; ".join(dict.fromkeys(filter(None, parts)))


def _ended(pod: Object) -> str:
    """How a container ended that has not come back: `exit code 137 (OOMKilled)`."""
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        state = container.get("state") or {}
        ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
        if ended and ended.get("exitCode") and not container.get("ready"):
            return f"{container['name']} ended with exit code {ended['exitCode']} ({ended.get('reason', 'Error')})"
    return ""


def _pod(pod: Object, facts: Facts) -> Step:
    spec = pod.get("spec") or {}
    node = Key("", "Node", "", spec.get("nodeName", ""))
    if any(facts.in_trouble([node])):
        return node
    for volume in spec.get("volumes") or ():
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        key = Key("", "PersistentVolumeClaim", objects.namespace(pod), claim or "")
        found = facts.find(key)
        if claim and (found is None or (found.get("status") or {}).get("phase") != "Bound"):
            return key
    message = _pod_trouble(pod, facts)
    reasons = " ".join(_waiting_reasons(pod))
    otherwise = f"`nerv events {_where(pod)}` and `nerv logs {_where(pod)}` tell more"
    if not spec.get("nodeName") or "Mount" in message or "Attach" in message:
        return remedies.choose((*remedies.POD, *remedies.CONTAINER), message, _where(pod), otherwise)
    return remedies.choose((*remedies.CONTAINER, *remedies.POD), f"{reasons} {message}", _where(pod), otherwise)


def _waiting_reasons(pod: Object) -> Iterator[str]:
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        yield ((container.get("state") or {}).get("waiting") or {}).get("reason", "")


def _node(node: Object, facts: Facts) -> Step:
    name = objects.name(node)
    return f"the machine does not report: is it on and on the network? `ssh root@{name} journalctl -u k3s -n 100`"


def _claim(claim: Object, facts: Facts) -> Step:
    otherwise = f"`nerv events {_where(claim)}` tells what its provisioner waits for"
    return remedies.choose(remedies.CLAIM, trouble(claim, facts), _where(claim), otherwise)


def _service(service: Object, facts: Facts) -> Step:
    otherwise = "nothing gives addresses: is MetalLB ready, and is there an IPAddressPool? `nerv get addresses -o wide`"
    return remedies.choose(remedies.ADDRESS, _said(service, facts, ""), _where(service), otherwise)


# Certificates


def _certificate(obj: Object, facts: Facts) -> Step:
    reference = (obj.get("spec") or {}).get("issuerRef") or {}
    kind = reference.get("kind") or "Issuer"
    space = "" if kind == "ClusterIssuer" else objects.namespace(obj)
    issuer = Key(kinds.CERTIFICATE_GROUP, kind, space, reference.get("name", ""))
    found = facts.find(issuer)
    if (found is None and reference.get("group", kinds.CERTIFICATE_GROUP) == kinds.CERTIFICATE_GROUP) or (
        found is not None and trouble(found, facts)
    ):
        return issuer
    for below in facts.owned.get(objects.uid(obj), ()):
        if objects.kind(below) == "CertificateRequest" and trouble(below, facts):
            return Key.of(below)
    return f"`nerv events {_where(obj)}` tells more"


def _issuer(obj: Object, facts: Facts) -> Step:
    otherwise = f"`nerv events {_where(obj)}` tells more"
    return remedies.choose(remedies.ISSUER, _ready(obj)[1], _where(obj), otherwise)


def _other(obj: Object, facts: Facts) -> Step:
    return f"`nerv events {_where(obj)}` tells more"


_RULES: Mapping[str, Callable[[Object, Facts], Step]] = {
    "Kustomization": _kustomization,
    "HelmRelease": _release,
    **dict.fromkeys(("GitRepository", "OCIRepository", "Bucket", "HelmRepository", "HelmChart"), _source_object),
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"), _workload),
    "Pod": _pod,
    "Node": _node,
    "PersistentVolumeClaim": _claim,
    "Service": _service,
    "Certificate": _certificate,
    **dict.fromkeys(("Issuer", "ClusterIssuer"), _issuer),
}
