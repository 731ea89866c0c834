"""The steps after the installation: the new system answers, K3s joins, the console's image comes, Flux is bootstrapped,
everything is healthy."""

from __future__ import annotations

from functools import partial

from nerv.deploy import waiting
from nerv.deploy.steps import Step
from nerv.deploy.trust import HostKey
from nerv.operations import imaging, machine_health, nodes
from nerv.operations.deployment import Deploy
from nerv.operations.kubeconfigs import fetch, kubeconfig_file, require
from nerv.rendering.nixos.bootstrap import UNIT


def arrival(deploy: Deploy) -> tuple[Step, ...]:
    """Until the node is part of the cluster; only servers have a kubeconfig."""
    ssh = f"{deploy.pasted_ssh} {deploy.new_target.login}"
    machine = imaging.Machine(deploy.folder, deploy.platform, deploy.node, ssh, deploy.new_system)
    found = [_ssh(deploy), _join(deploy), *imaging.steps(machine)]
    if deploy.node.role == "server":
        found.append(_kubeconfig(deploy))
    return tuple(found)


def completion(deploy: Deploy) -> tuple[Step, ...]:
    """What may need other nodes than this one; only the first server bootstraps Flux."""
    return (_flux(deploy), _health(deploy)) if deploy.first else (_health(deploy),)


def _ssh(deploy: Deploy) -> Step:
    login = deploy.new_target.login
    return Step(
        "ssh",
        "wait for the new system, which proves the host key that NERV made",
        (
            f"echo \"{deploy.node.address} $(cut -d' ' -f1,2 nixos/keys/{deploy.node.name}.pub)\" "
            f"> {deploy.folder.state.name}/deploy/{deploy.node.name}/known_hosts",
            f"until {deploy.pasted_ssh} {login} true; do sleep 5; done",
        ),
        partial(_run_ssh, deploy),
    )


async def _run_ssh(deploy: Deploy) -> None:
    before = HostKey.parse(deploy.record.host_key) if deploy.record.host_key else None
    await waiting.new_system(
        deploy.new_target, deploy.made_key, before, deploy.options.access, deploy.waits, deploy.say
    )


def _join(deploy: Deploy) -> Step:
    what = (
        "K3s starts the cluster" if deploy.first else f"K3s joins the cluster at {deploy.platform.spec.cluster_address}"
    )
    return Step(
        "join",
        what,
        (
            f"{deploy.pasted_ssh} {deploy.new_target.login} "
            "'systemctl is-active k3s || journalctl -u k3s -n 50 --no-pager'",
        ),
        partial(_run_join, deploy),
    )


async def _run_join(deploy: Deploy) -> None:
    # the unit of an agent is `active` as soon as K3s is started, joined or not; the first server has nobody to ask
    registered = None if deploy.first else partial(nodes.registered, deploy.platform, deploy.node.name)
    async with deploy.new_system() as remote:
        await waiting.joined(remote, registered, deploy.waits, deploy.say)


def _kubeconfig(deploy: Deploy) -> Step:
    file = kubeconfig_file(deploy.platform.name)
    return Step(
        "kubeconfig",
        f"fetch the cluster's kubeconfig to {file} (0600)",
        (
            f"{deploy.pasted_ssh} {deploy.new_target.login} cat /etc/rancher/k3s/k3s.yaml "
            f"| sed 's/127.0.0.1/{deploy.platform.spec.cluster_address}/; "
            f"s/: default$/: {deploy.platform.name}/' > {file}",
            f"chmod 600 {file}",
        ),
        partial(_run_kubeconfig, deploy),
    )


async def _run_kubeconfig(deploy: Deploy) -> None:
    async with deploy.new_system() as remote:
        await fetch(remote, deploy.platform)


def _flux(deploy: Deploy) -> Step:
    return Step(
        "flux",
        "the machine installs Flux, which reconciles the repository from then on",
        (f"{deploy.pasted_ssh} {deploy.new_target.login} journalctl -fu {UNIT}",),
        partial(_run_flux, deploy),
    )


async def _run_flux(deploy: Deploy) -> None:
    async with deploy.new_system() as remote:
        await waiting.finished(remote, UNIT, deploy.waits, deploy.say, deploy.waits.flux)


def _health(deploy: Deploy) -> Step:
    file = kubeconfig_file(deploy.platform.name)
    return Step(
        "health",
        "wait until the node, every Flux object and every pod is Ready",
        (f"nerv status --kubeconfig {file}",),
        partial(_run_health, deploy),
        always=True,
    )


async def _run_health(deploy: Deploy) -> None:
    cluster = require(deploy.platform.name)
    await machine_health.wait(cluster, [deploy.node.name], deploy.waits, deploy.say)
