"""`nerv deploy` from the first word to healthy dashboards, run as the user would: a real sshd, interruptions, refusals.

nixos-anywhere, nix and systemctl are stand-ins; the cluster is NERV's own API server on the machine.
"""

from __future__ import annotations

import gzip
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import k3s
from tests.support.machines import Lan, lan, needs_machines
from tests.support.operators import IMAGE, TOKEN, Operator, Template, debian, set_login, unit

from nerv import documents
from nerv.deploy.trust import HostKey
from nerv.kube.client import Client
from nerv.operations import imaging

pytestmark = needs_machines


@pytest.fixture
def net(tmp_path: Path, template: Template) -> Iterator[Lan]:
    with lan(tmp_path / "lan", template.identity) as made:
        yield made


@pytest.fixture
def operator(net: Lan, tmp_path: Path, template: Template) -> Operator:
    return Operator(net, tmp_path / "operator", template)


async def settled(client: Client) -> None:
    await k3s.reconciled(client)
    await k3s.add_node(client, k3s.node("nerv-1"))
    await k3s.add_pod(client, k3s.pod("web", "nerv-1"))


@pytest.mark.timeout(500)
def test_a_machine_becomes_a_healthy_cluster_through_interruptions(
    operator: Operator, net: Lan, tmp_path: Path
) -> None:
    machine = debian(net)
    fingerprint = HostKey.parse(machine.host_key()).fingerprint

    # nobody is asked here, so nothing is believed
    said = operator.deploy("nerv-1", code=1).stderr
    assert f"the host key of 192.168.1.10 is not known: {fingerprint}" in said
    assert f"--accept-host-key {fingerprint}" in said
    # the key is known now; disks are erased on a yes alone
    said = operator.deploy("nerv-1", "--accept-host-key", fingerprint, code=1).stderr
    assert "nothing was erased (confirm with the node's name, or add --yes)" in said
    assert operator.anywhere() == []
    assert "Debian" in machine.read("/etc/os-release")

    # the connection goes while the disk is formatted
    failing = "fail Formatting hard drive with disko client_loop: send disconnect: Broken pipe"
    said = operator.deploy("nerv-1", "--yes", code=1, NERV_TEST_ANYWHERE=failing, NERV_TEST_CODE="255").stderr
    assert "Formatting hard drive with disko: `nixos-anywhere` ended with exit code 255" in said
    assert "cause: the connection was lost (the same command goes on where it stopped)" in said
    assert operator.anywhere() == ["kexec", "disko,install"]
    assert "installer" in machine.read("/etc/os-release")

    # K3s finds the wrong token first; the installation is not repeated for it
    unit(
        machine,
        "k3s",
        "activating/auto-restart",
        'level=error msg="token is not valid: https://127.0.0.1:6444/apis: 401 Unauthorized"\n',
    )
    machine.write(
        "/standin/units/k3s", "ActiveState=activating\nSubState=auto-restart\nResult=exit-code\nNRestarts=7\n"
    )
    unit(machine, "flux-bootstrap", "active/exited", "waiting for the API server\napplied 31 objects\n")
    said = operator.deploy("nerv-1", "--yes", code=1).stderr
    assert "kexec: done before" in said
    assert "nerv-1: Copying extra files" in said
    assert "192.168.1.10: K3s was started 8 times in vain" in said
    assert "cause: the server refuses the token (servers need k3s-token" in said
    assert operator.anywhere() == ["kexec", "disko,install", "disko,install", "reboot"]
    made = (operator.home.folder / "nixos" / "keys" / "nerv-1.pub").read_text().split()[:2]
    assert machine.host_key().split() == made
    assert stat.S_IMODE(machine.path("/etc/ssh/ssh_host_ed25519_key").stat().st_mode) == 0o600
    assert machine.shell("hostname") == "nerv-1\n"

    with k3s.cluster(machine, tmp_path / "cluster") as cluster:
        unit(machine, "k3s", "active/running")
        machine.write("/etc/rancher/k3s/k3s.yaml", cluster.kubeconfig)
        cluster.call(settled)
        said = operator.deploy("nerv-1", "--yes").stderr
        assert "install: done before" in said
        assert "flux: done in" in said
        there = machine.path(f"/var/lib/rancher/k3s/agent/images/{imaging.ARCHIVE}")
        assert there.read_bytes() == IMAGE
        assert f"k3s ctr images import -: {len(gzip.decompress(IMAGE))} bytes" in machine.read("/standin/orders")
        file = Path(operator.home.environment["XDG_CONFIG_HOME"]) / "nerv" / "home" / "kubeconfig"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        config = documents.load(file.read_text())
        assert config["current-context"] == "home"
        assert config["clusters"][0]["cluster"]["server"] == "https://192.168.1.10:6443"
        # once more: nothing is done twice, health is looked at again
        said = operator.deploy("nerv-1").stderr
        assert [line for line in said.splitlines() if "done before" not in line] == [
            "health: wait until the node, every Flux object and every pod is Ready",
        ]
    assert operator.anywhere() == ["kexec", "disko,install", "disko,install", "reboot"]
    assert set(operator.record["finished"]) >= {"trust", "kexec", "install", "reboot", "ssh", "join", "flux"}  # type: ignore[call-overload]
    everything = "".join(
        path.read_text(errors="replace")
        for path in (operator.home.folder / ".nerv" / "deploy").rglob("*")
        if path.is_file()
    )
    assert "PRIVATE KEY" not in everything
    assert TOKEN not in everything


