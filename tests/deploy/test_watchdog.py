"""nixos-anywhere under the watchdog: what is told of its output, each loop ended, causes named; and its arguments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.machines import PROGRAMS, Lan, Machine, needs_machines

from nerv.deploy import anywhere, causes, openssh, watchdog
from nerv.deploy.anywhere import Install
from nerv.deploy.ssh import Target
from nerv.deploy.trust import HostKey
from nerv.deploy.watchdog import InstallationError
from nerv.errors import NervError

TARGET = Target("192.168.1.10")
SHORT = {"Uploading install SSH keys": 0.5}


@pytest.fixture
def machine(net: Lan) -> Machine:
    machine = net.machines["nerv-1"]
    machine.write("/etc/os-release", "ID=debian\n")
    return machine


class Run:
    """A run of the stand-in, which reaches the machine through the ssh that pins its key."""

    def __init__(self, net: Lan, folder: Path, key: str) -> None:
        self.net, self.folder = net, folder
        self.said: list[str] = []
        self.log: list[str] = []
        openssh.install(folder, [TARGET], [HostKey.parse(key)])

    def __call__(self, phases: str = "kexec", limits: dict[str, float] | None = None, **env: str) -> None:
        install = Install("git+file:///x?dir=nixos", "nerv-1", TARGET, tuple(phases.split(",")), "local")
        arguments = [*anywhere.arguments(install), "-i", str(self.net.identity)]
        environment = {**os.environ, **openssh.environment(self.folder), "NERV_TEST_FOLDER": str(self.folder), **env}
        program = str(PROGRAMS / "operator" / "nixos-anywhere")

        async def scenario() -> None:
            await watchdog.run(
                [program, *arguments],
                cwd=self.folder,
                env=environment,
                say=self.said.append,
                log=self.log.append,
                limits=limits,
            )

        self.net.run(scenario)


@pytest.fixture
def run(net: Lan, machine: Machine, tmp_path: Path) -> Run:
    return Run(net, tmp_path, machine.host_key())


def failure(run: Run, *arguments: object, **options: object) -> InstallationError:
    with pytest.raises(InstallationError) as caught:
        run(*arguments, **options)  # type: ignore[arg-type]
    return caught.value


@needs_machines
def test_every_phase_is_told_and_the_machine_runs_the_installer(run: Run, machine: Machine, tmp_path: Path) -> None:
    before = machine.host_key()
    run("kexec,disko,install")
    assert run.said == [
        "Uploading install SSH keys",
        "Gathering machine facts",
        "Switching system into kexec",
        "waiting for the installer",
        "Gathering machine facts",
        "Formatting hard drive with disko",
        "Uploading the system closure",
        "Installing NixOS",
        "Done!",
    ]
    assert "VARIANT_ID=installer" in machine.read("/etc/os-release")
    assert "PRETTY_NAME" in machine.read("/mnt/etc/os-release")
    assert machine.host_key() == before
    machine.shell("rm -rf /mnt/etc")


@needs_machines
@pytest.mark.parametrize(
    ("phases", "stalled", "title", "words"),
    [
        ("kexec", "stall Switching system into kexec", "Switching system into kexec", "about 400 MB from github.com"),
        ("kexec", "stall after kexec", "waiting for the installer", "the installer does not come up: its console"),
        (
            "disko",
            "stall Formatting hard drive with disko",
            "Formatting hard drive with disko",
            "the disk does not answer",
        ),
        (
            "reboot",
            "stall Waiting for the machine to become unreachable due to reboot",
            "Waiting for the machine to become unreachable due to reboot",
            "the machine does not go down",
        ),
    ],
)
def test_a_phase_that_stands_still_is_ended_with_what_it_waits_for(
    run: Run, phases: str, stalled: str, title: str, words: str
) -> None:
    limits = {title: 0.4}
    error = failure(run, phases, limits=limits, NERV_TEST_ANYWHERE=stalled)
    assert error.phase.title == title
    assert words in error.message
    # its whole process group is gone: nobody goes on loading the machine
    assert not _running(run.folder)


def _running(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"NERV_TEST_FOLDER={folder}\0".encode() in entry.read_bytes():
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


@needs_machines
def test_a_machine_that_takes_no_key_does_not_loop_forever(run: Run, machine: Machine) -> None:
    keys = machine.read("/root/.ssh/authorized_keys")
    machine.write("/root/.ssh/authorized_keys", "")
    try:
        error = failure(run, limits=SHORT)
    finally:
        machine.write("/root/.ssh/authorized_keys", keys)
    assert error.phase.title == "Uploading install SSH keys"
    assert error.diagnoses[0].message == "the machine takes no key of yours"
    assert any("Permission denied (publickey" in line for line in error.tail)


@needs_machines
def test_another_host_key_in_between_is_noticed_although_nixos_anywhere_takes_any(run: Run, machine: Machine) -> None:
    machine.new_host_key()
    error = failure(run, limits=SHORT)
    assert error.diagnoses[0].message == "the machine proves another host key than before"
    assert not machine.log().rpartition("Server listening")[2].count("Accepted")


@needs_machines
def test_a_failure_is_told_with_its_phase_its_cause_and_the_last_lines(run: Run) -> None:
    said = "kexec_file_load failed: Operation not permitted"
    error = failure(run, NERV_TEST_ANYWHERE=f"fail Switching system into kexec {said}")
    assert error.phase.title == "Switching system into kexec"
    assert error.tail[-1] == said
    assert error.lines()[-2:] == [
        "Switching system into kexec: `nixos-anywhere` ended with exit code 1",
        "cause: its kernel refuses kexec: Secure Boot or lockdown "
        "(turn Secure Boot off in the machine's setup, or boot the NixOS installer from a stick)",
    ]


@pytest.mark.parametrize(
    ("said", "message", "remedy"),
    [
        (
            "error: a 'aarch64-linux' with features {} is required to build '/nix/store/x.drv', "
            "but I am a 'x86_64-linux' with features {benchmark, big-parallel}",
            "this machine (x86_64-linux) cannot build for aarch64-linux",
            "--build-on remote",
        ),
        (
            "error: hash mismatch in fixed-output derivation '/nix/store/x-source.drv':\n  specified: sha256-A",
            "a download has another hash than the pinned one: /nix/store/x-source.drv",
            "nix flake update",
        ),
        (
            "error: flake 'git+file:///x' does not provide attribute 'packages.x86_64-linux.nixosConfigurations.\"n\"'",
            "the flake has no such node",
            "nerv render",
        ),
        (
            "error: Path 'nixos/hosts/n.nix' in the repository \"/x\" is not tracked by Git.",
            "the flake refers to a file that is not committed",
            "git add",
        ),
        ("error: experimental Nix feature 'flakes' is disabled", "Nix has flakes switched off", "nix.conf"),
        ("Can't kexec: CPUs are stuck in the kernel.", "this hardware (or its hypervisor) cannot kexec", "a stick"),
        ("wget: unable to resolve host address ‘github.com’", "names do not resolve there: github.com", "resolv.conf"),
        ("mke2fs: /dev/sda2 contains a mounted filesystem", "the disk is in use /dev/sda2", "umount"),
        ("error: writing to file: No space left on device", "no space is left", "--no-disko-deps"),
        ("Killed", "it ran out of memory", "more RAM"),
        ("EFI variables are not supported on this system.", "the boot loader wants UEFI", "firmware: bios"),
        ("sudo: a password is required", "sudo asks for a password there", "NOPASSWD"),
        ("curl: (6) Could not resolve host: github.com", "names do not resolve there: github.com", "resolv.conf"),
        ("ssh: connect to host 10.0.0.1 port 22: Connection refused", "10.0.0.1 does not answer", "DHCP"),
        ("client_loop: send disconnect: Broken pipe", "the connection was lost", "goes on where it stopped"),
        ("aborted: Failed to kexec into NixOS installer", "the machine came back with its old system", "console"),
    ],
)
def test_causes(said: str, message: str, remedy: str) -> None:
    found = causes.diagnose(causes.INSTALLATION, f"something\n{said}\nsomething else")
    assert found[0].message.startswith(message)
    assert remedy in found[0].remedy


def test_nothing_known_is_no_cause() -> None:
    assert causes.diagnose(causes.INSTALLATION, "building '/nix/store/x.drv'...\ncopying path\n") == []


def test_an_unknown_flag_never_becomes_the_machine_to_install() -> None:
    install = Install("f", "nerv-1", TARGET, ("kexec",), "local", more=("--no-such-flag",))
    with pytest.raises(NervError, match="nixos-anywhere knows no argument `--no-such-flag`"):
        anywhere.arguments(install)
    with pytest.raises(NervError, match="knows no argument `root@192"):
        anywhere.check(["root@192.168.1.99"])
    with pytest.raises(NervError, match="--chown of nixos-anywhere needs 2 values"):
        anywhere.check(["--chown", "/x"])
    with pytest.raises(NervError, match="--kexec of nixos-anywhere needs 1 value"):
        anywhere.check(["--kexec", "--debug"])
    with pytest.raises(NervError, match="--target-host is set by NERV itself"):
        anywhere.arguments(Install("f", "nerv-1", TARGET, ("kexec",), "local", more=("--target-host", "x")))


def test_arguments() -> None:
    target = Target("10.0.0.1", 2222, "admin")
    more = ("--kexec", "image.tar.gz")
    install = Install("f", "n", target, ("disko", "install"), "remote", Path("/e"), Path("/k"), True, more)
    assert anywhere.arguments(install) == [
        *("--flake", "f#n", "--target-host", "admin@10.0.0.1", "-p", "2222", "-i", "/k", "--env-password"),
        *("--phases", "disko,install", "--build-on", "remote", "--extra-files", "/e", "--kexec", "image.tar.gz"),
    ]
