"""Host keys as OpenSSH itself reads them, and the folder in which a machine is given its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nerv.operations import host_keys


def test_the_real_ssh_keygen_reads_the_private_key(tmp_path: Path) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("needs ssh-keygen")
    pem = host_keys.generate()
    path = tmp_path / "key"
    path.write_text(pem)
    path.chmod(0o600)
    told = subprocess.run(["ssh-keygen", "-y", "-f", str(path)], capture_output=True, text=True, check=True).stdout
    assert told.split()[:2] == host_keys.public_line(pem, "nerv-1").split()[:2]
