"""Host keys as OpenSSH itself reads them, and the folder in which a machine is given its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nerv.errors import NervError
from nerv.operations import host_keys, rendering
from nerv.operations.folder import PlatformFolder


def test_the_real_ssh_keygen_reads_the_private_key(tmp_path: Path) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("needs ssh-keygen")
    pem = host_keys.generate()
    path = tmp_path / "key"
    path.write_text(pem)
    path.chmod(0o600)
    told = subprocess.run(["ssh-keygen", "-y", "-f", str(path)], capture_output=True, text=True, check=True).stdout
    assert told.split()[:2] == host_keys.public_line(pem, "nerv-1").split()[:2]


async def test_host_keys_of_folder_and_repository_must_agree(folder: PlatformFolder) -> None:
    path = folder.root / "nixos/keys/nerv-1.pub"
    path.write_text(host_keys.public_line(host_keys.generate(), "nerv-1") + "\n")
    with pytest.raises(NervError, match="is not the key in"):
        await rendering.render(folder)
    path.write_text("ssh-rsa AAAA\n")
    with pytest.raises(NervError, match="not an ed25519 public key"):
        await rendering.render(folder)


async def test_the_installer_is_given_the_host_key_for_a_moment(folder: PlatformFolder) -> None:
    with host_keys.extra_files("home", "nerv-1") as made:
        assert made.stat().st_mode & 0o777 == 0o700
        key = made / "etc/ssh/ssh_host_ed25519_key"
        assert key.read_text() == host_keys.file_of("home", "nerv-1").read_text()
        assert [key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777] == [0o600, 0o755]
        assert sorted(path.name for path in made.rglob("*") if path.is_file()) == [key.name, f"{key.name}.pub"]
    assert not made.exists()
    host_keys.file_of("home", "nerv-1").unlink()
    with pytest.raises(NervError, match="is not here"), host_keys.extra_files("home", "nerv-1"):
        pass
