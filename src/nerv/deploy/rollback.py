"""A machine that goes back by itself: before a new system is switched to, a timer on the machine is armed that switches
to the old one again. Who can still log in afterwards disarms it; a machine whose network the change has taken away does
not, and comes back.
"""

from __future__ import annotations

import re
import shlex

from nerv.deploy.ssh import Remote
from nerv.errors import NervError

UNIT = "nerv-rollback"
_STORE_PATH = re.compile(r"/nix/store/[A-Za-z0-9+._?=-]+")
_PROFILE = "/nix/var/nix/profiles/system"


async def current(remote: Remote) -> str:
    """The store path of the system that runs. Raises NervError for what is no NixOS."""
    found = (await remote.run("readlink -f /run/current-system", check=False)).stdout.strip()
    if not _STORE_PATH.fullmatch(found):
        raise NervError(f"{remote.target} does not run NixOS", "`nerv deploy NODE` installs it")
    return found


def command(system: str, action: str = "switch") -> str:
    """Makes `system` the machine's system, now (`switch`) or with its next start (`boot`). Needs nothing but itself."""
    return (
        f"{system}/sw/bin/nix-env --profile {_PROFILE} --set {system} && {system}/bin/switch-to-configuration {action}"
    )


def arming(system: str, seconds: float) -> str:
    """The command that arms the timer."""
    inner = shlex.quote(command(system))
    return (
        f"systemctl stop {UNIT}.timer 2>/dev/null; "
        f"systemd-run --unit={UNIT} --collect --on-active={seconds:.0f} --timer-property=AccuracySec=1s "
        f"-- /bin/sh -c {inner}"
    )


# a timer that is not there any more has fired: what answers then is the old system
DISARMING = (
    f"systemctl is-active --quiet {UNIT}.timer && systemctl stop {UNIT}.timer "
    f"&& ! systemctl is-active --quiet {UNIT}.service"
)


async def arm(remote: Remote, system: str, seconds: float) -> None:
    """Go back to `system` in so many seconds unless disarmed. Raises SshError."""
    await remote.run(arming(system, seconds))


async def disarm(remote: Remote) -> None:
    """The new system stays. Raises NervError when the timer has fired, SshError when the machine cannot be reached."""
    done = await remote.run(DISARMING, check=False)
    if done.code:
        raise WentBack(f"{remote.target.host} was out of reach for too long and has gone back by itself")


class WentBack(NervError):
    """The timer has fired."""


async def back(remote: Remote, system: str, action: str = "switch") -> None:
    """Go back now. Raises SshError."""
    await remote.run(command(system, action), timeout=600)
