"""The unit that hands the cluster over to Flux: its script runs for real, against a real API server with real kubectl.

Only `flux` is a stand-in: it writes down how it was called.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.apiserver import kubeconfig, running, serving
from tests.support.nixos import layout

from nerv import documents
from nerv.apiserver.identity import ADMIN
from nerv.components.catalog import Platform
from nerv.components.flux.resources import AGE_SECRET
from nerv.kube.client import Client
from nerv.kube.errors import NotFound
from nerv.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, DEPLOYMENTS, NAMESPACES, SECRETS, Resource
from nerv.nix.expressions import Expression
from nerv.operations.secrets import contents
from nerv.rendering import cluster
from nerv.rendering.nixos import bootstrap

GIT_REPOSITORIES = Resource("source.toolkit.fluxcd.io", "v1", "gitrepositories", "GitRepository", True)
KUSTOMIZATIONS = Resource("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization", True)
NAMESPACE = "flux-system"
AGE_KEY = "AGE-SECRET-KEY-1-of-a-test"
TOKEN = "a-token-that-nobody-may-see"
FILLED: Mapping[str, Mapping[str, str]] = {
    "single-uefi": {"username": "git", "password": TOKEN},
    "single-bios": {
        "identity": TOKEN,
        "identity.pub": "ssh-ed25519 AAAA",
        "known_hosts": "git.example.org ssh-ed25519 A",
    },
}

_FLUX = """#!/bin/sh
echo "$@" >>"$CALLS.flux"
exit "$(cat "$CALLS.exit" 2>/dev/null || echo 0)"
"""
_KUBECTL = """#!/bin/sh
echo "$@" >>"$CALLS.kubectl"
if [ -e "$CALLS.fails" ]; then
  case "$*" in "$(cat "$CALLS.fails")"*) echo "the connection was refused" >&2; exit 1 ;; esac
fi
exec {kubectl} "$@"
"""


@dataclass
class Machine:
    """What the unit finds on the first server."""

    folder: Path
    platform: Platform
    client: Client
    environment: dict[str, str]

    async def run(self, code: int = 0, **changes: str) -> str:
        """Run the script as the unit would; what it printed, after its exit code was looked at."""
        child = await asyncio.create_subprocess_exec(
            "bash",
            str(self.folder / "flux-bootstrap.sh"),
            env={**self.environment, **changes},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await child.communicate())[0].decode()
        assert child.returncode == code, output
        return output

    def login(self, data: Mapping[str, str]) -> None:
        """Flux's login as sops-nix would write it."""
        (self.folder / "flux-git-login").write_text(contents.login_manifest(data))

    def flux_exits(self, code: int) -> None:
        (self.folder / "calls.exit").write_text(str(code))

    def kubectl_fails(self, beginning: str) -> None:
        """The API server goes away just when it is asked this."""
        (self.folder / "calls.fails").write_text(beginning)

    def calls(self, program: str) -> list[str]:
        path = self.folder / f"calls.{program}"
        return path.read_text().splitlines() if path.exists() else []

    async def versions(self) -> dict[str, str]:
        """Version of every object that the script has to do with."""
        kinds = (CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, DEPLOYMENTS, SECRETS, GIT_REPOSITORIES, KUSTOMIZATIONS)
        found: dict[str, str] = {}
        for kind in kinds:
            for obj in (await self.client.list(kind)).items:
                meta = obj["metadata"]
                found[f"{kind.kind} {meta.get('namespace', '')}/{meta['name']}"] = meta["resourceVersion"]
        return found


async def _machine(folder: Path, client: Client, config: Path, name: str) -> Machine:
    platform = layout(name)
    for path, text in cluster.files(platform).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (folder / "flux-bootstrap.sh").write_text(bootstrap.script())
    (folder / "flux-sops-age").write_text(contents.age_secret(AGE_KEY))
    programs = folder / "bin"
    programs.mkdir()
    for program, text in (
        ("flux", _FLUX),
        ("kubectl", _KUBECTL.format(kubectl=Path(sys.executable).parent / "kubectl")),
    ):
        (programs / program).write_text(text)
        (programs / program).chmod(0o755)
    # environment.etc links to the store, by way of another link
    for link, leads in (("etc", "static"), ("static", str(folder / platform.cluster_path / "flux-system"))):
        (folder / link).symlink_to(leads)
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "CALLS": str(folder / "calls"),
        "KUBECONFIG": str(config),
        "FLUX_SYSTEM": str(folder / "etc"),
        "FLUX_AGE_SECRET": str(folder / "flux-sops-age"),
        "FLUX_GIT_LOGIN": str(folder / "flux-git-login"),
        "FLUX_GIT_LOGIN_KEYS": " ".join(bootstrap.login_keys(platform)),
        "FLUX_BOOTSTRAP_LIMIT": "60",
    }
    made = Machine(folder, platform, client, environment)
    made.login(FILLED[name])
    return made


