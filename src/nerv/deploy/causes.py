"""Known causes of failures, found in what a program said: pure tables, most telling first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override


@dataclass(frozen=True)
class Cause:
    """What the words `pattern` mean. `message` may name the pattern's groups as {0}, {1}."""

    pattern: str
    message: str
    remedy: str

    def find(self, text: str) -> Diagnosis | None:
        found = re.search(self.pattern, text, re.IGNORECASE | re.MULTILINE)
        if found is None:
            return None
        groups = [group or "" for group in found.groups()]
        return Diagnosis(self.message.format(*groups), self.remedy.format(*groups))


@dataclass(frozen=True)
class Diagnosis:
    """A cause, as it is told."""

    message: str
    remedy: str

    @override
    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})"


def diagnose(causes: Sequence[Cause], text: str) -> list[Diagnosis]:
    """Every cause that the text names, in the table's order, each once."""
    found = (cause.find(text) for cause in causes)
    return list(dict.fromkeys(diagnosis for diagnosis in found if diagnosis))


INSTALLATION: tuple[Cause, ...] = (
    Cause(
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the machine proves another host key than before",
        "someone may stand in between; look at its console, then `nerv deploy NODE --from trust`",
    ),
    Cause(
        r"Permission denied \((?:publickey|password|keyboard)",
        "the machine takes no key of yours",
        "ssh-copy-id to it first, or name a key with --identity",
    ),
    Cause(
        r"(?:sudo|doas): (?:a password is required|a terminal is required)",
        "sudo asks for a password there",
        "log in as root, or allow sudo without a password (NOPASSWD)",
    ),
    Cause(
        r"Lockdown:.*kexec|kexec_(?:file_)?load failed: (?:Operation not permitted|Permission denied|Required key)",
        "its kernel refuses kexec: Secure Boot or lockdown",
        "turn Secure Boot off in the machine's setup, or boot the NixOS installer from a stick",
    ),
    Cause(
        r"kexec_(?:file_)?load failed: Function not implemented|kexec: not found|Unsupported .*kexec",
        "its kernel has no kexec",
        "boot the NixOS installer from a stick and deploy to it",
    ),
    Cause(
        r"kexec_(?:file_)?load failed: Resource busy|CPUs are stuck in the kernel|Could not get memory layout",
        "this hardware (or its hypervisor) cannot kexec",
        "boot the NixOS installer from a stick or ISO and deploy to it",
    ),
    Cause(
        r"(?:Could not resolve host|unable to resolve host address|Temporary failure in name resolution)"
        r"[: ‘'\"]*([\w.-]*)",
        "names do not resolve there: {0}",
        "set a name server on the machine (/etc/resolv.conf); the installer's image comes from github.com",
    ),
    Cause(
        r"curl: \((?:7|28|35|56)\)|wget: unable to connect|unable to download '([^']*)'",
        "a download failed {0}",
        "the machine (and, with --build-on local, this one) needs the internet: github.com, cache.nixos.org",
    ),
    Cause(
        r"hash mismatch in (?:fixed-output derivation|file downloaded from) '([^']*)'",
        "a download has another hash than the pinned one: {0}",
        "`nix flake update` in nixos/ takes the source as it is now; check why it changed",
    ),
    Cause(
        r"a '([^']+)' with features .* is required to build .* but I am a '([^']+)'",
        "this machine ({1}) cannot build for {0}",
        "add --build-on remote: the new machine builds for itself",
    ),
    Cause(
        r"does not provide attribute '?([^'\n]*nixosConfigurations[^'\n]*)",
        "the flake has no such node: {0}",
        "`nerv render`, then commit: a flake sees only what Git has",
    ),
    Cause(
        r"(?:is not tracked by Git|does not exist in Git repository)",
        "the flake refers to a file that is not committed",
        "`git add -A && git commit`: a flake sees only what Git has",
    ),
    Cause(
        r"experimental Nix feature '(?:flakes|nix-command)' is disabled",
        "Nix has flakes switched off",
        "`experimental-features = nix-command flakes` in nix.conf",
    ),
    Cause(
        r"No space left on device",
        "no space is left",
        "the installer keeps its files in RAM: give it more, or --build-on local and --no-disko-deps",
    ),
    Cause(
        r"Cannot allocate memory|Out of memory|oom-kill|^Killed$",
        "it ran out of memory",
        "give the machine more RAM, use --build-on local, or pass --no-disko-deps",
    ),
    Cause(
        r"(/dev/\S+?):? (?:is mounted|is in use|contains a mounted filesystem)|Device or resource busy|"
        r"Error: Partition\(s\) .* on (/dev/\S+) have been written, but",
        "the disk is in use {0}{1}",
        "unmount it there (umount, swapoff, vgchange -an, mdadm --stop); a kexec'd installer uses no disk",
    ),
    Cause(
        r"(/dev/\S+?)'?:? (?:No such file or directory|does not exist|is not a block device)",
        "there is no disk {0}",
        "`lsblk` on the machine shows its disks; set `disks` in the definition",
    ),
    Cause(
        r"EFI variables are not supported|efivar.*not supported|cannot find EFI directory|No EFI system partition",
        "the boot loader wants UEFI, the machine booted with BIOS",
        "`firmware: bios` in the definition, or boot it with UEFI",
    ),
    Cause(
        r"lacks a (?:valid )?signature by a trusted key",
        "the target does not trust what was built here",
        "add --build-on remote, or make this machine's key trusted there",
    ),
    Cause(
        r"aborted: Failed to kexec into NixOS installer",
        "the machine came back with its old system",
        "kexec failed without a word: look at its console, or boot the NixOS installer from a stick",
    ),
    Cause(
        r"connect to host (\S+) port (\d+): (Connection (?:timed out|refused)|No route to host)",
        "{0} does not answer: {2}",
        "is the machine on; has it another address now (DHCP)?",
    ),
    Cause(
        r"Connection (?:to \S+ )?closed by remote host|Broken pipe|Connection reset by peer|"
        r"client_loop: send disconnect|Timeout, server \S+ not responding",
        "the connection was lost",
        "the same command goes on where it stopped",
    ),
)
