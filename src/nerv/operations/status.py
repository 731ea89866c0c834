"""What a platform's state is, read from the Kubernetes API alone: pure summaries of lists of objects.

`Status.from_objects` takes what `collect` has read; the live view, `nerv status` and the console show the same value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nerv.kube.objects import Object

RUNTIME_ANNOTATION = "nerv.dev/runtime"
PROGRAM_ANNOTATION = "nerv.dev/program"
STAND_IN_ANNOTATION = "nerv.dev/stand-in"
ROOT = "flux-system"
"""The Kustomization that applies the others; it stands first."""
_OWNER = "kustomize.toolkit.fluxcd.io"
# The console is NERV's own and not part of what the platform's definition asks for, so it is counted apart.
CONSOLE_NAMESPACE = "nerv-system"


@dataclass(frozen=True)
class Item:
    """A Flux object and what its Ready condition says."""

    kind: str
    namespace: str
    name: str
    ready: str
    """True, False or Unknown (no condition yet)"""
    reason: str
    message: str
    revision: str
    suspended: bool
    waits_for: tuple[str, ...] = ()
    """namespace/name of the objects it depends on"""
    owner: str = ""
    """namespace/name of the Kustomization that applied it"""

    @classmethod
    def from_object(cls, obj: Object) -> Item:
        metadata, spec, status = obj["metadata"], obj.get("spec", {}), obj.get("status", {})
        conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
        ready = conditions.get("Ready", {})
        labels = metadata.get("labels") or {}
        stale = status.get("observedGeneration", 0) < metadata.get("generation", 0)
        if ready.get("status") == "True" and stale and not spec.get("suspend"):
            ready = {
                "status": "Unknown",
                "reason": "Progressing",
                "message": "reconciliation of the newest generation in progress",
            }
        waits = tuple(
            f"{dependency.get('namespace', metadata['namespace'])}/{dependency['name']}"
            for dependency in spec.get("dependsOn", ())
        )
        return cls(
            kind=obj["kind"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            ready=ready.get("status", "Unknown"),
            reason=ready.get("reason", ""),
            message=ready.get("message", ""),
            revision=_revision(status),
            suspended=bool(spec.get("suspend")),
            waits_for=waits,
            owner="/".join(filter(None, (labels.get(f"{_OWNER}/namespace"), labels.get(f"{_OWNER}/name")))),
        )


def _revision(status: Mapping[str, Any]) -> str:
    history = status.get("history") or [{}]
    artifact = status.get("artifact") or {}
    revision = status.get("lastAppliedRevision") or history[0].get("chartVersion") or artifact.get("revision")
    return str(revision or status.get("lastAttemptedRevision") or "")


@dataclass(frozen=True)
class PodItem:
    """A pod, in the words of `kubectl get pods`, and what stands behind it."""

    namespace: str
    name: str
    phase: str
    ready: bool
    runtime: str
    """process (a real program), embedded (a reconciler of NERV does its work) or simulated; empty on a cluster of
    others, where every pod is what it is"""
    owner: str
    waits: str
    """why it is not ready yet, or empty"""

    @classmethod
    def from_object(cls, obj: Object) -> PodItem:
        metadata, status = obj["metadata"], obj.get("status", {})
        conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
        owners = metadata.get("ownerReferences") or [{}]
        phase = "Terminating" if metadata.get("deletionTimestamp") else status.get("phase", "Pending")
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            phase=phase,
            ready=conditions.get("Ready", {}).get("status") == "True",
            runtime=(metadata.get("annotations") or {}).get(RUNTIME_ANNOTATION, ""),
            owner=f"{owners[0].get('kind', '')}/{owners[0].get('name', '')}".strip("/"),
            waits=_waits(status, conditions),
        )


def _waits(status: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]) -> str:
    for container in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
        waiting = container.get("state", {}).get("waiting")
        if waiting:
            return f"{container['name']}: {waiting.get('message') or waiting.get('reason', '')}"
    for kind in ("PodScheduled", "Ready"):
        condition = conditions.get(kind, {})
        if condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason", ""))
    return ""


@dataclass(frozen=True)
class Address:
    """A LoadBalancer address of the cluster; `published` says where it listens on this machine."""

    namespace: str
    service: str
    address: str
    ports: tuple[int, ...]
    published: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dashboard:
    """A host name that the ingress serves over TLS."""

    name: str
    host: str
    url: str
    """the URL as seen on this machine, port included"""


@dataclass(frozen=True)
class Program:
    """A program of the engine. `pinned` is what the repository asks for; `differs`, whether this is another version."""

    name: str
    version: str
    pinned: str
    differs: bool


@dataclass(frozen=True)
class Status:
    """A platform at one moment."""

    name: str
    engine: str
    sources: tuple[Item, ...]
    kustomizations: tuple[Item, ...]
    releases: tuple[Item, ...]
    pods: tuple[PodItem, ...]
    console_pods: tuple[PodItem, ...]
    nodes: tuple[tuple[str, bool], ...]
    addresses: tuple[Address, ...]
    dashboards: tuple[Dashboard, ...]
    stand_ins: tuple[str, ...] = ()
    """charts in use that are NERV's stand-ins, as name-version"""
    other_versions: tuple[str, ...] = ()
    """programs that run in another version than the image that they stand for"""
    programs: tuple[Program, ...] = ()
    """what provides the API and is Flux, where those are programs of their own (engine upstream)"""
    server: str = ""
    """URL of the API server, where the status was read from another process"""
    version: str = ""
    """version of Kubernetes on a cluster that NERV did not start"""
    missing: tuple[str, ...] = ()
    """kinds that are not installed there"""
    network: tuple[str, ...] = ()
    """what users should know of the network's driver on this machine: which, why, its gaps"""
    offline: tuple[str, ...] = ()
    """hosts that were refused because the platform runs offline, one line each"""
    failing: tuple[str, ...] = ()
    """programs of the control plane that do not keep running, one line each"""
    refused: tuple[str, ...] = ()
    """why lists could not be read: what is in them is not known"""

    @classmethod
    def from_objects(
        cls,
        name: str,
        engine: str,
        objects: Mapping[str, Iterable[Object]],
        *,
        published: Mapping[str, Mapping[int, tuple[str, int]]] | None = None,
    ) -> Status:
        """`objects` by kind; `published`: cluster address -> cluster port -> (host, port) on this machine."""
        pods = sorted((PodItem.from_object(pod) for pod in objects.get("Pod", ())), key=lambda p: (p.namespace, p.name))
        counted = [pod for pod in pods if pod.phase not in ("Succeeded", "Failed")]
        routes = objects.get("IngressRoute", ())
        addresses = tuple(_addresses(objects.get("Service", ()), published or {}))
        return cls(
            name=name,
            engine=engine,
            sources=_items(objects, "GitRepository", "HelmRepository", "HelmChart", "OCIRepository", "Bucket"),
            kustomizations=_items(objects, "Kustomization"),
            releases=_items(objects, "HelmRelease"),
            pods=tuple(pod for pod in counted if pod.namespace != CONSOLE_NAMESPACE),
            console_pods=tuple(pod for pod in counted if pod.namespace == CONSOLE_NAMESPACE),
            nodes=tuple(sorted(_node(node) for node in objects.get("Node", ()))),
            addresses=addresses,
            dashboards=tuple(_dashboards(routes, addresses, published or {})),
            stand_ins=tuple(sorted(set(_stand_ins(objects.get("Deployment", ()))))),
            other_versions=tuple(sorted(set(_other_versions(objects.get("Pod", ()))))),
        )

    @property
    def place(self) -> str:
        """Where it runs: NERV's engine, or a cluster's API server."""
        return f"engine {self.engine}" if self.engine else f"{self.server}, Kubernetes {self.version}"

    @property
    def flux_objects(self) -> tuple[Item, ...]:
        return (*self.sources, *self.kustomizations, *self.releases)

    @property
    def healthy(self) -> bool:
        """Something is reconciled, every Flux object is Ready, every pod and node too; the control plane runs."""
        return (
            bool(self.kustomizations)
            and not self.refused
            and not self.failing
            and all(item.ready == "True" or item.suspended for item in self.flux_objects)
            and bool(self.pods)
            and all(pod.ready for pod in (*self.pods, *self.console_pods))
            and all(ready for _, ready in self.nodes)
        )

    @property
    def awaits_bootstrap(self) -> bool:
        """A cluster that runs, and in which nothing is reconciled yet."""
        pods = (*self.pods, *self.console_pods)
        fine = all(pod.ready for pod in pods) and all(ready for _, ready in self.nodes)
        return not self.kustomizations and not self.failing and bool(pods) and bool(self.nodes) and fine

    def waiting(self) -> tuple[str, ...]:
        """What is not ready and why, one line each."""
        flux = [
            f"{item.kind} {item.namespace}/{item.name}: {item.message or item.reason or 'not reconciled yet'}"
            for item in self.flux_objects
            if item.ready != "True" and not item.suspended
        ]
        pods = [
            f"Pod {pod.namespace}/{pod.name}: {pod.waits or pod.phase}"
            for pod in (*self.pods, *self.console_pods)
            if not pod.ready
        ]
        nodes = [f"Node {name}: not ready" for name, ready in self.nodes if not ready]
        first = [] if self.kustomizations or self.refused else [self._nothing()]
        return (*self.failing, *first, *nodes, *flux, *pods)

    def _nothing(self) -> str:
        return "Flux is not installed" if "Kustomization" in self.missing else "no Kustomization is there yet"

    def to_dict(self) -> dict[str, Any]:
        """For `-o json|yaml`."""
        return {**asdict(self), "healthy": self.healthy, "waiting": list(self.waiting())}


