"""SSH keys as age keys: the same keys as age's own programs have, for every ed25519 key and for no other."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from nerv.builders.sops import SopsError, ssh


def pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, encryption: KeySerializationEncryption) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, encryption).decode()


def line(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=40))
def test_what_is_encrypted_for_the_public_half_opens_with_the_private_one(seed: bytes, text: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    recipient = ssh.recipient(f"{line(key)} root@nerv-1\n")
    identity = ssh.identity(pem(key, NoEncryption()))
    assert str(identity.to_public()) == recipient
    sealed = pyrage.encrypt(text, [pyrage.x25519.Recipient.from_str(recipient)])
    assert pyrage.decrypt(sealed, [identity]) == text


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_another_key_opens_nothing(seed: bytes, other: bytes) -> None:
    if seed == other:
        return
    recipient = ssh.recipient(line(Ed25519PrivateKey.from_private_bytes(seed)))
    sealed = pyrage.encrypt(b"text", [pyrage.x25519.Recipient.from_str(recipient)])
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(sealed, [ssh.identity(pem(Ed25519PrivateKey.from_private_bytes(other), NoEncryption()))])


def test_keys_of_the_real_ssh_keygen_give_what_the_real_age_keygen_says(tmp_path: Path) -> None:
    missing = [name for name in ("ssh-keygen", "age-keygen") if not shutil.which(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    for number in range(5):
        path = tmp_path / str(number)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        secret = ssh.secret(path.read_text())
        told = subprocess.run(["age-keygen", "-y"], input=secret, capture_output=True, text=True, check=True).stdout
        assert told.strip() == ssh.recipient(path.with_suffix(".pub").read_text())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7",
        "ssh-ed25519 not-base64",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
        line(ec.generate_private_key(ec.SECP256R1())),
    ],
)
def test_other_public_keys_are_refused(text: str) -> None:
    with pytest.raises(SopsError, match="not an ed25519 public key"):
        ssh.recipient(text)


def test_other_private_keys_are_refused_without_being_shown() -> None:
    locked = pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"x"))
    other = pem(ec.generate_private_key(ec.SECP256R1()), NoEncryption())
    for text in (locked, other, "", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"):
        with pytest.raises(SopsError) as raised:
            ssh.secret(text)
        assert "AAAA" not in str(raised.value)
