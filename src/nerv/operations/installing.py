"""The steps that put NixOS on a machine: trust, preflight, build, kexec, install, reboot."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nerv.deploy import anywhere, facts, openssh, preflight, ssh, trust, watchdog
from nerv.deploy.anywhere import Install
from nerv.deploy.facts import Facts
from nerv.deploy.preflight import Finding, PreflightError, Wanted
from nerv.deploy.ssh import LoginRefused, Unreachable
from nerv.deploy.steps import Step
from nerv.errors import NervError
from nerv.operations import host_keys, readiness
from nerv.operations.deployment import Deploy
from nerv.operations.folder import private_folder

_INSTALLED = ("trust", "build", "kexec", "install", "reboot")
_NIX = ("nix", "--extra-experimental-features", "nix-command flakes")


def steps(deploy: Deploy) -> tuple[Step, ...]:
    """In order."""
    return (
        _trust(deploy),
        _preflight(deploy),
        _build(deploy),
        _kexec(deploy),
        _install(deploy),
        _reboot(deploy),
    )


def _trust(deploy: Deploy) -> Step:
    target, folder = deploy.target, deploy.folder.state.name + f"/deploy/{deploy.node.name}"
    scan = f"ssh-keyscan {target.host}"
    if target.port != 22:
        # the installer keeps the key and listens on port 22
        both = f"{target.host},[{target.host}]:{target.port}"
        scan = f"ssh-keyscan -p {target.port} {target.host} | sed 's/^[^ #]*/{both}/'"
    wrapper = openssh.script("/usr/bin/ssh", Path("$PWD") / folder)
    return Step(
        "trust",
        f"know the host key of {target}; nixos-anywhere itself would take any",
        (
            f"mkdir -p -m 700 {folder}/bin",
            f"{scan} > {folder}/known_hosts",
            f"ssh-keygen -lf {folder}/known_hosts    # compare with the machine's own console",
            *(f"cat > {folder}/bin/ssh <<END", *wrapper.replace('"$@"', '"\\$@"').splitlines(), "END"),
            f"chmod 700 {folder}/bin/ssh",
        ),
        partial(_run_trust, deploy),
        partial(_is_trusted, deploy),
    )


async def _is_trusted(deploy: Deploy) -> bool:
    return bool(deploy.record.host_key)


async def _run_trust(deploy: Deploy) -> None:
    offered = await ssh.host_keys(deploy.target)
    if deploy.made_key in offered:
        # NERV made this key: the machine runs what NERV installed, and nothing has to be erased
        deploy.say(f"{deploy.node.name} runs what NERV installed; `--from build` installs it anew")
        key = deploy.made_key
        for name in _INSTALLED:
            deploy.record.finish(name)
    else:
        key = trust.choose(deploy.options.word, deploy.target.host, deploy.target.port, offered)
    deploy.record.target, deploy.record.host_key = str(deploy.target), key.line
    deploy.record.keep()


def _preflight(deploy: Deploy) -> Step:
    system = next(disk.device for disk in deploy.node.disks if disk.purpose == "system")
    return Step(
        "preflight",
        "everything that speaks against it, before anything is changed",
        (
            "nerv check && nerv render --check && git status --short    # all three must say nothing",
            f"{deploy.pasted_ssh} {deploy.target.login} 'uname -m; grep MemTotal /proc/meminfo; "
            f"ls -d /sys/firmware/efi; lsblk {system}; date; cat /proc/sys/kernel/kexec_load_disabled'",
        ),
        partial(_run_preflight, deploy),
        # looked at anew until there is nothing left to be spared
        partial(_is_installed, deploy),
    )


async def _is_installed(deploy: Deploy) -> bool:
    return "install" in deploy.record.finished


async def _run_preflight(deploy: Deploy) -> None:
    found = await readiness.local(deploy.folder, deploy.platform, deploy.node, deploy.options.build_on)
    if deploy.remote_checks:
        found += await deploy.remote_checks()
    wanted = _wanted(deploy)
    try:
        known = await _ask(deploy, wanted)
    except NervError as error:
        found.append(Finding(deploy.node.name, error.message, error.hint or "see above"))
    else:
        found += preflight.judge(wanted, known)
    for finding in found:
        if not finding.blocking:
            deploy.say(f"warning: {finding}")
    if any(finding.blocking for finding in found):
        raise PreflightError(found)
    deploy.confirm()


def _wanted(deploy: Deploy) -> Wanted:
    spec = deploy.platform.spec
    metallb, access = spec.components.metallb, deploy.options.access
    return Wanted(
        node=deploy.node,
        gateway=spec.network.gateway,
        api_address=spec.cluster_address,
        pool=metallb.pool if metallb and metallb.enabled else (),
        first=deploy.first,
        firmware=deploy.node.firmware,
        password_only=bool(access.password) and access.identity is None,
    )


async def _ask(deploy: Deploy, wanted: Wanted) -> Facts:
    async with deploy.old_system() as remote:
        return await facts.gather(remote, wanted.question())


def _build(deploy: Deploy) -> Step:
    attribute = f"{deploy.flake}#nixosConfigurations.{deploy.node.name}.config.system.build"
    command: tuple[str, ...]
    if deploy.options.build_on == "local":
        what = "build the system here, so that a mistake in it costs nothing"
        command = (*_NIX, "build", "--no-link", f"{attribute}.diskoScript", f"{attribute}.toplevel")
    else:
        what = "evaluate the system here; the machine builds it"
        command = (*_NIX, "eval", "--raw", f"{attribute}.toplevel.drvPath")

    async def run() -> None:
        await _run_program(deploy, command, watchdog.BEGIN)

    return Step("build", what, (shlex.join(command),), run)


def _kexec(deploy: Deploy) -> Step:
    return Step(
        "kexec",
        "start the NixOS installer from the machine's memory (its disks stay as they are)",
        (_pasted(deploy, _anywhere(deploy, ("kexec",))),),
        partial(_run_kexec, deploy),
        partial(_is_installer, deploy),
    )


async def _is_installer(deploy: Deploy) -> bool:
    """Asked of the machine itself each time: without the installer the next step would erase a running system."""
    if "install" in deploy.record.finished:
        return True
    try:
        async with deploy.installer() as remote:
            done = await remote.run(". /etc/os-release && echo ${ID:-}:${VARIANT_ID:-}", check=False)
    except (LoginRefused, Unreachable):
        if deploy.installer_target != deploy.target:
            return False
        raise
    return done.stdout.strip() == "nixos:installer"


async def _run_kexec(deploy: Deploy) -> None:
    deploy.confirm()
    await _run_anywhere(deploy, _anywhere(deploy, ("kexec",)))


def _install(deploy: Deploy) -> Step:
    key = host_keys.file_of(deploy.platform.name, deploy.node.name)
    install = _anywhere(deploy, ("disko", "install"), Path("$extra"))
    return Step(
        "install",
        "partition the disks and install NixOS, with the host key that secrets are encrypted to",
        (
            "extra=$(mktemp -d)",
            f"install -D -m 600 {key} $extra/etc/ssh/ssh_host_ed25519_key",
            f"install -m 644 nixos/keys/{deploy.node.name}.pub $extra/etc/ssh/ssh_host_ed25519_key.pub",
            _pasted(deploy, install).replace("'$extra'", "$extra"),
            "rm -rf $extra",
        ),
        partial(_run_install, deploy),
    )


async def _run_install(deploy: Deploy) -> None:
    if not await _is_installer(deploy):
        raise NervError(
            f"{deploy.target} does not run the installer, so nothing was erased", "`nerv deploy NODE --from kexec`"
        )
    deploy.confirm()
    with deploy.host_files(deploy.platform.name, deploy.node.name) as extra:
        await _run_anywhere(deploy, _anywhere(deploy, ("disko", "install"), extra))


def _reboot(deploy: Deploy) -> Step:
    async def run() -> None:
        await _run_anywhere(deploy, _anywhere(deploy, ("reboot",)))

    return Step("reboot", "start the installed system", (_pasted(deploy, _anywhere(deploy, ("reboot",))),), run)


def _anywhere(deploy: Deploy, phases: tuple[str, ...], extra: Path | None = None) -> Install:
    return Install(
        flake=deploy.flake,
        node=deploy.node.name,
        # without kexec nixos-anywhere goes to root@ at once, and the installer listens on port 22
        target=deploy.target if "kexec" in phases else deploy.installer_target,
        phases=phases,
        build_on=deploy.options.build_on,
        extra_files=extra,
        identity=deploy.options.access.identity,
        password=bool(deploy.options.access.password),
        more=deploy.options.more,
    )


def _pasted(deploy: Deploy, install: Install) -> str:
    folder = f"$PWD/{deploy.folder.state.name}/deploy/{deploy.node.name}"
    return f"PATH={folder}/bin:$PATH {shlex.join([*anywhere.pinned(), *anywhere.arguments(install)])}"


async def _run_anywhere(deploy: Deploy, install: Install) -> None:
    private_folder(deploy.work)
    openssh.install(deploy.work, (deploy.target, deploy.installer_target), [deploy.old_key])
    environment = dict(openssh.environment(deploy.work))
    if deploy.options.access.password:
        environment["SSHPASS"] = deploy.options.access.password
    await _watched(deploy, [*anywhere.program(), *anywhere.arguments(install)], environment)


async def _run_program(deploy: Deploy, command: Sequence[str], phase: watchdog.Phase) -> None:
    await _watched(deploy, list(command), {})


async def _watched(deploy: Deploy, command: list[str], environment: dict[str, str]) -> None:
    private_folder(deploy.work)
    deploy.log.touch(mode=0o600)
    with deploy.log.open("a", encoding="utf-8") as stream:
        await watchdog.run(
            command,
            cwd=deploy.folder.root,
            env=environment,
            say=lambda phase: deploy.say(f"{deploy.node.name}: {phase}"),
            log=lambda line: print(line, file=stream, flush=True),
            patience=deploy.options.patience,
        )
