"""Waiting for machines, each with a limit that says what was waited for: SSH of the new system, K3s, the Flux unit."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from typing_extensions import override

from nerv.deploy import doctor, ssh
from nerv.deploy.ssh import Access, ConnectionLost, HostKeyMismatch, LoginRefused, Remote, SshError, Target, Unreachable
from nerv.deploy.trust import HostKey
from nerv.errors import NervError

K3S_UNIT = "k3s"
_JOURNAL_LINES = 300


@dataclass(frozen=True)
class Patience:
    """How long to wait and how often to look, in seconds."""

    boot: float = 600.0
    join: float = 900.0
    flux: float = 1800.0
    health: float = 2700.0
    between: float = 5.0

    def stretched(self, factor: float) -> Patience:
        return Patience(self.boot * factor, self.join * factor, self.flux * factor, self.health * factor, self.between)


async def new_system(
    target: Target,
    made: HostKey,
    before: HostKey | None,
    access: Access,
    patience: Patience,
    say: Callable[[str], None],
) -> None:
    """Return when the machine proves the host key that NERV made. `before`: the old system's.

    Raises NervError when it answers with a third key, or not in time.
    """
    deadline = time.monotonic() + patience.boot
    last = "nobody answered yet"
    while time.monotonic() < deadline:
        try:
            connection = await ssh.connect(target, [made], access)
        except LoginRefused:
            raise NervError(
                f"the new system on {target.host} takes none of your keys",
                "spec.nixos.sshKeys must hold your public key; deploy once more after `nerv render` and a commit",
            ) from None
        except HostKeyMismatch:
            last = await _who_answers(target, made, before)
        except Unreachable as error:
            last = error.message
        else:
            connection.close()
            await connection.wait_closed()
            return
        say(f"waiting for the new system: {last}")
        await asyncio.sleep(patience.between)
    raise NervError(
        f"the new system on {target.host} does not answer within {patience.boot:.0f} s: {last}",
        "its console shows how far it came: boot order (does it start from the disk?), firmware, network card "
        "and address",
    )


async def _who_answers(target: Target, made: HostKey, before: HostKey | None) -> str:
    """Says that the old system is still there. Raises NervError for anybody else."""
    try:
        offered = await ssh.host_keys(target)
    except Unreachable as error:
        return error.message
    if made in offered:
        return "it is coming up"
    if before is not None and before in offered:
        return "the old system (or the installer) is still there"
    raise HostKeyMismatch(
        f"{target.host} answers with the host key {offered[0]} instead of {made}, which NERV made for it",
        "someone stands in between, or --extra-files was not copied and NixOS made a key of its own: compare with the "
        "machine's console; `nerv deploy NODE --from install` installs it again",
    )


async def joined(
    remote: Remote, registered: Callable[[], Awaitable[bool]] | None, patience: Patience, say: Callable[[str], None]
) -> None:
    """Return when K3s runs there (and the cluster knows the node, where that can be asked).

    Raises NervError with the causes that K3s' journal names.
    """
    deadline = time.monotonic() + patience.join
    told = ""
    before: list[str] | None = None
    while True:
        state = await unit_state(remote, K3S_UNIT)
        runs = state.get("ActiveState") == "active"
        if runs and (registered is None or await registered()):
            return
        text = await journal(remote, K3S_UNIT)
        found = doctor.diagnose(text)
        permanent = any(diagnosis.permanent for diagnosis in found)
        restarts = int(state.get("NRestarts") or 0)
        if permanent and restarts >= doctor.TRIES and not runs:
            raise NotJoined(remote.target, f"K3s was started {restarts + 1} times in vain", found)
        # what an earlier K3s has said counts for nothing against the one that runs
        before = text.splitlines() if before is None else before
        if runs and doctor.insists([line for line in text.splitlines() if line not in before]):
            raise NotJoined(remote.target, "K3s runs and tries in vain", found)
        if time.monotonic() > deadline:
            raise NotJoined(remote.target, f"K3s did not join within {patience.join:.0f} s", found)
        stage = "it runs, its Node is not Ready yet" if runs else state.get("SubState") or "no unit yet"
        now = f"waiting for K3s: {stage}" + (f"; {found[0].message}" if found else "")
        if now != told:
            say(now)
            told = now
        await asyncio.sleep(patience.between)


class NotJoined(NervError):
    """K3s does not come up, or does not find its cluster."""

    def __init__(self, target: Target, said: str, found: Sequence[doctor.JoinDiagnosis]) -> None:
        self.found = tuple(found)
        hint = "" if found else f"`ssh {target.login} journalctl -u {K3S_UNIT}` shows more"
        super().__init__(f"{target.host}: {said}", hint)

    @override
    def lines(self) -> list[str]:
        return [*super().lines(), *(f"cause: {diagnosis}" for diagnosis in self.found)]


async def unit_state(remote: Remote, unit: str) -> dict[str, str]:
    """ActiveState, SubState, Result and NRestarts of a unit. Lost connections are tried again with the next call."""
    try:
        done = await remote.run(
            f"systemctl show {shlex.quote(unit)} --property=ActiveState,SubState,Result,NRestarts", check=False
        )
    except (ConnectionLost, Unreachable):
        return {}
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


async def journal(remote: Remote, unit: str) -> str:
    """The last lines of a unit's journal."""
    command = f"journalctl --unit={shlex.quote(unit)} --lines={_JOURNAL_LINES} --no-pager --output=cat"
    try:
        return (await remote.run(command, check=False)).stdout
    except (ConnectionLost, Unreachable):
        return ""


async def finished(remote: Remote, unit: str, patience: Patience, say: Callable[[str], None], limit: float) -> None:
    """Follow a oneshot unit's journal until it has done its work. Raises NervError when it fails or takes too long."""
    deadline = time.monotonic() + limit
    following = asyncio.create_task(_follow(remote, unit, say))
    try:
        while True:
            state = await unit_state(remote, unit)
            if state.get("ActiveState") == "active":
                return
            if state.get("ActiveState") == "failed":
                tail = (await journal(remote, unit)).strip().splitlines()[-1:]
                raise NervError(
                    f"{unit} on {remote.target.host} failed: {tail[0] if tail else state.get('Result', '')}",
                    f"it can run again and again: `ssh {remote.target.login} systemctl restart {unit}`",
                )
            if time.monotonic() > deadline:
                raise NervError(
                    f"{unit} on {remote.target.host} is not done within {limit:.0f} s",
                    f"`ssh {remote.target.login} journalctl -fu {unit}` shows what it waits for",
                )
            await asyncio.sleep(patience.between)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _follow(remote: Remote, unit: str, say: Callable[[str], None]) -> None:
    command = f"journalctl --unit={shlex.quote(unit)} --follow --lines=all --no-pager --output=cat"
    try:
        lines: AsyncGenerator[str, None] = remote.lines(command)
        async with aclosing(lines):
            async for line in lines:
                say(f"{unit}: {line}")
    except SshError as error:
        say(f"{unit}: {error.message}")
