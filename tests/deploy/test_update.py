"""`nerv deploy --update` on real sshds: the new system stays, or the machine goes back, by itself where it must.

nixos-rebuild, systemctl and systemd-run are stand-ins, but timers really fire and the network really goes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.deploy.test_deploy import Operator, unit
from tests.support import k3s
from tests.support.golden import check_text
from tests.support.machines import Lan, Machine, lan, needs_machines

from nerv.kube.client import Client
from nerv.kube.resources import NODES, PODS

pytestmark = needs_machines
OLD = "/nix/store/00000000000000000000000000000000-nixos-system-old"
NEW = "/nix/store/11111111111111111111111111111111-nixos-system-new"
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": True}


class Fleet:
    """A server with the cluster's API, and a worker to update, both as NERV would have installed them."""

    def __init__(self, net: Lan, operator: Operator, folder: Path) -> None:
        self.operator = operator
        self.server = self._machine(net, "nerv-1", "192.168.1.10")
        self.worker = self._machine(net, "worker-1", "192.168.1.20")
        self.log = Path(operator.home.environment["NERV_TEST_FOLDER"]) / "rebuild.log"

    def _machine(self, net: Lan, name: str, address: str) -> Machine:
        made = net.machine(name, address)
        key = self.operator.home.environment["XDG_CONFIG_HOME"] + f"/nerv/home/hosts/{name}/ssh_host_ed25519_key"
        made.write("/etc/ssh/ssh_host_ed25519_key", Path(key).read_text(), 0o600)
        made.shell("ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key > /etc/ssh/ssh_host_ed25519_key.pub")
        made.restart_sshd()
        for system, network in ((OLD, "up"), (NEW, "")):
            made.write(
                f"{system}/sw/bin/nix-env", '#!/bin/sh\nmkdir -p /nix/var/nix/profiles\nexec ln -sfn "$4" "$2"\n', 0o755
            )
            script = f"#!/bin/sh\nip link set eth0 {network}\n" if network else "#!/bin/sh\n"
            script += f'[ "$1" = boot ] || ln -sfn {system} /run/current-system\necho "$1 {system}" >>/standin/orders\n'
            made.write(f"{system}/bin/switch-to-configuration", script, 0o755)
        made.shell(f"ln -sfn {OLD} /run/current-system; mkdir -p /standin")
        unit(made, "k3s", "active/running")
        return made

    def update(self, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        return self.operator.deploy("--update", *arguments, code=code, **env)

    def system(self) -> str:
        return self.worker.shell("readlink /run/current-system").strip()

    def rebuilds(self) -> list[str]:
        return [line.split()[1] for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with lan(tmp_path / "lan") as net:
        made = Operator(net, tmp_path)
        definition = made.home.folder / "nerv.yaml"
        worker = "    - {name: worker-1, role: agent, address: 192.168.1.20}\n"
        definition.write_text(definition.read_text().replace("    - name: nerv-1\n", f"{worker}    - name: nerv-1\n"))
        made.home.nerv("render")
        made.home.commit("a worker")
        yield made


@pytest.fixture
def fleet(operator: Operator, tmp_path: Path) -> Fleet:
    return Fleet(operator.net, operator, tmp_path)


@pytest.fixture
def cluster(fleet: Fleet, tmp_path: Path) -> Iterator[k3s.Cluster]:
    with k3s.cluster(fleet.server, tmp_path / "cluster") as made:
        text = made.kubeconfig.replace("127.0.0.1", "192.168.1.10").replace(": default", ": home")
        file = Path(fleet.operator.home.environment["XDG_CONFIG_HOME"]) / "nerv" / "home" / "kubeconfig"
        file.write_text(text)
        made.call(_settled)
        yield made


async def _settled(client: Client) -> None:
    await k3s.reconciled(client)
    await k3s.add_node(client, k3s.node("nerv-1"))
    await k3s.add_node(client, k3s.node("worker-1", server=False))
    await k3s.add_pod(client, k3s.pod("system", "nerv-1", ownerReferences=[OWNER]))


async def _unschedulable(client: Client) -> bool:
    return bool((await client.get(NODES, "worker-1")).get("spec", {}).get("unschedulable"))


@pytest.mark.timeout(240)
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


STEPS = ["check", "prepare", "cordon", "drain", "arm", "switch", "confirm", "gate", "uncordon"]


@pytest.mark.timeout(240)
def test_a_machine_that_loses_its_network_goes_back_by_itself(fleet: Fleet, cluster: k3s.Cluster) -> None:
    broken = f"#!/bin/sh\nln -sfn {NEW} /run/current-system\nip link set eth0 down\n"
    fleet.worker.write(f"{NEW}/bin/switch-to-configuration", broken, 0o755)
    said = fleet.update("worker-1", "--rollback-after", "12", code=1).stderr
    assert "it went back to the system before (by its own timer) and Ready again" in said
    assert fleet.system() == OLD
    assert fleet.worker.shell("readlink /nix/var/nix/profiles/system").strip() == OLD
    assert not cluster.call(_unschedulable)


@pytest.mark.timeout(240)
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


@pytest.mark.timeout(240)
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


def test_a_dry_run_prints_the_update_and_skips_are_refused(operator: Operator) -> None:
    made = operator.deploy("--update", "worker-1", "--dry-run", "--build-on", "remote").stdout
    base = str(operator.home.folder.parent)
    check_text(Path(__file__).parents[1] / "golden" / "deploy" / "update-worker-1.sh", made.replace(base, "/home/you"))
    assert "no cluster was deployed from here" in operator.deploy("--update", "worker-1", code=1).stderr
