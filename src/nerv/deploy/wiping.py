"""K3s on a machine that leaves: held (nothing starts it again), stopped, and what it keeps there wiped."""

from __future__ import annotations

from importlib import resources

from nerv.deploy.ssh import Remote
from nerv.deploy.waiting import K3S_UNIT
from nerv.errors import NervError

# Where NixOS keeps units, /etc/systemd/system, comes before /run/systemd/system: `systemctl mask --runtime` would not
# have any effect. system.control comes before both. A restart of the machine ends it.
_MASK = f"/run/systemd/system.control/{K3S_UNIT}.service"
HOLD = f"mkdir -p {_MASK.rpartition('/')[0]} && ln -sfn /dev/null {_MASK} && systemctl daemon-reload"
STOP = f"systemctl stop {K3S_UNIT}"
START = f"rm -f {_MASK} && systemctl daemon-reload && systemctl start --no-block {K3S_UNIT}"
_SECONDS = 300.0


def script() -> str:
    """What `wipe` runs there (data/wipe.sh)."""
    return (resources.files("nerv.deploy") / "data" / "wipe.sh").read_text(encoding="utf-8")


async def wipe(machine: Remote) -> None:
    """Stop K3s and remove what it keeps. Raises NervError, with nothing removed, while a volume is mounted there."""
    done = await machine.run("sh -s", input=script(), check=False, timeout=_SECONDS)
    if done.code:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.code}").splitlines()[-1]
        hint = "end what uses it (`fuser -vm PLACE`), or restart the machine; then the same command goes on"
        raise NervError(f"K3s' state on {machine.target} was not wiped: {said}", hint)
