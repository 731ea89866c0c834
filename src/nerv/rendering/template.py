"""The definition that a new platform begins with: commented, complete, right as it stands."""

from __future__ import annotations

from importlib import resources as package

DEFAULT_DOMAIN = "nerv.local"


def definition(name: str, domain: str = DEFAULT_DOMAIN) -> str:
    """The text of nerv.yaml for platform `name`."""
    text = (package.files("nerv.rendering") / "data" / "nerv.yaml").read_text(encoding="utf-8")
    return text.replace("@NAME@", name).replace("@DOMAIN@", domain)
