"""Flux's images on this machine: reconcilers of NERV do their work (on an engine of real controllers, those do)."""

from __future__ import annotations

from nerv.components.flux.controllers import CONTROLLERS
from nerv.components.site import Program

PROGRAMS = tuple(Program(f"fluxcd/{controller.name}", "embedded", "flux") for controller in CONTROLLERS)
