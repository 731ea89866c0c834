"""A later deploy of one node: prepared beside the running system, drained, switched, proved, or rolled back.

What can fail without touching the machine comes first. From `switch` on a failure takes the machine back to the system
that it had: over SSH where it answers, by the timer armed on the machine where it does not (deploy/rollback.py).
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from nerv.components.catalog import Platform
from nerv.deploy import drain, openssh, quorum, rebuild, rollback, watchdog
from nerv.deploy.rollback import WentBack
from nerv.deploy.ssh import Access, Remote, SshError, Target
from nerv.deploy.steps import Record, Step, perform
from nerv.deploy.trust import HostKey
from nerv.deploy.upgrade import Member, check_order
from nerv.deploy.waiting import K3S_UNIT, Patience, unit_state
from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.kube.resources import NODES
from nerv.operations import imaging, machine_health
from nerv.operations.folder import PlatformFolder, private_folder
from nerv.operations.kubeconfigs import kubeconfig_file, require
from nerv.operations.session import connect
from nerv.operations.target import Target as ClusterTarget
from nerv.platform.models import Node

ROLLBACK_SECONDS = 300.0
_TOUCHED = ("switch", "confirm", "uncordon", "gate")


@dataclass(frozen=True)
class UpdateOptions:
    """What the command line says."""

    access: Access = field(default_factory=Access)
    build_on: str = "local"
    patience: float = 1.0
    waits: Patience = field(default_factory=Patience)
    drain_seconds: float = 900.0
    rollback_seconds: float = ROLLBACK_SECONDS
    reboot: bool = False
    """start the machine anew with the new system instead of switching while it runs"""
    force: bool = False


@dataclass
class Update:
    """One node's update."""

    folder: PlatformFolder
    platform: Platform
    node: Node
    key: HostKey
    options: UpdateOptions
    say: Callable[[str], None]
    before: str = ""
    """store path of the system that it had"""
    boot: str = ""
    """which start of the machine that was"""
    restarting: bool = False
    """whether the machine was told to start anew"""

    @property
    def target(self) -> Target:
        return Target(str(self.node.address))

    @property
    def alone(self) -> bool:
        """The only node: its pods have nowhere to go, and they go on while K3s starts anew."""
        return len(self.platform.spec.nodes) == 1

    @property
    def work(self) -> Path:
        return self.folder.state / "deploy" / self.node.name

    @property
    def cluster(self) -> ClusterTarget:
        return require(self.platform.name)

    @property
    def flake(self) -> str:
        return f"git+file://{self.folder.root}?dir=nixos"

    @property
    def waits(self) -> Patience:
        return self.options.waits.stretched(self.options.patience)

    def remote(self) -> Remote:
        return Remote(self.target, [self.key], self.options.access)


async def members(client: Client) -> list[Member]:
    """The nodes of the cluster. Raises ApiError."""
    return [Member.from_object(node) for node in (await client.list(NODES)).items]


async def check_versions(platform: Platform, names: Sequence[str]) -> None:
    """Whether these nodes may go to the definition's Kubernetes, in this order. Raises NervError."""
    async with connect(require(platform.name)) as client:
        check_order(await members(client), names, platform.spec.kubernetes.version)