def _items(objects: Mapping[str, Iterable[Object]], *kinds: str) -> tuple[Item, ...]:
    found = [Item.from_object(obj) for kind in kinds for obj in objects.get(kind, ())]
    return tuple(sorted(found, key=lambda item: (kinds.index(item.kind), item.name != ROOT, item.namespace, item.name)))


def _node(node: Object) -> tuple[str, bool]:
    conditions = node.get("status", {}).get("conditions", ())
    return node["metadata"]["name"], any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _addresses(services: Iterable[Object], published: Mapping[str, Mapping[int, tuple[str, int]]]) -> Iterable[Address]:
    for service in services:
        if service["spec"].get("type") != "LoadBalancer":
            continue
        ports = tuple(port["port"] for port in service["spec"].get("ports", ()))
        for ingress in service.get("status", {}).get("loadBalancer", {}).get("ingress", ()):
            here = published.get(ingress.get("ip", ""), {})
            yield Address(
                namespace=service["metadata"]["namespace"],
                service=service["metadata"]["name"],
                address=ingress.get("ip") or ingress.get("hostname", ""),
                ports=ports,
                published=tuple(f"{host}:{port}" for host, port in here.values()),
            )


def _dashboards(
    routes: Iterable[Object],
    addresses: tuple[Address, ...],
    published: Mapping[str, Mapping[int, tuple[str, int]]],
) -> Iterable[Dashboard]:
    secure = [published[a.address][443] for a in addresses if 443 in published.get(a.address, {})]
    port = f":{secure[0][1]}" if secure and secure[0][1] != 443 else ""
    for route in sorted(routes, key=lambda r: (r["metadata"]["namespace"], r["metadata"]["name"])):
        for rule in route.get("spec", {}).get("routes", ()):
            host = _host(rule.get("match", ""))
            # a path that senders of webhooks know is nothing for people
            if host and "PathPrefix(`/hook/`)" not in rule["match"]:
                yield Dashboard(host.split(".")[0], host, f"https://{host}{port}/")
                break


