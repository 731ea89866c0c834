"""`nerv node add|remove|reset` and `nerv upgrade`, run as the user would, against a cluster and a machine."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import k3s
from tests.support.commands import eventually
from tests.support.machines import lan, needs_machines
from tests.support.operators import Fleet, Operator, Template

from nerv import documents
from nerv.deploy import wiping
from nerv.deploy.ssh import Access, Remote, Target
from nerv.deploy.trust import HostKey
from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.kube.errors import NotFound
from nerv.kube.resources import NODES, SECRETS

pytestmark = needs_machines
VOLUME = "/var/lib/kubelet/pods/1/volumes/disk"
MASK = "/run/systemd/system.control/k3s.service"


@pytest.fixture
def operator(tmp_path: Path, template: Template) -> Iterator[Operator]:
    with lan(tmp_path / "lan", template.identity) as net:
        yield Operator(net, tmp_path / "operator", template)


def nerv(operator: Operator, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return operator.nerv(*arguments, code=code)


def defined(operator: Operator) -> list[str]:
    return [node["name"] for node in documents.load((operator.home.folder / "nerv.yaml").read_text())["spec"]["nodes"]]


async def _settled(client: Client) -> None:
    await k3s.reconciled(client)
    await k3s.add_node(client, k3s.node("nerv-1"))
    await k3s.add_node(client, k3s.node("worker-1", server=False))
    secret = {"metadata": {"name": "worker-1.node-password.k3s", "namespace": "kube-system"}, "data": {}}
    await client.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", **secret})


async def _names(client: Client) -> list[str]:
    return sorted(node["metadata"]["name"] for node in (await client.list(NODES)).items)


async def _password(client: Client) -> bool:
    try:
        await client.get(SECRETS, "worker-1.node-password.k3s", "kube-system")
    except NotFound:
        return False
    return True


@pytest.mark.timeout(500)
def test_a_node_comes_begins_anew_and_goes(operator: Operator, tmp_path: Path) -> None:
    repository = operator.home.folder
    said = nerv(
        operator, "node", "add", "worker-1", "--address", "192.168.1.20", "--disk", "/dev/vda", "--disk", "/dev/vdb"
    )
    assert "wrote nixos/hosts/worker-1.nix" in said.stdout
    assert "wrote nixos/keys/worker-1.pub" in said.stdout
    assert "then `nerv deploy worker-1` installs it" in said.stderr
    assert defined(operator) == ["nerv-1", "worker-1"]
    operator.home.nerv("check")
    before = (repository / "nerv.yaml").read_text()
    assert (
        "two nodes are named `worker-1`"
        in nerv(operator, "node", "add", "worker-1", "--address", "192.168.1.21", code=1).stderr
    )
    assert (repository / "nerv.yaml").read_text() == before
    operator.home.commit("a worker")

    fleet = Fleet(operator)
    with k3s.cluster(fleet.server, tmp_path / "cluster") as cluster:
        text = cluster.kubeconfig.replace("127.0.0.1", "192.168.1.10").replace(": default", ": home")
        (operator.keys / "kubeconfig").write_text(text)
        cluster.call(_settled)
        _reset(operator, fleet, cluster)
        _remove(operator, fleet, cluster)


def _reset(operator: Operator, fleet: Fleet, cluster: k3s.Cluster) -> None:
    assert "nerv-1 starts the cluster" in nerv(operator, "node", "reset", "nerv-1", code=1).stderr
    assert "nothing was done" in nerv(operator, "node", "reset", "worker-1", code=1).stderr
    fleet.worker.write("/var/lib/rancher/k3s/agent/client.crt", "old")
    fleet.worker.write("/var/lib/longhorn/disk", "data")
    _refuse_volumes(fleet)
    fleet.worker.write("/usr/local/bin/k3s-killall.sh", "#!/bin/sh\n", 0o755)
    running = "ActiveState=active\\nSubState=running\\nNRestarts=0\\n"
    fleet.worker.write("/standin/units/k3s.start", f"printf '{running}' >/standin/units/k3s\n")
    # a volume that K3s has left mounted, and that nobody uses, is let go first
    fleet.worker.shell(f"mount --bind /var/lib/longhorn {VOLUME}")
    joined = threading.Thread(target=_join_again, args=(fleet, cluster))
    joined.start()
    said = nerv(operator, "node", "reset", "worker-1", "--yes", "-i", str(operator.net.identity))
    joined.join()
    assert "worker-1: wipe: done in" in said.stderr
    assert not fleet.worker.exists("/var/lib/rancher/k3s/agent/client.crt")
    assert fleet.worker.read("/var/lib/longhorn/disk") == "data"
    assert not cluster.call(_password)
    assert _orders(fleet).splitlines()[-3:] == ["stop k3s", "stop k3s", "start k3s"]
    assert not fleet.worker.exists(VOLUME)
    assert not fleet.worker.shell(f"find {MASK} 2>/dev/null || :")


def _refuse_volumes(fleet: Fleet) -> None:
    """Without k3s-killall.sh, and with a process in the volume: nothing at all is removed."""
    fleet.worker.shell(f"mkdir -p {VOLUME} && mount --bind /var/lib/longhorn {VOLUME}")
    fleet.worker.shell(f"cd {VOLUME} && {{ sleep 600 <&- >&- 2>&- & echo $! >/run/user-of-volume; }}")

    async def wipe() -> None:
        key = HostKey.parse(fleet.worker.host_key())
        async with Remote(Target("192.168.1.20"), [key], Access(fleet.operator.net.identity)) as machine:
            await wiping.wipe(machine)

    with pytest.raises(NervError, match=f"was not wiped: still mounted there: {VOLUME}$"):
        fleet.operator.net.run(wipe)
    assert fleet.worker.read("/var/lib/longhorn/disk") == "data"
    assert fleet.worker.exists("/var/lib/rancher/k3s/agent/client.crt")
    fleet.worker.shell(f"kill -9 $(cat /run/user-of-volume); until umount {VOLUME} 2>/dev/null; do sleep 0.02; done")


def _join_again(fleet: Fleet, cluster: k3s.Cluster) -> None:
    """The kubelet's part: the node registers once K3s was started there."""
    eventually(lambda: cluster.call(_names) == ["nerv-1"], "the node to leave")
    eventually(lambda: "start k3s" in _orders(fleet), "K3s to be started")
    cluster.call(lambda client: k3s.add_node(client, k3s.node("worker-1", server=False)))


