"""Nodes that come, go and begin anew: definition, cluster, etcd and machine, in an order that loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.deploy import drain, etcd, quorum, waiting, wiping
from nerv.deploy.ssh import Access, Remote, Target, Unreachable
from nerv.deploy.steps import Record, Step, perform
from nerv.deploy.upgrade import Member
from nerv.deploy.waiting import Patience
from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.kube.errors import ApiError, NotFound
from nerv.kube.resources import NODES, SECRETS
from nerv.operations import rendering
from nerv.operations.deployment import made_key
from nerv.operations.folder import PlatformFolder
from nerv.operations.kubeconfigs import kubeconfig_file, require
from nerv.operations.session import connect
from nerv.operations.updating import members
from nerv.platform import node_edits
from nerv.platform.models import Node

_STOP_SECONDS = 120.0  # systemd itself waits 90 s before it kills


@dataclass(frozen=True)
class NodeOptions:
    """What the command line says."""

    access: Access = field(default_factory=Access)
    waits: Patience = field(default_factory=Patience)
    drain_seconds: float = 900.0
    force: bool = False
    lost: bool = False
    """the machine is gone for good: it is neither drained nor logged in to"""


async def add(folder: PlatformFolder, entry: Mapping[str, Any]) -> list[str]:
    """Put a node into the definition and render; what was written. Raises NervError, ProblemsError; then nothing is."""
    text = folder.definition.read_bytes().decode()
    return await rendering.redefine(folder, node_edits.add_node(text, entry))


async def forget(folder: PlatformFolder, names: Sequence[str]) -> list[str]:
    """Take nodes out of the definition and render; what was written."""
    text = folder.definition.read_bytes().decode()
    for name in names:
        text = node_edits.remove_node(text, name)
    return await rendering.redefine(folder, text)


def check_definition_without(folder: PlatformFolder, names: Sequence[str]) -> None:
    """Raises NervError, ProblemsError where the definition cannot be without these nodes."""
    text = folder.definition.read_text(encoding="utf-8")
    for name in names:
        text = node_edits.remove_node(text, name)
    definition.parse(text.encode(), folder.definition.name)


def removal(
    folder: PlatformFolder, platform: Platform, node: Node, options: NodeOptions, say: Callable[[str], None]
) -> tuple[Step, ...]:
    """The steps that take a node out of the cluster, and end K3s on its machine; what is stored there stays."""
    kubectl, name = f"kubectl --kubeconfig {kubeconfig_file(platform.name)}", node.name
    before, after = [], []
    if not options.lost:
        before += [
            Step("cordon", "no new pods for it", (f"{kubectl} cordon {name}",), partial(_cordon, platform, name)),
            Step(
                "drain",
                "its pods move, as PodDisruptionBudgets allow; emptyDir data goes with them",
                (f"{kubectl} drain {name} --ignore-daemonsets --delete-emptydir-data",),
                partial(_drain, platform, name, options, say),
            ),
            Step(
                "hold",
                "K3s ends with its membership of etcd; started again, it would join as a new member",
                (f"ssh root@{node.address} '{wiping.HOLD}'",),
                partial(_order, folder, platform, node, options, wiping.HOLD),
            ),
        ]
        after += [
            Step(
                "stop",
                "K3s stops, so that it does not come back",
                (f"ssh root@{node.address} {wiping.STOP}",),
                partial(_order, folder, platform, node, options, wiping.STOP),
            )
        ]
    return (
        *before,
        Step(
            "etcd",
            "a server leaves etcd first, so that its majority is counted without it",
            (f"{kubectl} annotate node {name} {etcd.LEAVE}=true    # servers only; wait for {etcd.LEFT}",),
            partial(_leave_etcd, platform, name, options),
        ),
        *after,
        Step(
            "delete",
            "the cluster forgets it, and the password that its name was bound to",
            (
                f"{kubectl} delete node {name}",
                f"{kubectl} -n kube-system delete secret {name}.node-password.k3s --ignore-not-found",
            ),
            partial(_delete, platform, name),
        ),
    )


def resetting(
    folder: PlatformFolder, platform: Platform, node: Node, options: NodeOptions, say: Callable[[str], None]
) -> tuple[Step, ...]:
    """The steps that let a node begin anew: out of the cluster, wiped, joined again."""
    login = f"root@{node.address}"

    async def wipe() -> None:
        async with _machine(folder, platform, node, options) as machine:
            await wiping.wipe(machine)

    async def join() -> None:
        async with _machine(folder, platform, node, options) as machine:
            await machine.run(wiping.START)
            await waiting.joined(machine, partial(registered, platform, node.name), options.waits, say)

    return (
        *removal(folder, platform, node, options, say),
        Step(
            "wipe",
            "K3s' state there goes (Longhorn's data stays), once no volume is mounted in it",
            (f"ssh {login} sh -s <<'END'", *wiping.script().splitlines(), "END"),
            wipe,
        ),
        Step("join", "K3s starts and joins", (f"ssh {login} '{wiping.START}'",), join),
    )


async def check_leaving(platform: Platform, names: Sequence[str]) -> None:
    """Whether etcd can do without these nodes. Raises NervError."""
    async with connect(require(platform.name)) as client:
        servers = {member.name: member.ready for member in await members(client) if member.server}
    quorum.check_removal(servers, names)


def check_reset(platform: Platform, node: Node) -> None:
    """Raises NervError for the server that starts the cluster: wiped, it would start another one."""
    if node == platform.spec.servers[0]:
        raise NervError(
            f"{node.name} starts the cluster: wiped, it would start another one instead of joining",
            "make another server the first of spec.nodes, render, commit, `nerv deploy --update --all`, then reset it",
        )


async def perform_all(steps: Sequence[Step], say: Callable[[str], None]) -> None:
    """Run the steps; each can run again, so nothing is remembered."""
    await perform(steps, Record(lambda text: None), say)


async def _cordon(platform: Platform, name: str) -> None:
    async with connect(require(platform.name)) as client:
        if await _member(client, name):
            await drain.cordon(client, name)


async def _drain(platform: Platform, name: str, options: NodeOptions, say: Callable[[str], None]) -> None:
    async with connect(require(platform.name)) as client:
        if await _member(client, name):
            await drain.drain(
                client, name, say, limit=options.drain_seconds, between=options.waits.between, force=options.force
            )


def _machine(folder: PlatformFolder, platform: Platform, node: Node, options: NodeOptions) -> Remote:
    return Remote(Target(str(node.address)), [made_key(folder, platform, node.name)], options.access)


async def _order(folder: PlatformFolder, platform: Platform, node: Node, options: NodeOptions, command: str) -> None:
    """Run a command on the node's machine; a node that the cluster no longer has was seen to before."""
    async with connect(require(platform.name)) as client:
        if not await _member(client, node.name):
            return
    try:
        async with _machine(folder, platform, node, options) as machine:
            await machine.run(command, timeout=_STOP_SECONDS)
    except Unreachable as error:
        hint = "switch it on; a machine that is gone for good: `nerv node remove --lost`"
        raise NervError(error.message, hint) from None


async def _leave_etcd(platform: Platform, name: str, options: NodeOptions) -> None:
    async with connect(require(platform.name)) as client:
        found = await _member(client, name)
        if found is None or not found.server:
            return
        await etcd.leave(client, name, limit=options.waits.join, between=options.waits.between)


async def _delete(platform: Platform, name: str) -> None:
    async with connect(require(platform.name)) as client:
        for resource, found, namespace in (
            (NODES, name, None),
            (SECRETS, f"{name}.node-password.k3s", "kube-system"),
        ):
            try:
                await client.delete(resource, found, namespace)
            except NotFound:
                continue


async def registered(platform: Platform, name: str) -> bool:
    """Whether the cluster knows the node and it is Ready; not while its API server does not answer."""
    async with connect(require(platform.name)) as client:
        try:
            found = await _member(client, name)
        except ApiError:
            return False
    return found is not None and found.ready


async def _member(client: Client, name: str) -> Member | None:
    try:
        return Member.from_object(await client.get(NODES, name))
    except NotFound:
        return None
