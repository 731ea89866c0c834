"""What can be wrong with `spec.components.certManager`."""

from __future__ import annotations

from collections.abc import Iterator

from nerv.components.cert_manager.settings import CertManagerSettings
from nerv.platform.findings import Finding
from nerv.platform.types import seconds

PATH = ("spec", "components", "certManager")


def definition(settings: CertManagerSettings) -> Iterator[Finding]:
    """cert-manager refuses certificates that live less than an hour; a chain ends with its shortest link."""
    for key, duration in (("certificateDuration", settings.certificate_duration), ("caDuration", settings.ca_duration)):
        if seconds(duration) < 3600:
            yield Finding((*PATH, key), f"{duration} is too short a life", "cert-manager's least is 1h")
    if seconds(settings.ca_duration) <= seconds(settings.certificate_duration):
        hint = "`caDuration` must be longer than `certificateDuration`"
        yield Finding((*PATH, "caDuration"), "the authority would expire before the certificates it signs", hint)
