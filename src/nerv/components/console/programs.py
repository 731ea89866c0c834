"""The console's image on this machine: NERV itself."""

from __future__ import annotations

from nerv.components.site import Program

PROGRAMS = (Program("nerv-platform/nerv", "process", "nerv", (8000,)),)
