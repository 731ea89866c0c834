"""The stand-in charts as Helm renders them: names and interfaces of the real charts, their refusals, their size."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest

from nerv import documents
from nerv.kube.objects import Object

ROOMS = Path(__file__).parents[3] / "src/nerv/components"
CHARTS = {
    "metallb": ("metallb", "metallb-system", "0.15.2", "v0.15.2"),
    "traefik": ("traefik", "traefik-system", "37.1.1", "v3.5.2"),
    "longhorn": ("longhorn", "longhorn-system", "1.9.1", "v1.9.1"),
    "cert-manager": ("cert_manager", "cert-manager", "v1.18.2", "v1.18.2"),
}
OURS: Mapping[str, Object] = {
    "metallb": {"speaker": {"frr": {"enabled": False}}},
    "traefik": {"image": {"tag": "v3.5.3"}, "service": {"spec": {"loadBalancerClass": "x"}}},
    "longhorn": {"persistence": {"defaultClassReplicaCount": 1}, "csi": {"kubeletRootDir": "/var/lib/kubelet"}},
    "cert-manager": {"crds": {"enabled": True}},
}


def render(name: str, values: Object | None = None) -> dict[tuple[str, str], Object]:
    """Objects by kind and name."""
    room, namespace, *_ = CHARTS[name]
    with helm.Chart.load(str(ROOMS / room / "standin")) as chart:
        texts = chart.render(values or {}, name=name, namespace=namespace)
    found = (each for text in texts.values() for each in documents.load_all(text))
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def pods(objects: Mapping[tuple[str, str], Object]) -> dict[str, Object]:
    """Pod specs by workload name."""
    kinds = ("Deployment", "DaemonSet", "Job")
    return {name: each["spec"]["template"]["spec"] for (kind, name), each in objects.items() if kind in kinds}


@pytest.mark.parametrize("name", CHARTS)
def test_the_chart_says_which_version_it_stands_for_and_that_it_stands_in(name: str) -> None:
    room, _, version, app = CHARTS[name]
    with helm.Chart.load(str(ROOMS / room / "standin")) as chart:
        metadata = chart.metadata
    assert (metadata["name"], metadata["version"], metadata["appVersion"]) == (name, version, app)
    assert metadata["annotations"]["nerv.dev/stand-in"] == "true"
    for key, each in render(name, dict(OURS[name])).items():
        if key[0] in ("Deployment", "DaemonSet", "Job"):
            assert each["metadata"]["annotations"]["nerv.dev/stand-in"] == "true", key


def test_counts_are_those_of_the_real_charts() -> None:
    """By kind, as the real charts of these versions render with their defaults."""
    expected = {
        "metallb": {
            "ClusterRole": 2,
            "CustomResourceDefinition": 8,
            "ConfigMap": 2,
            "Role": 2,
            "Secret": 1,
            "Service": 1,
        },
        "traefik": {"ClusterRole": 1, "ClusterRoleBinding": 1, "Deployment": 1, "IngressClass": 1, "Service": 1},
        "longhorn": {
            "ConfigMap": 3,
            "CustomResourceDefinition": 22,
            "DaemonSet": 1,
            "Deployment": 2,
            "Job": 3,
            "Service": 5,
        },
        "cert-manager": {
            "ClusterRole": 13,
            "ClusterRoleBinding": 10,
            "Deployment": 3,
            "Job": 1,
            "Role": 5,
            "Service": 3,
        },
    }
    for name, counts in expected.items():
        kinds = [kind for kind, _ in render(name)]
        assert {kind: kinds.count(kind) for kind in counts} == counts, name


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("cert-manager", {"replicaCuont": 2}, "'replicaCuont' not allowed"),
        ("cert-manager", {"webhook": {"replicas": 2}}, "'replicas' not allowed"),
        ("cert-manager", {"installCRDs": True, "crds": {"enabled": True}}, "installCRDs is deprecated"),
        ("metallb", {"controller": {"logLevel": "warning"}}, "value must be one of"),
        ("metallb", {"configInline": {"address-pools": []}}, "configInline was removed"),
        ("metallb", {"prometheus": {"serviceMonitor": {"enabled": True}}}, "prometheus.serviceAccount"),
        ("traefik", {"deployment": {"replicas": "two"}}, "got string, want integer"),
        ("traefik", {"ports": {"web": {"redirectTo": {"port": "websecure"}}}}, "removed in chart v34"),
        (
            "traefik",
            {"metrics": {"prometheus": {"service": {"enabled": True}, "serviceMonitor": {"enabled": True}}}},
            "You have to deploy monitoring.coreos.com/v1 first",
        ),
    ],
)
def test_mistakes_fail_as_in_the_real_chart(name: str, values: Object, message: str) -> None:
    with pytest.raises(helm.HelmError, match=re.escape(message)):
        render(name, values)


@pytest.mark.parametrize(
    ("name", "values"),
    [("metallb", {"controller": {"replicas": 3}}), ("traefik", {"whatever": 1}), ("longhorn", {"defautlSettings": {}})],
)
def test_what_the_real_chart_ignores_is_ignored(name: str, values: Object) -> None:
    assert render(name, values) == render(name)


@pytest.mark.parametrize("name", CHARTS)
def test_the_release_fits_into_a_secret(name: str) -> None:
    """Helm keeps chart and manifest in one Secret, compressed, which may have 1 MiB."""
    folder = ROOMS / CHARTS[name][0] / "standin"
    files = [{"name": str(each), "data": base64.b64encode(each.read_bytes()).decode()} for each in folder.rglob("*.*")]
    release = {"chart": files, "manifest": documents.dump_all(render(name, dict(OURS[name])).values())}
    stored = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode())))
    assert len(stored) < 1 << 20


def test_traefik_is_started_with_the_real_charts_arguments() -> None:
    spec = pods(render("traefik", {"image": {"tag": "v3.5.3"}}))["traefik"]
    container = spec["containers"][0]
    assert container["image"] == "docker.io/traefik:v3.5.3"
    assert container["args"] == [
        "--entryPoints.metrics.address=:9100/tcp",
        "--entryPoints.traefik.address=:8080/tcp",
        "--entryPoints.web.address=:8000/tcp",
        "--entryPoints.websecure.address=:8443/tcp",
        "--api.dashboard=true",
        "--ping=true",
        "--metrics.prometheus=true",
        "--metrics.prometheus.entrypoint=metrics",
        "--providers.kubernetescrd",
        "--providers.kubernetescrd.allowEmptyServices=true",
        "--providers.kubernetesingress",
        "--providers.kubernetesingress.allowEmptyServices=true",
        "--providers.kubernetesingress.ingressendpoint.publishedservice=traefik-system/traefik",
        "--entryPoints.websecure.http.tls=true",
        "--log.level=INFO",
    ]
    assert container["readinessProbe"]["httpGet"] == {"path": "/ping", "port": 8080, "scheme": "HTTP"}


def test_traefiks_dashboard_and_redirection_follow_the_values() -> None:
    route = {
        "enabled": True,
        "matchRule": "Host(`a.b`)",
        "entryPoints": ["websecure"],
        "middlewares": [{"name": "auth"}],
    }
    to = {"to": "websecure", "scheme": "https", "permanent": True}
    values = {"ingressRoute": {"dashboard": route}, "ports": {"web": {"redirections": {"entryPoint": to}}}}
    found = render("traefik", values)
    spec = found["IngressRoute", "traefik-dashboard"]["spec"]
    assert spec["routes"][0]["services"] == [{"kind": "TraefikService", "name": "api@internal"}]
    assert spec["routes"][0]["middlewares"] == [{"name": "auth"}]
    arguments = pods(found)["traefik"]["containers"][0]["args"]
    assert "--entryPoints.web.http.redirections.entryPoint.to=:443" in arguments


def test_webhooks_carry_no_bundle_and_fail_closed() -> None:
    for name in ("metallb", "cert-manager"):
        for (kind, _), each in render(name).items():
            if kind.endswith("WebhookConfiguration"):
                for webhook in each["webhooks"]:
                    assert webhook["failurePolicy"] == "Fail"
                    assert "caBundle" not in webhook["clientConfig"]
    annotations = render("cert-manager")["MutatingWebhookConfiguration", "cert-manager-webhook"]["metadata"][
        "annotations"
    ]
    assert annotations["cert-manager.io/inject-ca-from-secret"] == "cert-manager/cert-manager-webhook-ca"


def test_conversion_webhooks_point_into_the_releases_namespace() -> None:
    for name, room in (("metallb", "metallb-system"), ("longhorn", "longhorn-system")):
        places = [
            each["spec"]["conversion"]["webhook"]["clientConfig"]["service"]["namespace"]
            for (kind, _), each in render(name).items()
            if kind == "CustomResourceDefinition" and "conversion" in each["spec"]
        ]
        assert places
        assert set(places) == {room}


def test_hooks_are_those_of_the_real_charts() -> None:
    hook = "helm.sh/hook"
    longhorn = {
        name: each["metadata"]["annotations"][hook]
        for (kind, name), each in render("longhorn").items()
        if kind == "Job"
    }
    assert longhorn == {
        "longhorn-post-upgrade": "post-upgrade",
        "longhorn-pre-upgrade": "pre-upgrade",
        "longhorn-uninstall": "pre-delete",
    }
    check = render("cert-manager")["Job", "cert-manager-startupapicheck"]
    assert check["metadata"]["annotations"][hook] == "post-install"
    assert check["spec"]["template"]["spec"]["containers"][0]["args"] == ["check", "api", "--wait=1m", "-v"]


def test_crds_of_cert_manager_are_off_by_default_and_kept_on_uninstall() -> None:
    assert not [key for key in render("cert-manager") if key[0] == "CustomResourceDefinition"]
    found = [
        each for key, each in render("cert-manager", {"crds": {"enabled": True}}).items() if key[0].startswith("Custom")
    ]
    assert len(found) == 6
    assert all(each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for each in found)


def test_longhorns_settings_reach_the_manager_under_their_names() -> None:
    values = {"defaultReplicaCount": 1, "deletingConfirmationFlag": True, "longGRPCTimeOut": 5, "unknown": 1}
    data = render("longhorn", {"defaultSettings": values})["ConfigMap", "longhorn-default-setting"]["data"]
    assert documents.load(data["default-setting.yaml"]) == {
        "default-replica-count": 1,
        "priority-class": "longhorn-critical",
        "disable-revision-counter": True,
        "deleting-confirmation-flag": True,
        "long-grpc-timeout": 5,
    }


def test_longhorns_storage_class_can_be_created_as_it_is() -> None:
    values: dict[str, Any] = {"persistence": {"defaultClassReplicaCount": 1, "reclaimPolicy": "Retain"}}
    text = render("longhorn", values)["ConfigMap", "longhorn-storageclass"]["data"]["storageclass.yaml"]
    found = documents.load(text)
    assert found["reclaimPolicy"] == "Retain"
    assert found["parameters"]["numberOfReplicas"] == "1"
    assert all(isinstance(value, str) for value in found["parameters"].values())


def test_the_pods_of_cert_manager_are_restricted() -> None:
    for name, spec in pods(render("cert-manager")).items():
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
