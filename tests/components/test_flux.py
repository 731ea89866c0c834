"""gotk-components: the objects of Flux 2.6.1 with four controllers, by number, name and argument."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.support import platforms

from nerv import documents
from nerv.components.flux import resources
from nerv.components.flux.settings import FluxSettings
from nerv.errors import ProblemsError
from nerv.platform import versions
from nerv.rendering import secrets
from nerv.rendering.tree import tree

OBJECTS = resources.components(FluxSettings())


def named(kind: str) -> dict[str, dict[str, Any]]:
    return {obj["metadata"]["name"]: obj for obj in OBJECTS if obj["kind"] == kind}


def container(name: str) -> dict[str, Any]:
    found: dict[str, Any] = named("Deployment")[name]["spec"]["template"]["spec"]["containers"][0]
    return found


def test_as_many_objects_as_a_bootstrap_makes() -> None:
    assert Counter(obj["kind"] for obj in OBJECTS) == {
        "Namespace": 1,
        "NetworkPolicy": 3,
        "ResourceQuota": 1,
        "CustomResourceDefinition": 10,
        "ClusterRole": 3,
        "ClusterRoleBinding": 2,
        "ServiceAccount": 4,
        "Service": 3,
        "Deployment": 4,
    }


def test_controllers_run_at_their_pins() -> None:
    images = {name: container(name)["image"] for name in named("Deployment")}
    assert images == {name: f"ghcr.io/fluxcd/{name}:{tag}" for name, tag in versions.FLUX_COMPONENTS.items()}


@pytest.mark.parametrize("name", ["source-controller", "kustomize-controller", "helm-controller"])
def test_events_go_to_the_notification_controller(name: str) -> None:
    arguments = container(name)["args"]
    assert arguments[0] == "--events-addr=http://notification-controller.flux-system.svc.cluster.local./"


def test_the_source_controller_says_where_its_artifacts_are() -> None:
    arguments = container("source-controller")["args"]
    assert "--storage-path=/data" in arguments
    assert "--storage-adv-addr=source-controller.$(RUNTIME_NAMESPACE).svc.cluster.local." in arguments
    assert named("Deployment")["source-controller"]["spec"]["strategy"] == {"type": "Recreate"}


def test_services_lead_to_ports_that_their_controllers_have() -> None:
    for service in named("Service").values():
        spec = service["spec"]
        ports = {port["name"] for port in container(spec["selector"]["app"])["ports"]}
        assert {port["targetPort"] for port in spec["ports"]} <= ports


def test_everything_is_labelled_as_flux() -> None:
    assert all(obj["metadata"]["labels"].items() >= resources.LABELS.items() for obj in OBJECTS)


def test_definitions_are_those_of_the_controllers_that_are_installed() -> None:
    groups = {definition["spec"]["group"] for definition in resources.definitions()}
    assert groups == {f"{name}.toolkit.fluxcd.io" for name in ("source", "kustomize", "helm", "notification")}


def test_network_policies_can_be_left_out() -> None:
    kinds = {obj["kind"] for obj in resources.components(FluxSettings.model_validate({"networkPolicies": False}))}
    assert "NetworkPolicy" not in kinds


def test_the_sync_follows_the_definition() -> None:
    source, applied = resources.sync(platforms.example("many-nodes"))
    assert source["spec"]["url"] == "https://git.example.org/platform/many-nodes.git"
    assert source["spec"]["ref"] == {"branch": "main"}
    assert applied["spec"]["path"] == "./clusters/many-nodes"
    assert applied["spec"]["sourceRef"] == {"kind": "GitRepository", "name": source["metadata"]["name"]}


def test_a_webhook_is_a_receiver_a_token_and_a_route_without_a_login() -> None:
    platform = platforms.small("    flux: {webhook: true}\n")
    made = tree(platform, platforms.public(platform))
    receiver, certificate, route = documents.load_all(made["apps-config/flux/webhook.yaml"])
    assert receiver["spec"]["type"] == "github"
    assert receiver["spec"]["secretRef"] == {"name": "webhook-token"}
    assert [r["name"] for r in receiver["spec"]["resources"]] == ["flux-system"]
    assert certificate["spec"]["dnsNames"] == ["flux-webhook.nerv.local"]
    (rule,) = route["spec"]["routes"]
    assert rule["match"] == "Host(`flux-webhook.nerv.local`) && PathPrefix(`/hook/`)"
    assert rule["services"] == [{"name": "webhook-receiver", "port": 80}]
    assert "middlewares" not in rule
    assert "flux-system-webhook-token.sops.yaml" in made["secrets/kustomization.yaml"]
    assert "secrets/flux-system-webhook-token.sops.yaml" in secrets.encrypted(platform)


def test_without_one_nothing_of_it_is_rendered() -> None:
    platform = platforms.small()
    assert not [path for path in tree(platform, platforms.public(platform)) if "webhook" in path]


def test_a_webhook_needs_a_way_in() -> None:
    with pytest.raises(ProblemsError) as caught:
        platforms.small("    flux: {webhook: true}\n    console: {enabled: false}\n    traefik: {enabled: false}\n")
    assert any("Flux's webhook needs `traefik`" in line for line in caught.value.lines())
