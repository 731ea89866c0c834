"""Flux's own folder: what `flux bootstrap` would write (gotk-components.yaml, gotk-sync.yaml), and the two
Kustomizations that apply the rest in order.
"""

from __future__ import annotations

from functools import cache
from importlib import resources as package

from nerv import documents
from nerv.components.flux import controllers, permissions
from nerv.components.flux.controllers import NAMESPACE
from nerv.components.flux.settings import FluxSettings
from nerv.components.objects import Object, metadata
from nerv.components.site import Route
from nerv.platform import versions
from nerv.platform.models import BasePlatform

LABELS = {
    "app.kubernetes.io/instance": NAMESPACE,
    "app.kubernetes.io/part-of": "flux",
    "app.kubernetes.io/version": versions.FLUX,
}

AGE_SECRET = "sops-age"  # the name alone; the Secret itself is made at bootstrap and never in Git
SYNC = "flux-system"

# `wait` alone counts objects without a status as current, so Ready would not mean issued.
_ISSUED = "status.conditions.exists(e, e.type == 'Ready' && e.status == 'True')"
_ISSUING_KINDS = ("Issuer", "ClusterIssuer", "Certificate")

ROUTES = (
    *(
        Route(f"metrics of {controller.name}", NAMESPACE, (("app", controller.name),), 8080, "monitoring")
        for controller in controllers.CONTROLLERS
    ),
    *(
        Route(f"artifacts for {name}", NAMESPACE, (("app", "source-controller"),), 9090, NAMESPACE, (("app", name),))
        for name in ("kustomize-controller", "helm-controller")
    ),
    *(
        Route(
            f"events of {name}",
            NAMESPACE,
            (("app", "notification-controller"),),
            9090,
            NAMESPACE,
            (("app", name),),
        )
        for name in ("source-controller", "kustomize-controller", "helm-controller")
    ),
    Route("webhooks", NAMESPACE, (("app", "notification-controller"),), 9292, "traefik-system"),
)


def components(settings: FluxSettings) -> list[Object]:
    """gotk-components: namespace, definitions, permissions, controllers."""
    return [
        _namespace(),
        *(_policies() if settings.network_policies else ()),
        _quota(),
        *(_labelled(definition) for definition in definitions()),
        *permissions.objects(LABELS),
        *(obj for controller in controllers.CONTROLLERS for obj in controllers.objects(controller, LABELS)),
    ]


@cache
def definitions() -> tuple[Object, ...]:
    """Custom resource definitions of Flux; shared, never to be changed."""
    text = (package.files(__package__) / "crds.yaml").read_text(encoding="utf-8")
    return tuple(documents.load_all(text))


def _labelled(definition: Object) -> Object:
    return {**definition, "metadata": {**definition["metadata"], "labels": dict(LABELS)}}


def _namespace() -> Object:
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    labels = {**LABELS, **levels, "pod-security.kubernetes.io/warn-version": "latest"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata(NAMESPACE, labels=labels)}


def _policies() -> list[Object]:
    anyone: Object = {"namespaceSelector": {}}
    same: Object = {"podSelector": {}}
    webhooks = {"matchLabels": {"app": "notification-controller"}}
    metrics = [{"from": [anyone], "ports": [{"port": 8080, "protocol": "TCP"}]}]
    return [
        _policy(
            "allow-egress",
            {
                "egress": [{}],
                "ingress": [{"from": [same]}],
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
            },
        ),
        _policy("allow-scraping", {"ingress": metrics, "podSelector": {}, "policyTypes": ["Ingress"]}),
        _policy(
            "allow-webhooks",
            {"ingress": [{"from": [anyone]}], "podSelector": webhooks, "policyTypes": ["Ingress"]},
        ),
    ]


def _policy(name: str, spec: Object) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(name, NAMESPACE, labels=LABELS),
        "spec": spec,
    }


def _quota() -> Object:
    # a namespace other than kube-system needs a quota for critical pods where admission limits them
    scope = {
        "operator": "In",
        "scopeName": "PriorityClass",
        "values": ["system-node-critical", "system-cluster-critical"],
    }
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata(f"critical-pods-{NAMESPACE}", NAMESPACE, labels=LABELS),
        "spec": {"hard": {"pods": "1000"}, "scopeSelector": {"matchExpressions": [scope]}},
    }


def sync(platform: BasePlatform) -> list[Object]:
    """gotk-sync: the repository, and the Kustomization of the cluster's folder."""
    repository = platform.spec.repository
    source: Object = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": metadata(SYNC, NAMESPACE),
        "spec": {
            "interval": repository.interval,
            "ref": {"branch": repository.branch},
            "secretRef": {"name": SYNC},
            "url": repository.url,
        },
    }
    applied: Object = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": metadata(SYNC, NAMESPACE),
        "spec": {
            "interval": "10m0s",
            "path": f"./{platform.cluster_path}",
            "prune": True,
            "sourceRef": {"kind": "GitRepository", "name": SYNC},
        },
    }
    return [source, applied]


def apps(settings: FluxSettings) -> Object:
    """The Kustomization of what brings definitions and controllers: ready when all of it is."""
    return _kustomization("apps", settings, {})


def apps_config(settings: FluxSettings) -> Object:
    """The Kustomization of what uses them: after `apps`, decrypted, ready when certificates are issued."""
    checks = [{"apiVersion": "cert-manager.io/v1", "kind": kind, "current": _ISSUED} for kind in _ISSUING_KINDS]
    more: Object = {
        "dependsOn": [{"name": "apps"}],
        "decryption": {"provider": "sops", "secretRef": {"name": AGE_SECRET}},
        "healthCheckExprs": checks,
    }
    return _kustomization("apps-config", settings, more)


def _kustomization(name: str, settings: FluxSettings, more: Object) -> Object:
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": metadata(name, NAMESPACE),
        "spec": {
            "interval": settings.interval,
            "retryInterval": settings.retry_interval,
            "timeout": settings.timeout,
            "path": f"./{name}",
            "prune": True,
            "wait": True,
            "sourceRef": {"kind": "GitRepository", "name": SYNC},
            **more,
        },
    }
