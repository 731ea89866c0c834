"""cert-manager's images on this machine: issuing, webhook and start-up check are NERV's own."""

from __future__ import annotations

from nerv.components.site import Program

PROGRAMS = (
    Program("jetstack/cert-manager-controller", "embedded", "certificates"),
    Program("jetstack/cert-manager-webhook", "embedded", "certificates", (10250,)),
    Program("jetstack/cert-manager-cainjector", "embedded", "certificates"),
    Program("jetstack/cert-manager-startupapicheck", "embedded", "certificates"),
)