def _stand_ins(deployments: Iterable[Object]) -> Iterable[str]:
    """Stand-in charts mark their workloads; the chart's label names it."""
    for deployment in deployments:
        metadata = deployment["metadata"]
        if (metadata.get("annotations") or {}).get(STAND_IN_ANNOTATION) == "true":
            labels = metadata.get("labels") or {}
            yield labels.get("helm.sh/chart") or metadata["name"]


def _other_versions(pods: Iterable[Object]) -> Iterable[str]:
    """The annotation says which program runs; the image's tag says which was asked for."""
    for pod in pods:
        told = (pod["metadata"].get("annotations") or {}).get(PROGRAM_ANNOTATION, "")
        name, _, version = told.partition(" ")
        if not version:
            continue
        tags = {each["image"].partition("@")[0].rpartition(":")[2] for each in pod["spec"]["containers"]}
        if version not in tags:
            yield f"{name} {version} for {', '.join(sorted(tags))}"


def _host(match: str) -> str:
    """The first host name of a Traefik rule such as `Host(`a.example`) && PathPrefix(`/x`)`."""
    _, found, rest = match.partition("Host(`")
    return rest.split("`")[0] if found else ""


def platform_name(kustomizations: Iterable[Object]) -> str:
    """The cluster's folder in the repository is named after the platform."""
    for kustomization in kustomizations:
        path = kustomization.get("spec", {}).get("path", "")
        if kustomization["metadata"]["name"] == ROOT and "clusters/" in path:
            return str(path.rpartition("clusters/")[2].strip("/"))
    return "platform"


def short_revision(revision: str) -> str:
    """`main@sha1:0123456789abcdef...` as `main@sha1:01234567`."""
    name, separator, digest = revision.rpartition(":")
    return f"{name}{separator}{digest[:8]}" if separator and len(digest) >= 40 else revision
