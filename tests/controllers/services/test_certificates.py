"""cert-manager on a real API server: roots, certificates of an authority, renewal, refusals, injection, the check."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import pytest
from cryptography import x509
from tests.support.services import Site

from nerv.controllers.services import certificates
from nerv.controllers.services.certificates import admission, check, resources
from nerv.controllers.services.webhooks.reviews import Allowed, Denied
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import EVENTS, SECRETS, VALIDATING_WEBHOOKS

SPACE = "cert-manager"


def issuer(name: str, spec: Object) -> Object:
    return {"apiVersion": resources.API_VERSION, "kind": "ClusterIssuer", "metadata": {"name": name}, "spec": spec}


def certificate(name: str, issuer: str, **spec: Any) -> Object:
    reference = {"name": issuer, "kind": "ClusterIssuer", "group": "cert-manager.io"}
    key = {"algorithm": "ECDSA", "size": 256}
    return {
        "apiVersion": resources.API_VERSION,
        "kind": "Certificate",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {"secretName": f"{name}-tls", "issuerRef": reference, "privateKey": key, **spec},
    }


def leaf(secret: Object, key: str = "tls.crt") -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(secret["data"][key]))


@pytest.fixture
async def manager(cluster: Site) -> Site:
    """cert-manager with all three pods ready."""
    await cluster.namespace(SPACE)
    await cluster.definitions("cert_manager")
    names = [f"--dynamic-serving-dns-names=cert-manager-webhook{each}" for each in ("", ".$(POD_NAMESPACE).svc")]
    await cluster.pod("controller", "quay.io/jetstack/cert-manager-controller:v1.18.2", SPACE)
    await cluster.pod("injector", "quay.io/jetstack/cert-manager-cainjector:v1.18.2", SPACE, address="10.42.0.3")
    await cluster.pod(
        "webhook", "quay.io/jetstack/cert-manager-webhook:v1.18.2", SPACE, address="10.42.0.4", args=names
    )
    cluster.start(certificates.controllers, "cert-manager")
    return cluster


async def ready(site: Site, name: str, revision: int = 1) -> Object:
    def holds(obj: Object) -> bool:
        status = obj.get("status") or {}
        return objects.is_true(obj, "Ready") and status.get("revision") == revision

    return await site.wait(resources.CERTIFICATES, name, holds, SPACE)


async def authority(site: Site) -> None:
    """A self-signed root and an issuer that signs with it."""
    await site.client.create(resources.CLUSTER_ISSUERS, issuer("root", {"selfSigned": {}}))
    root = certificate("ca", "root", isCA=True, commonName="Home", duration="87600h")
    await site.client.create(resources.CERTIFICATES, root)
    await site.client.create(resources.CLUSTER_ISSUERS, issuer("home", {"ca": {"secretName": "ca-tls"}}))


async def test_a_certificate_of_a_private_authority_is_issued_and_verifies(manager: Site) -> None:
    await authority(manager)
    await manager.client.create(
        resources.CERTIFICATES, certificate("web", "home", dnsNames=["web.nerv.local"], ipAddresses=["192.168.1.111"])
    )
    web = await ready(manager, "web")
    assert objects.condition(web, "Ready")["message"] == "Certificate is up to date and has not expired"  # type: ignore[index]
    assert objects.condition(web, "Issuing") is None
    secret = await manager.client.get(SECRETS, "web-tls", SPACE)
    assert secret["type"] == "kubernetes.io/tls"
    issued, root = leaf(secret), leaf(secret, "ca.crt")
    issued.verify_directly_issued_by(root)
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["web.nerv.local"]
    lifetime = issued.not_valid_after_utc - issued.not_valid_before_utc
    assert lifetime == datetime.timedelta(days=90)
    assert objects.annotations(secret)[resources.ISSUER_NAME] == "home"
    assert objects.annotations(secret)["cert-manager.io/alt-names"] == "web.nerv.local"
    due = issued.not_valid_before_utc + lifetime * 2 / 3
    assert web["status"]["renewalTime"] == objects.timestamp(due)


async def test_the_request_is_approved_then_issued_and_named_after_its_revision(manager: Site) -> None:
    await authority(manager)
    await ready(manager, "ca")
    request = await manager.client.get(resources.REQUESTS, "ca-1", SPACE)
    assert objects.condition(request, "Approved")["reason"] == "cert-manager.io"  # type: ignore[index]
    assert objects.condition(request, "Ready")["reason"] == "Issued"  # type: ignore[index]
    assert objects.annotations(request)[resources.REVISION] == "1"


async def test_a_certificate_is_renewed_after_two_thirds_of_its_life_with_a_new_key(manager: Site) -> None:
    await authority(manager)
    await manager.client.create(resources.CERTIFICATES, certificate("web", "home", dnsNames=["web"], duration="3h"))
    await ready(manager, "web")
    before = await manager.client.get(SECRETS, "web-tls", SPACE)
    manager.clock.advance(2 * 3600 + 1)
    await ready(manager, "web", 2)
    after = await manager.client.get(SECRETS, "web-tls", SPACE)
    assert leaf(after).not_valid_after_utc > leaf(before).not_valid_after_utc
    assert before["data"]["tls.key"] != after["data"]["tls.key"]
    requests = manager.informers.of(resources.REQUESTS)
    await manager.until(
        resources.REQUESTS, lambda: [each for each in requests.list() if objects.name(each) == "web-1"] == [] or None
    )


async def test_a_changed_spec_is_issued_anew_and_a_deleted_secret_comes_back(manager: Site) -> None:
    await authority(manager)
    await manager.client.create(resources.CERTIFICATES, certificate("web", "home", dnsNames=["a"]))
    await ready(manager, "web")
    await manager.client.patch(resources.CERTIFICATES, "web", SPACE, {"spec": {"dnsNames": ["b"]}})
    await ready(manager, "web", 2)
    secret = await manager.client.get(SECRETS, "web-tls", SPACE)
    assert objects.annotations(secret)["cert-manager.io/alt-names"] == "b"
    await manager.client.delete(SECRETS, "web-tls", SPACE)
    await ready(manager, "web", 3)


async def test_a_key_that_must_not_rotate_is_used_again(manager: Site) -> None:
    await authority(manager)
    kept = certificate("web", "home", dnsNames=["a"])
    kept["spec"]["privateKey"]["rotationPolicy"] = "Never"
    await manager.client.create(resources.CERTIFICATES, kept)
    await ready(manager, "web")
    before = await manager.client.get(SECRETS, "web-tls", SPACE)
    await manager.client.patch(resources.CERTIFICATES, "web", SPACE, {"spec": {"dnsNames": ["b"]}})
    await ready(manager, "web", 2)
    after = await manager.client.get(SECRETS, "web-tls", SPACE)
    assert before["data"]["tls.key"] == after["data"]["tls.key"]


async def test_an_issuer_that_needs_the_internet_says_that_it_cannot_work_here(manager: Site) -> None:
    acme = {"server": "https://acme.example", "privateKeySecretRef": {"name": "key"}, "solvers": []}
    await manager.client.create(resources.CLUSTER_ISSUERS, issuer("public", {"acme": acme}))
    found = await manager.wait(
        resources.CLUSTER_ISSUERS, "public", lambda obj: objects.condition(obj, "Ready") is not None
    )
    condition = objects.condition(found, "Ready")
    assert condition is not None
    assert condition["status"] == "False"
    assert "not done on this machine" in condition["message"]


async def test_a_certificate_of_an_unknown_issuer_waits_and_says_so(manager: Site) -> None:
    await manager.client.create(resources.CERTIFICATES, certificate("web", "nobody", dnsNames=["a"]))
    request = await manager.wait(
        resources.REQUESTS, "web-1", lambda obj: objects.condition(obj, "Ready") is not None, SPACE
    )
    text = 'Referenced "ClusterIssuer" not found: clusterissuer.cert-manager.io "nobody" not found'
    assert objects.condition(request, "Ready")["message"] == text  # type: ignore[index]
    await manager.client.create(resources.CLUSTER_ISSUERS, issuer("nobody", {"selfSigned": {}}))
    await ready(manager, "web")


async def test_nothing_is_issued_while_the_controller_does_not_run(manager: Site) -> None:
    await manager.set_ready("controller", SPACE, ready=False)
    await manager.client.create(resources.CLUSTER_ISSUERS, issuer("root", {"selfSigned": {}}))
    await manager.client.create(resources.CERTIFICATES, certificate("web", "root", dnsNames=["a"]))
    await manager.wait(resources.CERTIFICATES, "web", lambda obj: True, SPACE)
    assert not (await manager.client.list(resources.REQUESTS)).items
    await manager.set_ready("controller", SPACE)
    await ready(manager, "web")
    assert (await manager.client.list(EVENTS, SPACE)).items


async def webhook(site: Site) -> None:
    """The validating configuration of the chart, without a bundle."""
    await site.endpoint("cert-manager-webhook", SPACE, "10.42.0.4", 443, 10250)
    reference = {"name": "cert-manager-webhook", "namespace": SPACE, "path": "/validate"}
    rule = {
        "apiGroups": ["cert-manager.io"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["*/*"],
    }
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {
            "name": "cert-manager-webhook",
            "annotations": {resources.INJECT_FROM_SECRET: f"{SPACE}/cert-manager-webhook-ca"},
        },
        "webhooks": [
            {
                "name": "webhook.cert-manager.io",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "clientConfig": {"service": reference},
                "rules": [rule],
            }
        ],
    }
    await site.client.create(VALIDATING_WEBHOOKS, configuration)


async def test_the_bundle_of_the_webhooks_authority_is_injected(manager: Site) -> None:
    await webhook(manager)
    found = await manager.wait(
        VALIDATING_WEBHOOKS,
        "cert-manager-webhook",
        lambda obj: bool(obj["webhooks"][0]["clientConfig"].get("caBundle")),
    )
    secret = await manager.client.get(SECRETS, "cert-manager-webhook-ca", SPACE)
    assert found["webhooks"][0]["clientConfig"]["caBundle"] == secret["data"]["ca.crt"]


async def test_the_start_up_check_finds_that_nothing_mutates(manager: Site) -> None:
    client = manager.client
    assert "did not mutate" in await check.check(client, SPACE)


def review(kind: str, obj: Object, **more: Any) -> Object:
    return {"uid": "1", "kind": {"kind": kind}, "object": obj, "userInfo": {"username": "me"}, **more}


def test_a_certificate_without_any_name_and_with_too_short_a_life_is_refused() -> None:
    obj = certificate("web", "home", duration="30m")
    verdict = admission.validate(review("Certificate", obj))
    assert isinstance(verdict, Denied)
    assert "at least one of commonName" in verdict.message
    assert "certificate duration must be greater than 1h0m0s" in verdict.message


def test_a_request_that_is_no_csr_is_refused() -> None:
    encoded = base64.b64encode(b"invalid-csr").decode()
    obj = {"spec": {"request": encoded, "issuerRef": {"name": "a"}, "username": "me"}}
    verdict = admission.validate(review("CertificateRequest", obj))
    assert isinstance(verdict, Denied)
    assert "failed to decode csr: error decoding certificate request PEM block" in verdict.message


def test_who_asks_is_written_into_a_request_and_cannot_be_forged_or_changed() -> None:
    obj = {"spec": {"request": "", "issuerRef": {"name": "a"}}}
    verdict = admission.mutate(review("CertificateRequest", obj))
    assert isinstance(verdict, Allowed)
    assert list(verdict.patch) == [{"op": "add", "path": "/spec/username", "value": "me"}]
    forged = {"spec": {**obj["spec"], "username": "you"}}
    refused = admission.validate(review("CertificateRequest", forged))
    assert isinstance(refused, Denied)
    assert "username identity must be that of the requester" in refused.message
    changed = admission.validate(review("CertificateRequest", forged, oldObject=obj))
    assert isinstance(changed, Denied)
    assert "cannot change spec after creation" in changed.message
