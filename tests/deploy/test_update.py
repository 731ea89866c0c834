"""`nerv deploy --update` on real sshds: the new system stays, or the machine goes back, by itself where it must.

nixos-rebuild, systemctl and systemd-run are stand-ins, but timers really fire and the network really goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import k3s
from tests.support.golden import check_text
from tests.support.machines import lan, needs_machines
from tests.support.operators import NEW, OLD, Fleet, Operator, Template

from nerv.kube.client import Client
from nerv.kube.resources import NODES, PODS

pytestmark = needs_machines
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": True}


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, template: Template) -> Iterator[Operator]:
    base = tmp_path_factory.mktemp("update")
    with lan(base / "lan", template.identity) as net:
        yield Operator(net, base / "operator", template, "two")


@pytest.fixture(scope="module")
def both(operator: Operator) -> Iterator[tuple[Fleet, k3s.Cluster]]:
    fleet = Fleet(operator)
    with k3s.cluster(fleet.server, operator.home.folder.parent / "cluster") as cluster:
        text = cluster.kubeconfig.replace("127.0.0.1", "192.168.1.10").replace(": default", ": home")
        (operator.keys / "kubeconfig").write_text(text)
        cluster.call(_settled)
        yield fleet, cluster


@pytest.fixture
def fleet(both: tuple[Fleet, k3s.Cluster]) -> Fleet:
    fleet, _ = both
    fleet.restore(fleet.worker)
    fleet.log.unlink(missing_ok=True)
    return fleet


@pytest.fixture
def cluster(both: tuple[Fleet, k3s.Cluster]) -> k3s.Cluster:
    return both[1]


async def _settled(client: Client) -> None:
    await k3s.reconciled(client)
    await k3s.add_node(client, k3s.node("nerv-1"))
    await k3s.add_node(client, k3s.node("worker-1", server=False))
    await k3s.add_pod(client, k3s.pod("system", "nerv-1", ownerReferences=[OWNER]))


async def _unschedulable(client: Client) -> bool:
    return bool((await client.get(NODES, "worker-1")).get("spec", {}).get("unschedulable"))


@pytest.mark.timeout(400)
def test_a_node_is_drained_switched_proved_and_used_again(fleet: Fleet, cluster: k3s.Cluster) -> None:
    async def finished_pod(client: Client) -> None:
        await k3s.add_pod(client, k3s.pod("job", "worker-1"))
        status = {"status": {"phase": "Succeeded"}}
        await client.patch(PODS, "job", "default", status, subresource="status")

    cluster.call(finished_pod)
    said = fleet.update("worker-1").stderr
    told = [line.removeprefix("worker-1: ").partition(":")[0] for line in said.splitlines() if ": done in" not in line]
    assert [step for step in told if step in STEPS] == STEPS
    assert "worker-1: would restart the following units: k3s.service" in said
    assert said.splitlines()[-1] == "worker-1 is updated"
    assert fleet.rebuilds() == ["dry-activate", "switch"]
    assert fleet.system() == NEW
    assert not fleet.worker.exists("/standin/timers/nerv-rollback.timer")
    assert not cluster.call(_unschedulable)


STEPS = ["check", "prepare", "cordon", "drain", "arm", "switch", "confirm", "uncordon", "gate"]


@pytest.mark.timeout(400)
def test_a_machine_that_loses_its_network_goes_back_by_itself(fleet: Fleet, cluster: k3s.Cluster) -> None:
    broken = f"#!/bin/sh\nln -sfn {NEW} /run/current-system\nip link set eth0 down\n"
    fleet.worker.write(f"{NEW}/bin/switch-to-configuration", broken, 0o755)
    said = fleet.update("worker-1", "--rollback-after", "12", code=1).stderr
    assert "it went back to the system before (by its own timer) and Ready again" in said
    assert fleet.system() == OLD
    assert fleet.worker.shell("readlink /nix/var/nix/profiles/system").strip() == OLD
    assert not cluster.call(_unschedulable)


@pytest.mark.timeout(400)
def test_a_new_system_that_makes_the_platform_ill_is_taken_back(fleet: Fleet, cluster: k3s.Cluster) -> None:
    # what the new system breaks shows in Flux
    said: list[str] = []

    async def breaks(client: Client) -> None:
        await k3s.set_ready(client, "flux-system", ready=False)

    fleet.worker.write("/standin/units/k3s", "ActiveState=failed\nSubState=failed\nResult=exit-code\nNRestarts=9\n")
    said += fleet.update("worker-1", "--rollback-after", "8", code=1).stderr.splitlines()
    assert any("the new system is not confirmed within 4 s: K3s is failed" in line for line in said)
    assert said[-1].startswith("nerv: worker-1: the new system is not confirmed")
    assert "it went back to the system before (over SSH) and Ready again" in said[-1]
    assert fleet.system() == OLD
    assert not cluster.call(_unschedulable)
    # an ill cluster is not updated at all
    cluster.call(breaks)
    before = fleet.rebuilds()
    told = fleet.update("worker-1", code=1).stderr
    assert "worker-1: not healthy: Kustomization flux-system/flux-system: broken; the machine is as it was" in told
    assert fleet.rebuilds() == before

    async def heals(client: Client) -> None:
        await k3s.set_ready(client, "flux-system", ready=True)

    cluster.call(heals)


@pytest.mark.timeout(400)
def test_a_reboot_into_the_new_system_and_the_way_back(fleet: Fleet, cluster: k3s.Cluster) -> None:
    first = fleet.worker.read("/standin/boot_id")
    fleet.update("worker-1", "--reboot")
    assert fleet.rebuilds() == ["dry-activate", "boot"]
    second = fleet.worker.read("/standin/boot_id")
    assert fleet.system() == NEW
    assert second != first
    # the Node never stops being called Ready here: what counts is that the machine has started the former system
    fleet.restore(fleet.worker)
    fleet.worker.write("/standin/units/k3s", "ActiveState=failed\nSubState=failed\nResult=exit-code\nNRestarts=9\n")
    said = fleet.update("worker-1", "--reboot", "--patience", "0.1", code=1).stderr
    assert "worker-1: waiting for it: " in said.partition("going back to the system before")[2]
    assert "it went back to the system before (over SSH) and Ready again" in said
    assert fleet.system() == OLD
    assert fleet.worker.shell("readlink /nix/var/nix/profiles/system").strip() == OLD
    assert not cluster.call(_unschedulable)


@pytest.mark.timeout(400)
def test_what_fails_before_the_switch_leaves_the_machine_as_it_was(fleet: Fleet, cluster: k3s.Cluster) -> None:
    said = fleet.update("worker-1", code=1, NERV_TEST_REBUILD="build").stderr
    assert (
        "building and copying the new system: `nixos-rebuild` ended with exit code 1; the machine is as it was" in said
    )
    assert fleet.rebuilds() == ["dry-activate"]

    async def bare(client: Client) -> None:
        await k3s.add_pod(client, k3s.pod("bare", "worker-1"))

    cluster.call(bare)
    said = fleet.update("worker-1", code=1).stderr
    assert "nobody would make these pods again: default/bare; the machine is as it was" in said
    assert fleet.system() == OLD
    assert not cluster.call(_unschedulable)

    async def clean(client: Client) -> None:
        await client.delete(PODS, "bare", "default", grace_period=0)

    cluster.call(clean)


def test_a_dry_run_prints_the_update_and_skips_are_refused(operator: Operator) -> None:
    made = operator.deploy("--update", "worker-1", "--dry-run", "--build-on", "remote").stdout
    base = str(operator.home.folder.parent)
    check_text(Path(__file__).parents[1] / "golden" / "deploy" / "update-worker-1.sh", made.replace(base, "/home/you"))
    hidden = operator.keys / "kubeconfig"
    aside = hidden.rename(hidden.with_name("aside")) if hidden.exists() else None
    assert "no cluster was deployed from here" in operator.deploy("--update", "worker-1", code=1).stderr
    if aside:
        aside.rename(hidden)