def steps(update: Update) -> tuple[Step, ...]:
    """Everything, in order."""
    login, name = update.target.login, update.node.name
    ssh = f"{update.folder.state.name}/deploy/{name}/bin/ssh {login}"
    kubectl = f"kubectl --kubeconfig {kubeconfig(update)}"
    action = "boot" if update.options.reboot else "switch"
    found = [
        Step(
            "check",
            "the cluster is healthy and can do without this node for a while",
            (f"nerv status --kubeconfig {kubeconfig(update)}", f"{ssh} readlink -f /run/current-system"),
            partial(_check, update),
        ),
        Step(
            "prepare",
            "evaluate here, build, copy the new system beside the old one, and say which units would change",
            (_pasted(update, "dry-activate"),),
            partial(_rebuild, update, "dry-activate", rebuild.PREPARING),
        ),
        *imaging.steps(imaging.Machine(update.folder, update.platform, update.node, ssh, update.remote)),
    ]
    if not update.alone:
        found += [
            Step("cordon", "no new pods for it", (f"{kubectl} cordon {name}",), partial(_cordon, update, True)),
            Step(
                "drain",
                "its pods move, as PodDisruptionBudgets allow; emptyDir data goes with them",
                (f"{kubectl} drain {name} --ignore-daemonsets --delete-emptydir-data",),
                partial(_drain, update),
            ),
        ]
    if not update.options.reboot:
        arming = rollback.arming("$old", update.options.rollback_seconds)
        found.append(
            Step(
                "arm",
                f"a timer on the machine takes it back after {update.options.rollback_seconds:.0f} s unless disarmed",
                (f"old=$({ssh} readlink -f /run/current-system)", f'{ssh} "{arming}"'),
                partial(_arm, update),
            )
        )
    found += [
        Step(
            "switch",
            "start the machine anew with the new system" if update.options.reboot else "switch to the new system",
            (_pasted(update, action), *((f"{ssh} systemctl reboot",) if update.options.reboot else ())),
            partial(_switch, update, action),
        ),
        Step(
            "confirm",
            "log in anew, see K3s run, and disarm the timer",
            (f"{ssh} '{rollback.DISARMING}; systemctl is-active k3s'",),
            partial(_confirm, update),
        ),
    ]
    if not update.alone:
        # before the gate: a pod that fits nowhere else stays Pending for as long as the node is cordoned
        found.append(
            Step(
                "uncordon",
                "the node is Ready: pods may come again",
                (
                    f"{kubectl} wait --for=condition=Ready node/{name} --timeout={update.waits.join:.0f}s",
                    f"{kubectl} uncordon {name}",
                ),
                partial(_open_again, update),
            )
        )
    gate = Step(
        "gate",
        "the node, its pods and Flux are Ready",
        (f"nerv status --kubeconfig {kubeconfig(update)}",),
        partial(_gate, update),
    )
    return (*found, gate)


def kubeconfig(update: Update) -> Path:
    """The kubeconfig's path, whether it is there or not."""
    return kubeconfig_file(update.platform.name)


async def run(update: Update) -> None:
    """Update the node. Raises NervError with what became of it."""
    reached: list[str] = []
    record = Record(lambda text: None)
    for step in steps(update):
        reached.append(step.name)
        try:
            await perform([step], record, lambda line: update.say(f"{update.node.name}: {line}"))
        except NervError as error:
            raise await _recover(update, reached, error) from error


async def _recover(update: Update, reached: Sequence[str], error: NervError) -> NervError:
    """Take the node back to what it was, as far as it came. The error to tell."""
    name = update.node.name
    if not any(step in reached for step in _TOUCHED):
        if "cordon" in reached:
            await _uncordon_again(update)
        return NervError(f"{name}: {error.message}; the machine is as it was", error.hint)
    update.say(f"{name}: {error.message}")
    update.say(f"{name}: going back to the system before")
    how = await _go_back(update, isinstance(error, WentBack))
    if how:
        ready = await _ready_again(update)
        if ready and not update.alone:
            await _uncordon_again(update)
        state = "and Ready again" if ready else "but not Ready: see `nerv status`"
        return NervError(f"{name}: {error.message}; it went back to the system before ({how}) {state}", error.hint)
    return NervError(
        f"{name}: {error.message}; it does not answer, whether it went back is not known",
        f"its console: boot the previous generation from the boot menu; it stays cordoned (`kubectl uncordon {name}`)",
    )


async def _go_back(update: Update, waited: bool) -> str:
    """How the machine came back: over SSH, by its own timer, or empty where it did not."""
    if update.options.reboot:
        return await _start_back(update)
    deadline = time.monotonic() + update.options.rollback_seconds + 60
    while time.monotonic() < deadline:
        try:
            async with update.remote() as remote:
                if waited and await rollback.current(remote) == update.before:
                    return "by its own timer"
                await rollback.back(remote, update.before)
                await remote.run(f"systemctl stop {rollback.UNIT}.timer", check=False)
                return "over SSH"
        except SshError as error:
            update.say(f"{update.node.name}: waiting for it: {error.message}")
            waited = True
        await asyncio.sleep(update.waits.between)
    return ""


async def _start_back(update: Update) -> str:
    """Start the machine anew with the system before. It is back when that runs in a start that nothing is about to end:
    until then its Node may still be called Ready from before.
    """
    ending = {update.boot} if update.restarting else set()
    deadline = time.monotonic() + update.waits.boot
    asked = ""
    while time.monotonic() < deadline:
        last = "it has not started anew yet"
        try:
            async with update.remote() as remote:
                boot, runs = await _boot(remote), await rollback.current(remote)
                if boot != asked:
                    await rollback.back(remote, update.before, "boot")
                    if runs == update.before and boot not in ending:
                        return "over SSH"
                    asked = boot
                    ending.add(boot)
                    await _reboot(remote)
        except SshError as error:
            last = error.message
        update.say(f"{update.node.name}: waiting for it: {last}")
        await asyncio.sleep(update.waits.between)
    return ""


