"""MetalLB's images on this machine: the work of controller and speaker is done by NERV's load balancer."""

from __future__ import annotations

from nerv.components.site import Program

PROGRAMS = (
    Program("metallb/controller", "embedded", "load_balancer", (9443,)),
    Program("metallb/speaker", "embedded", "load_balancer"),
)