def test_everything_that_speaks_against_it_is_said_at_once_and_nothing_is_changed(operator: Operator, net: Lan) -> None:
    machine = debian(net, meminfo="MemTotal:  1000000 kB\n")
    net.machine("printer", "192.168.1.112")
    fingerprint = HostKey.parse(machine.host_key()).fingerprint
    (operator.home.folder / "notes.txt").write_text("not committed")
    set_login(operator.home, "")
    said = operator.deploy(
        "nerv-1", "--accept-host-key", fingerprint, "--yes", code=1, NERV_TEST_SYSTEM="aarch64-linux"
    ).stderr
    for expected in (
        "nerv: repository: not committed: nixos/secrets/servers.sops.yaml, notes.txt (`git add -A && git commit`",
        "nerv: secrets: Flux's login to the repository lacks password (`nerv bootstrap github`",
        "warning: repository: the branch follows no remote branch",
        "nerv: here: Nix here builds for aarch64-linux, nerv-1 is x86_64-linux (--build-on remote)",
        "nerv: nerv-1: 1.0 GiB of RAM, the installer needs 1.5 GiB (give the machine more memory)",
        "nerv: nerv-1: addresses of MetalLB's pool are taken: 192.168.1.112 (choose another pool, or free them)",
        "nerv: 5 problems found; nothing was changed",
    ):
        assert expected in said
    assert operator.anywhere() == []


def test_a_build_that_fails_costs_nothing(operator: Operator, net: Lan) -> None:
    machine = debian(net)
    fingerprint = HostKey.parse(machine.host_key()).fingerprint
    said = operator.deploy("nerv-1", "--accept-host-key", fingerprint, "--yes", code=1, NERV_TEST_NIX="hash").stderr
    assert "cause: a download has another hash than the pinned one: /nix/store/x-source.drv" in said
    assert operator.anywhere() == []
    assert "everything that was said is in" in said
    log = operator.home.folder / ".nerv" / "deploy" / "nerv-1" / "log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_somebody_else_behind_the_new_system_is_an_error(operator: Operator, net: Lan) -> None:
    machine = debian(net)
    fingerprint = HostKey.parse(machine.host_key()).fingerprint
    # the installed system comes up with a key of its own, as if --extra-files had not been copied
    machine.write(
        "/usr/local/bin/reboot", "#!/bin/sh\nrm -f /mnt/etc/ssh/ssh_host_ed25519_key*\nexec kill -USR1 1\n", 0o755
    )
    said = operator.deploy("nerv-1", "--accept-host-key", fingerprint, "--yes", code=1).stderr
    assert "192.168.1.10 answers with the host key SHA256:" in said
    assert "--extra-files was not copied and NixOS made a key of its own" in said


def test_names_and_options_that_are_wrong(operator: Operator) -> None:
    assert "the definition has no node nerv-9 (it has nerv-1)" in operator.deploy("nerv-9", code=1).stderr
    assert "no node is named (`nerv deploy nerv-1`, or --all)" in operator.deploy(code=1).stderr
    assert (
        "knows no argument `--nope`" in operator.deploy("nerv-1", "--dry-run", "--nixos-anywhere=--nope", code=1).stderr
    )
    assert operator.deploy("nerv-1", "--dry-run").stdout.startswith("# nerv-1 (server) on root@192.168.1.10\n")
    assert not (operator.home.folder / ".nerv" / "deploy").exists()
