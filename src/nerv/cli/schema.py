"""`nerv schema`: the JSON Schema of nerv.yaml."""

from __future__ import annotations

import sys

from nerv.components import definition


def schema() -> None:
    """Print the JSON Schema of nerv.yaml, for editors and programs."""
    sys.stdout.write(definition.schema())
