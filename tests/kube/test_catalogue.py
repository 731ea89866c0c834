from pathlib import Path

import pytest
from tests.support.apiserver import running
from tests.support.flux import install

from nerv.apiserver.identity import ADMIN
from nerv.errors import NervError
from nerv.kube import catalogue
from nerv.kube.catalogue import Catalogue


def _group(name: str, *versions: tuple[str, str]) -> dict[str, object]:
    def resource(plural: str) -> dict[str, object]:
        return {"resource": plural, "responseKind": {"kind": plural.capitalize()}, "scope": "Namespaced"}

    return {
        "metadata": {"name": name},
        "versions": [{"version": version, "resources": [resource(plural)]} for version, plural in versions],
    }


async def test_every_word_of_kubectl_finds_its_kind(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        client = server.direct(ADMIN)
        await install(client)
        found = await catalogue.read(client)
    for word in ("kustomizations", "kustomization", "ks", "Kustomization", "ks.kustomize.toolkit.fluxcd.io"):
        assert found.require(word).api_version == "kustomize.toolkit.fluxcd.io/v1"
    assert found.require("po").kind == "Pod"
    assert found.require("no").namespaced is False
    assert found.require("deploy").api_version == "apps/v1"
    assert found.require("events").group == ""
    with pytest.raises(NervError) as caught:
        found.require("kustomisations")
    assert caught.value.hint == "did you mean kustomizations?"


def test_the_preferred_version_counts_and_older_ones_fill_up() -> None:
    found = Catalogue.of({"items": [_group("a.b", ("v2", "ones"), ("v1", "ones"), ("v1", "twos"))]})
    assert [(each.plural, each.version) for each in found.resources] == [("ones", "v2"), ("twos", "v1")]
    assert found.of_kind("a.b", "Ones") == found.find("ones.a.b")
    assert found.find("ones.c.d") is None