@pytest.fixture(params=sorted(FILLED))
async def either(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Machine]:
    """A machine whose repository is read with a token, and one with a deploy key."""
    async with running(tmp_path, serving=serving()) as server:
        yield await _machine(tmp_path, server.direct(ADMIN), kubeconfig(server, tmp_path), request.param)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with running(tmp_path, serving=serving()) as server:
        yield await _machine(tmp_path, server.direct(ADMIN), kubeconfig(server, tmp_path), "single-uefi")


async def test_the_first_run_hands_the_cluster_over(either: Machine) -> None:
    output = await either.run()
    assert output.rstrip().endswith("flux-bootstrap: the cluster is Flux's")
    for definition in (await either.client.list(CUSTOM_RESOURCE_DEFINITIONS)).items:
        states = {item["type"]: item["status"] for item in definition["status"]["conditions"]}
        assert states["Established"] == "True"
    deployments = (await either.client.list(DEPLOYMENTS, NAMESPACE)).items
    assert len(deployments) == 4
    assert {entry["manager"] for obj in deployments for entry in obj["metadata"]["managedFields"]} == {"flux"}
    age = await either.client.get(SECRETS, AGE_SECRET, NAMESPACE)
    assert set(age["data"]) == {"age.agekey"}
    login = await either.client.get(SECRETS, "flux-system", NAMESPACE)
    assert set(login["data"]) == set(FILLED[either.platform.name])
    source = await either.client.get(GIT_REPOSITORIES, "flux-system", NAMESPACE)
    assert source["spec"]["url"] == either.platform.spec.repository.url
    applied = await either.client.get(KUSTOMIZATIONS, "flux-system", NAMESPACE)
    assert applied["spec"]["path"] == f"./{either.platform.cluster_path}"
    assert [call.split(" --")[0] for call in either.calls("flux")] == ["check", "reconcile source git flux-system"]


async def test_a_second_run_changes_nothing(machine: Machine) -> None:
    await machine.run()
    before = await machine.versions()
    await machine.run()
    assert await machine.versions() == before


async def test_a_run_that_was_cut_off_is_completed(machine: Machine) -> None:
    machine.flux_exits(1)
    output = await machine.run(code=1)
    assert "Flux's controllers did not become healthy" in output
    for name in ("source-controller", "helm-controller"):
        await machine.client.delete(DEPLOYMENTS, name, NAMESPACE)
    await machine.client.delete(KUSTOMIZATIONS, "flux-system", NAMESPACE)
    await machine.client.delete(SECRETS, AGE_SECRET, NAMESPACE)
    machine.flux_exits(0)
    await machine.run()
    assert len((await machine.client.list(DEPLOYMENTS, NAMESPACE)).items) == 4
    await machine.client.get(KUSTOMIZATIONS, "flux-system", NAMESPACE)
    await machine.client.get(SECRETS, AGE_SECRET, NAMESPACE)


async def test_a_namespace_alone_does_not_look_like_flux(machine: Machine) -> None:
    await machine.client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
    await machine.run()
    assert len((await machine.client.list(DEPLOYMENTS, NAMESPACE)).items) == 4


async def test_where_flux_is_in_charge_only_secrets_are_brought_up_to_date(machine: Machine) -> None:
    await machine.run()
    state = {"status": {"lastAppliedRevision": "main@sha1:0123"}}
    await machine.client.patch(KUSTOMIZATIONS, "flux-system", NAMESPACE, state, subresource="status")
    await machine.client.delete(DEPLOYMENTS, "helm-controller", NAMESPACE)
    machine.login({"username": "git", "password": "a newer one"})
    output = await machine.run()
    assert "Flux is in charge already" in output
    with pytest.raises(NotFound):
        await machine.client.get(DEPLOYMENTS, "helm-controller", NAMESPACE)
    login = await machine.client.get(SECRETS, "flux-system", NAMESPACE)
    assert login["data"]["password"] == "YSBuZXdlciBvbmU="


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("get customresourcedefinition", "does not say whether Flux is there"),
        ("get kustomizations.kustomize.toolkit.fluxcd.io", "does not say what Flux has applied"),
    ],
)
async def test_no_answer_does_not_look_like_a_cluster_without_flux(machine: Machine, question: str, said: str) -> None:
    await machine.run()
    state = {"status": {"lastAppliedRevision": "main@sha1:0123"}}
    await machine.client.patch(KUSTOMIZATIONS, "flux-system", NAMESPACE, state, subresource="status")
    await machine.client.delete(DEPLOYMENTS, "helm-controller", NAMESPACE)
    machine.kubectl_fails(question)
    output = await machine.run(code=1)
    assert f"flux-bootstrap: the API server {said}" in output
    assert "the connection was refused" in output
    with pytest.raises(NotFound):
        await machine.client.get(DEPLOYMENTS, "helm-controller", NAMESPACE)


