"""A rotation killed at any moment leaves every file readable, and the next `nerv render` finishes it.

The process is killed by SIGKILL at its nth rename: every file, here and in the operator's folder, comes into place by
one.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pyrage
import pytest
from tests.support import secrets
from tests.support.secrets import FILES

from nerv.operations import keys, rendering
from nerv.operations.folder import PlatformFolder
from nerv.operations.secrets import checking, private_keys
from nerv.operations.secrets.rotation import What
from nerv.rendering.secrets import SERVERS_FILE

PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
from nerv.operations.folder import PlatformFolder
from nerv.operations.secrets import recipients
from nerv.operations.secrets.rotation import What, rotate

folder, what, argument, left = PlatformFolder(Path(sys.argv[1])), sys.argv[2], sys.argv[3], int(sys.argv[4])

def count(event, arguments):
    global left
    if event == "os.rename":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
asyncio.run(recipients.add(folder, argument) if what == "add" else rotate(folder, What(what), node=argument))
"""
OLD = {What.operator: secrets.operator, What.flux: secrets.flux, What.host: lambda: secrets.host("nerv-1")}


def killed(folder: PlatformFolder, what: str, argument: str, moment: int) -> bool:
    """Rotate, or add a recipient, in a process that is killed at its rename number `moment`; False when it came to its
    end before."""
    command = [sys.executable, "-c", PROGRAM, str(folder.root), what, argument, str(moment)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


# The first is the private key's, then the repository's files one by one, the manifest, and the old private key's end.
MOMENTS = {What.operator: (1, 2, 5, 7, 8, 9), What.flux: (2, 4, 7), What.host: (2, 3, 4, 6)}


@pytest.mark.parametrize(("what", "moment"), [(what, moment) for what in MOMENTS for moment in MOMENTS[what]])
async def test_every_file_opens_and_the_next_run_finishes(folder: PlatformFolder, what: What, moment: int) -> None:
    old, clear = OLD[what](), [secrets.clear(folder.root, path) for path in FILES]
    was_killed = killed(folder, what, "nerv-1" if what is What.host else "", moment)
    own = private_keys.of_user("home")
    for path, before in zip(FILES, clear, strict=True):
        now = own.decrypt((folder.root / path).read_text(), path)
        changed = {key for key in before if before[key] != now[key]}
        assert changed <= {"flux-sops-age"}, f"{path} changed in {changed}"
    assert was_killed or moment > 4
    await rendering.render(folder)
    assert checking.check(folder).problems == ()
    assert rendering.differences(folder) == []
    if OLD[what]() != old:
        assert [path for path in FILES if secrets.opens(folder.root, path, old) is not None] == []
        assert old not in "".join(text for _, text in secrets.files_below(keys.folder_for("home")))
    else:
        assert moment <= 2
    assert secrets.opens(folder.root, SERVERS_FILE, secrets.host("nerv-1")) is not None


@pytest.mark.parametrize("moment", [1, 2, 3, 6])
async def test_a_recipient_is_added_in_the_end_or_not_at_all(folder: PlatformFolder, moment: int) -> None:
    ada = pyrage.x25519.Identity.generate()
    assert killed(folder, "add", str(ada.to_public()), moment)
    await rendering.render(folder)
    assert checking.check(folder).problems == ()
    assert rendering.differences(folder) == []
    reads = {secrets.opens(folder.root, path, str(ada)) is not None for path in FILES}
    assert reads == {str(ada.to_public()) in folder.definition.read_text()} == {moment > 1}