async def _reboot(remote: Remote) -> None:
    """The answer comes before the connection goes."""
    await remote.run("nohup sh -c 'sleep 1; systemctl reboot' >/dev/null 2>&1 &", check=False)


async def _ready_again(update: Update) -> bool:
    try:
        await machine_health.node_ready(update.cluster, update.node.name, update.waits, update.say)
    except NervError as error:
        update.say(f"{update.node.name}: {error.message}")
        return False
    return True


async def _uncordon_again(update: Update) -> None:
    try:
        await _cordon(update, False)
    except NervError as error:
        update.say(f"{update.node.name} stays cordoned: {error.message}")


async def _check(update: Update) -> None:
    async with connect(update.cluster) as client:
        found = await members(client)
        servers = {member.name: member.ready for member in found if member.server}
        note = quorum.check_absence(servers, update.node.name)
    if note:
        update.say(f"{update.node.name}: {note}")
    if not update.options.force:
        # an update of an unhealthy cluster could not be told from one that breaks it
        waits = update.waits
        once = Patience(health=0.0, between=waits.between)
        await machine_health.wait(update.cluster, [update.node.name], once, lambda line: None)
    async with update.remote() as remote:
        update.before, update.boot = await rollback.current(remote), await _boot(remote)


async def _boot(remote: Remote) -> str:
    """Tells one start of a machine from the next."""
    return (await remote.run("cat /proc/sys/kernel/random/boot_id")).stdout.strip()


async def _rebuild(update: Update, action: str, phase: watchdog.Phase) -> None:
    private_folder(update.work)
    openssh.install(update.work, [update.target], [update.key])
    identity, log = update.options.access.identity, update.work / "log"
    log.touch(mode=0o600)
    command = [
        *rebuild.program(),
        *rebuild.arguments(action, update.flake, update.node.name, update.target, update.options.build_on),
    ]
    with log.open("a", encoding="utf-8") as stream:

        def note(line: str) -> None:
            print(line, file=stream, flush=True)
            if line.startswith("would "):
                update.say(f"{update.node.name}: {line}")

        await watchdog.run(
            command,
            cwd=update.folder.root,
            env=rebuild.environment(update.work, identity),
            say=update.say,
            log=note,
            patience=update.options.patience,
            begin=phase,
        )


async def _cordon(update: Update, unschedulable: bool) -> None:
    async with connect(update.cluster) as client:
        await drain.cordon(client, update.node.name, unschedulable=unschedulable)


async def _drain(update: Update) -> None:
    async with connect(update.cluster) as client:
        await drain.drain(
            client,
            update.node.name,
            update.say,
            limit=update.options.drain_seconds * update.options.patience,
            between=update.waits.between,
            force=update.options.force,
        )


async def _arm(update: Update) -> None:
    async with update.remote() as remote:
        await rollback.arm(remote, update.before, update.options.rollback_seconds)


async def _switch(update: Update, action: str) -> None:
    await _rebuild(update, action, rebuild.SWITCHING)
    if update.options.reboot:
        update.restarting = True
        async with update.remote() as remote:
            await _reboot(remote)


async def _confirm(update: Update) -> None:
    """A new connection proves that the network is there; only then the timer is disarmed."""
    limit = update.waits.boot if update.options.reboot else update.options.rollback_seconds / 2
    deadline = time.monotonic() + limit
    while True:
        try:
            async with update.remote() as remote:
                state = await unit_state(remote, K3S_UNIT)
                started = not update.options.reboot or await _boot(remote) != update.boot
                if state.get("ActiveState") == "active" and started:
                    if not update.options.reboot:
                        await rollback.disarm(remote)
                    return
                last = f"K3s is {state.get('SubState') or 'not there'}" if started else "it has not started anew yet"
        except SshError as error:
            last = error.message
        if time.monotonic() > deadline:
            raise NervError(f"the new system is not confirmed within {limit:.0f} s: {last}")
        await asyncio.sleep(update.waits.between)


async def _open_again(update: Update) -> None:
    await machine_health.node_ready(update.cluster, update.node.name, update.waits, update.say)
    await _cordon(update, False)


async def _gate(update: Update) -> None:
    names = [node.name for node in update.platform.spec.nodes if node == update.node]
    await machine_health.wait(update.cluster, names, update.waits, update.say)


def _pasted(update: Update, action: str) -> str:
    command = [
        *rebuild.pinned(),
        *rebuild.arguments(action, update.flake, update.node.name, update.target, update.options.build_on),
    ]
    folder = f"$PWD/{update.folder.state.name}/deploy/{update.node.name}"
    return f"PATH={folder}/bin:$PATH {shlex.join(command)}"