def _orders(fleet: Fleet) -> str:
    return fleet.worker.read("/standin/orders") if fleet.worker.exists("/standin/orders") else ""


def _remove(operator: Operator, fleet: Fleet, cluster: k3s.Cluster) -> None:
    made = nerv(operator, "node", "remove", "worker-1", "--dry-run").stdout
    assert "kubectl --kubeconfig" in made
    assert cluster.call(_names) == ["nerv-1", "worker-1"]
    assert made.index("system.control") < made.index("annotate node") < made.index("systemctl stop k3s")
    assert made.index("systemctl stop k3s") < made.index("delete node")
    assert "ssh" not in nerv(operator, "node", "remove", "worker-1", "--lost", "--dry-run").stdout
    said = nerv(operator, "node", "remove", "worker-1", "--yes", "-i", str(operator.net.identity))
    assert _orders(fleet).splitlines()[-2:] == ["start k3s", "stop k3s"]
    assert fleet.worker.shell(f"readlink {MASK}") == "/dev/null\n"
    assert cluster.call(_names) == ["nerv-1"]
    assert defined(operator) == ["nerv-1"]
    assert not (operator.home.folder / "nixos" / "hosts" / "worker-1.nix").exists()
    assert "`nerv secrets rotate` what they have read" in said.stderr
    # the last server stays
    assert "spec.nodes" in nerv(operator, "node", "remove", "nerv-1", "--yes", code=1).stderr


def test_versions_are_shown_and_raised_one_at_a_time(operator: Operator) -> None:
    shown = nerv(operator, "upgrade").stdout
    assert "kubernetes" in shown
    assert "v1.31" in shown
    assert "`nerv upgrade kubernetes` raises it to v1.32" in shown
    said = nerv(operator, "upgrade", "kubernetes", "--to", "v1.33", code=1).stderr
    assert "Kubernetes v1.33 is 2 minor versions after v1.31: one at a time (upgrade to v1.32 first" in said
    planned = nerv(operator, "upgrade", "kubernetes", "--dry-run").stdout
    assert planned.splitlines()[0] == "Kubernetes v1.31 -> v1.32:"
    assert "nerv deploy --update nerv-1    # servers first, one at a time" in planned
    assert "version: v1.31" in (operator.home.folder / "nerv.yaml").read_text()
    done = nerv(operator, "upgrade", "kubernetes").stdout
    assert "wrote nixos/modules/k3s.nix" in done
    assert "version: v1.32" in (operator.home.folder / "nerv.yaml").read_text()
    assert "nixos 25.05 is the newest that this NERV knows" in nerv(operator, "upgrade", "nixos", code=1).stderr
    assert "there is no `redis` to raise" in nerv(operator, "upgrade", "redis", code=1).stderr
    assert "longhorn is 1.9.1 already" in nerv(operator, "upgrade", "longhorn", code=1).stderr
    said = nerv(operator, "upgrade", "longhorn", "--to", "1.11.0", code=1).stderr
    assert "longhorn 1.11.0 skips a minor version after 1.9.1" in said
    assert "longhorn 1.9.1 -> 1.9.2:" in nerv(operator, "upgrade", "longhorn", "--to", "1.9.2", "--dry-run").stdout