async def test_an_api_that_is_down_is_waited_for_with_a_limit(machine: Machine, tmp_path: Path) -> None:
    config = documents.load((tmp_path / "admin.kubeconfig").read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "down.kubeconfig").write_text(documents.dump(config))
    output = await machine.run(code=1, KUBECONFIG=str(tmp_path / "down.kubeconfig"), FLUX_BOOTSTRAP_LIMIT="1")
    (said,) = [line for line in output.splitlines() if "waited" in line]
    assert said.startswith("flux-bootstrap: waited 1 s for the Kubernetes API: ")
    assert "refused" in said


@pytest.mark.parametrize("file", ["flux-sops-age", "flux-git-login"])
@pytest.mark.parametrize("empty", [True, False])
async def test_a_missing_secret_is_named_with_the_way_out(machine: Machine, file: str, *, empty: bool) -> None:
    (machine.folder / file).unlink()
    if empty:
        (machine.folder / file).touch()
    output = await machine.run(code=bootstrap.CANNOT)
    assert f"/{file} is missing" in output
    assert "servers.sops.yaml" in output
    assert machine.calls("kubectl") == []


async def test_a_login_that_is_still_empty_is_refused_before_anything_is_applied(either: Machine) -> None:
    for data, missing in (
        (dict.fromkeys(FILLED[either.platform.name], ""), " ".join(bootstrap.login_keys(either.platform))),
        ({**FILLED[either.platform.name], bootstrap.login_keys(either.platform)[1]: ""}, None),
    ):
        either.login(data)
        output = await either.run(code=bootstrap.CANNOT)
        named = missing or bootstrap.login_keys(either.platform)[1]
        assert f"the login of the Git repository has no {named} yet: run `nerv bootstrap`" in output
    with pytest.raises(NotFound):
        await either.client.get(NAMESPACES, NAMESPACE)


async def test_what_nerv_makes_before_it_knows_the_login_is_refused_as_well(either: Machine) -> None:
    made: Any = contents.git_login(either.platform.spec.repository)
    (either.folder / "flux-git-login").write_text(made if isinstance(made, str) else contents.login_manifest(made))
    assert "has no" in await either.run(code=bootstrap.CANNOT)


async def test_no_secret_is_printed_or_an_argument(either: Machine) -> None:
    output = await either.run()
    seen = output + "\n".join((*either.calls("kubectl"), *either.calls("flux")))
    for secret in (AGE_KEY, TOKEN):
        assert secret not in seen
        assert secret[:12] not in seen


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs shellcheck (Debian: shellcheck)")
def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    """writeShellApplication puts lines of its own before the script, and builds only what shellcheck passes."""
    path = tmp_path / "flux-bootstrap.sh"
    path.write_text(f"#!/usr/bin/env bash\nset -o errexit -o nounset -o pipefail\n\n{bootstrap.script()}")
    done = subprocess.run(["shellcheck", str(path)], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0


def unit(service: Mapping[str, Any], program: Path) -> str:
    """The unit as NixOS writes it from these options."""

    def value(given: Expression) -> str:
        return str(given).lower() if isinstance(given, bool) else str(given)

    lines = [
        "[Unit]",
        f"Description={service['description']}",
        f"Wants={' '.join(service['wants'])}",
        f"After={' '.join(service['after'])}",
        f"StartLimitIntervalSec={service['startLimitIntervalSec']}",
        f"StartLimitBurst={service['startLimitBurst']}",
        "[Service]",
    ]
    for name, given in service["environment"].items():
        lines.append(f'Environment="{name}={given if isinstance(given, str) else "/run/secrets/x"}"')
    for name, given in service["serviceConfig"].items():
        told = [str(program)] if name == "ExecStart" else given if isinstance(given, list) else [given]
        lines += [f"{name}={value(item)}" for item in told]
    return "\n".join([*lines, "[Install]", f"WantedBy={' '.join(service['wantedBy'])}", ""])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze (Debian: systemd)")
def test_systemd_knows_every_line_of_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "flux-bootstrap"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "k3s.service").write_text("[Service]\nExecStart=/bin/true\n")
    path = tmp_path / "flux-bootstrap.service"
    path.write_text(unit(bootstrap.service(layout("single-uefi")), program))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
    )
    assert str(tmp_path) not in done.stderr, done.stderr
    assert "flux-bootstrap" not in done.stderr, done.stderr
