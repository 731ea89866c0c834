"""Decryption and substitution between build and apply."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import pyrage
import pytest
from tests.support.flux import NAMESPACE, World, config_map

from nerv import documents, process
from nerv.controllers.flux.api import KUSTOMIZATIONS
from nerv.kube.resources import CONFIG_MAPS, SECRETS

PROGRAM = str(Path(sys.executable).with_name("sops"))
DECRYPTION = {"provider": "sops", "secretRef": {"name": "sops-age"}}


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def identity() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


def encrypted(identity: pyrage.x25519.Identity, folder: Path, field: str = "stringData") -> str:
    """A Secret, encrypted by the real sops."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "default"},
        field: {"password": "s3cret" if field == "stringData" else b64("s3cret")},
    }
    path = folder / "secret.yaml"
    path.write_text(documents.dump(secret))
    options = ["--age", str(identity.to_public()), "--encrypted-regex", "^(data|stringData)$"]
    return process.run_sync([PROGRAM, "encrypt", *options, str(path)], cwd=folder).stdout


async def keys(flux: World, identity: pyrage.x25519.Identity) -> None:
    """The Secret with the platform's age key."""
    metadata = {"name": "sops-age", "namespace": NAMESPACE}
    data = {"age.agekey": b64(f"# created for a test\n{identity}\n")}
    await flux.client.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


async def test_a_secret_is_opened_and_applied(flux: World, identity: pyrage.x25519.Identity, tmp_path: Path) -> None:
    flux.repository.commit("first", {"secret.yaml": encrypted(identity, tmp_path)})
    await keys(flux, identity)
    await flux.source()
    await flux.kustomization("apps", decryption=DECRYPTION, targetNamespace="default")
    await flux.ready(KUSTOMIZATIONS, "apps")
    secret = await flux.read(SECRETS, "login")
    assert secret["data"] == {"password": b64("s3cret")}
    assert "sops" not in secret
    before = secret["metadata"]["resourceVersion"]
    await flux.request(KUSTOMIZATIONS, "apps", "again")
    await flux.ready(KUSTOMIZATIONS, "apps")
    assert (await flux.read(SECRETS, "login"))["metadata"]["resourceVersion"] == before


async def test_without_decryption_it_is_refused(flux: World, identity: pyrage.x25519.Identity, tmp_path: Path) -> None:
    flux.repository.commit("first", {"secret.yaml": encrypted(identity, tmp_path, "data")})
    await flux.source()
    await flux.kustomization("apps")
    assert await flux.failed(KUSTOMIZATIONS, "apps", "ReconciliationFailed") == (
        "Secret/default/login is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
    )


async def test_ciphertext_of_string_data_is_applied_as_it_is(
    flux: World, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    """What kustomize-controller 1.6 does, seen with the real one: its typed Secret has no `sops` to see."""
    flux.repository.commit("first", {"secret.yaml": encrypted(identity, tmp_path)})
    await flux.source()
    await flux.kustomization("apps")
    await flux.ready(KUSTOMIZATIONS, "apps")
    applied = await flux.read(SECRETS, "login")
    assert base64.b64decode(applied["data"]["password"]).startswith(b"ENC[AES256_GCM,")


async def test_a_missing_key_and_a_wrong_one(flux: World, identity: pyrage.x25519.Identity, tmp_path: Path) -> None:
    flux.repository.commit("first", {"secret.yaml": encrypted(identity, tmp_path)})
    await flux.source()
    await flux.kustomization("apps", decryption=DECRYPTION)
    assert await flux.failed(KUSTOMIZATIONS, "apps", "BuildFailed") == 'secrets "sops-age" not found'
    await keys(flux, pyrage.x25519.Identity.generate())
    await flux.request(KUSTOMIZATIONS, "apps", "again")
    message = await flux.failed(KUSTOMIZATIONS, "apps", "BuildFailed")
    assert message.startswith(
        "decryption failed for 'Secret.v1.[noGrp]/login': failed to decrypt and format 'default/login' Secret data: "
        "cannot get sops data key: "
    )
    assert "s3cret" not in message


async def test_a_key_that_is_none(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a")})
    metadata = {"name": "sops-age", "namespace": NAMESPACE}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"age.agekey": b64("nonsense")}}
    await flux.client.create(SECRETS, secret)
    await flux.source()
    await flux.kustomization("apps", decryption=DECRYPTION)
    assert await flux.failed(KUSTOMIZATIONS, "apps", "BuildFailed") == (
        "failed to import 'age.agekey' data from sops decryption Secret 'flux-system/sops-age': "
        "failed to parse age identity in line 1: unknown identity type"
    )


async def test_variables(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a", x="${one}", y="${two:=default}", z="$${one}")})
    metadata = {"name": "vars", "namespace": NAMESPACE}
    data = {"one": "from config", "two": "later"}
    await flux.client.create(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    await flux.source()
    sources = [{"kind": "ConfigMap", "name": "vars"}, {"kind": "Secret", "name": "none", "optional": True}]
    await flux.kustomization("apps", postBuild={"substituteFrom": sources, "substitute": {"one": "inline"}})
    await flux.ready(KUSTOMIZATIONS, "apps")
    assert (await flux.read(CONFIG_MAPS, "a"))["data"] == {"x": "inline", "y": "later", "z": "${one}"}


async def test_no_variables_at_all_means_no_substitution(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a", x="${one:=default}")})
    await flux.source()
    await flux.kustomization("apps", postBuild={"substitute": {}})
    await flux.ready(KUSTOMIZATIONS, "apps")
    assert (await flux.read(CONFIG_MAPS, "a"))["data"] == {"x": "${one:=default}"}


async def test_a_missing_source_of_variables(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a")})
    await flux.source()
    await flux.kustomization("apps", postBuild={"substituteFrom": [{"kind": "ConfigMap", "name": "vars"}]})
    assert await flux.failed(KUSTOMIZATIONS, "apps", "BuildFailed") == (
        "post build failed for 'ConfigMap.v1.[noGrp]/a': substitute from 'ConfigMap/vars' error: "
        'configmaps "vars" not found'
    )
