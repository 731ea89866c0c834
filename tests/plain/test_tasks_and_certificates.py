import asyncio
import logging

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from nerv import certificates
from nerv.tasks import Supervisor


async def test_a_failing_task_is_logged_and_started_again(caplog: pytest.LogCaptureFixture) -> None:
    failed: list[tuple[str, float]] = []
    supervisor = Supervisor(
        first_back_off=0.01, last_back_off=5.0, on_failure=lambda name, delay: failed.append((name, delay))
    )
    done = asyncio.Event()
    tries = 0

    async def fails_twice() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise RuntimeError("not yet")
        done.set()

    with caplog.at_level(logging.ERROR):
        supervisor.start("worker", fails_twice)
        await asyncio.wait_for(done.wait(), 5)
    await supervisor.stop()
    assert tries == 3
    assert failed == [("worker", 0.01), ("worker", 0.02)]
    assert "task worker failed" in caplog.text


async def test_stop_waits_for_every_task() -> None:
    supervisor = Supervisor()
    begun, cleaned = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    supervisor.start("worker", waits)
    await begun.wait()
    await supervisor.stop()
    assert cleaned.is_set()


def test_a_leaf_verifies_against_its_authority() -> None:
    ca = certificates.create_ca("test authority")
    leaf = certificates.issue(ca, "admin", organizations=["system:masters"], names=["localhost", "127.0.0.1"])
    authority = x509.load_pem_x509_certificate(ca.certificate.encode())
    certificate = x509.load_pem_x509_certificate(leaf.certificate.encode())
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    organization = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [attribute.value for attribute in organization] == ["system:masters"]
