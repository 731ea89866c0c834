"""Traefik's image on this machine: the real program."""

from __future__ import annotations

from nerv.components.site import Program

PROGRAMS = (Program("traefik", "process", "traefik", (8000, 8080, 8443, 9100)),)
