"""Service account tokens: what is signed is what is read, and nothing else passes."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from nerv import certificates
from nerv.apiserver.tokens import BadToken, Claims, Signer

CLAIMS = Claims("default", "web", "u1", ("api",), 1000, 2000, "web-0", "u2", identifier="j")


def signer(issuer: str = "https://cluster") -> Signer:
    return Signer(certificates.private_key_pem(ec.generate_private_key(ec.SECP256R1())), issuer)


def test_claims_survive() -> None:
    ours = signer()
    assert ours.check(ours.sign(CLAIMS), now=1500) == CLAIMS


def test_expired() -> None:
    ours = signer()
    with pytest.raises(BadToken, match="expired"):
        ours.check(ours.sign(CLAIMS), now=2000)


def test_other_key() -> None:
    with pytest.raises(BadToken, match="signature does not match"):
        signer().check(signer().sign(CLAIMS), now=1500)


def test_changed_payload() -> None:
    ours = signer()
    head, _, tail = ours.sign(CLAIMS).split(".")
    _, payload, _ = ours.sign(dataclasses.replace(CLAIMS, name="admin")).split(".")
    with pytest.raises(BadToken, match="signature does not match"):
        ours.check(f"{head}.{payload}.{tail}", now=1500)


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "e30.e30.", "....."])
def test_noise(token: str) -> None:
    with pytest.raises(BadToken):
        signer().check(token, now=1500)
