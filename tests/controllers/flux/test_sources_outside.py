"""Sources that the mirror does not serve: tunnelled untouched with certificates of their own, or refused offline."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.flux import NAMESPACE, World, world

from nerv import certificates, documents
from nerv.controllers.flux.api import GIT_REPOSITORIES, HELM_REPOSITORIES
from nerv.http import tls
from nerv.http.messages import Answer, Request, Response
from nerv.http.server import listen
from nerv.kube.resources import SECRETS
from nerv.mirror import git_http

AUTHORITY = certificates.create_ca("somebody else's")


@pytest.fixture
async def flux(tmp_path: Path) -> AsyncIterator[World]:
    """A server of somebody else with an authority of its own, under the name that the platform's definition gives."""
    leaf = certificates.issue(AUTHORITY, "localhost", names=["localhost"])
    index = documents.dump({"apiVersion": "v1", "entries": {}}).encode()
    repository: list[Path] = []

    async def git_or_index(request: Request) -> Response:
        action = request.path.removeprefix("/you/home.git")
        if action == request.path:
            return Response(200, index, "text/yaml")
        return await git_http.serve(request, action, repository[0])

    def handle(request: Request) -> Answer:
        return git_or_index(request)

    server = await listen(handle, ssl=tls.server_context(leaf.certificate, leaf.key))
    url = f"https://localhost:{server.port}/you/home.git"
    async with world(tmp_path, url=url, mirrored=False) as found:
        repository.append(found.repository.path)
        await found.create(GIT_REPOSITORIES, "home", {"url": url, "interval": "1m0s", "ref": {"branch": "main"}})
        charts = url.removesuffix("/you/home.git") + "/charts"
        await found.create(HELM_REPOSITORIES, "charts", {"url": charts, "interval": "1m0s"})
        yield found
    await server.close()


async def test_a_source_with_an_authority_of_its_own_is_trusted_by_its_secret(flux: World) -> None:
    message = await flux.failed(GIT_REPOSITORIES, "home", "GitOperationFailed")
    assert "certificate" in message
    message = await flux.failed(HELM_REPOSITORIES, "charts", "Failed")
    assert "certificate verify failed" in message
    commit = flux.repository.commit("theirs")
    data = {"ca.crt": base64.b64encode(AUTHORITY.certificate.encode()).decode()}
    await flux.client.create(SECRETS, {"metadata": {"name": "theirs", "namespace": NAMESPACE}, "data": data})
    await flux.patch(GIT_REPOSITORIES, "home", {"spec": {"secretRef": {"name": "theirs"}}})
    await flux.patch(HELM_REPOSITORIES, "charts", {"spec": {"certSecretRef": {"name": "theirs"}}})
    await flux.ready(GIT_REPOSITORIES, "home", commit)
    await flux.ready(HELM_REPOSITORIES, "charts")


async def test_offline_a_source_says_that_its_host_is_not_mirrored(flux: World) -> None:
    elsewhere = "https://elsewhere.example.test"
    spec = {"url": f"{elsewhere}/theirs.git", "interval": "1m0s", "ref": {"branch": "main"}}
    await flux.create(GIT_REPOSITORIES, "theirs", spec)
    await flux.create(HELM_REPOSITORIES, "theirs", {"url": f"{elsewhere}/charts", "interval": "1m0s"})
    message = await flux.failed(GIT_REPOSITORIES, "theirs", "GitOperationFailed")
    assert message.endswith("offline: elsewhere.example.test is not mirrored here")
    message = await flux.failed(HELM_REPOSITORIES, "theirs", "Failed")
    assert message.endswith("offline: elsewhere.example.test is not mirrored here")
    assert flux.mirror.refused == {"elsewhere.example.test"}
