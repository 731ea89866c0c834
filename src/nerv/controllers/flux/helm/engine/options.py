"""How one action is to be done, apart from where the wish came from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from nerv.builders.helm import Rendered

PostRender = Callable[[Rendered], Awaitable[str]]
"""The manifest that is stored and applied, made of what was rendered."""


@dataclass(frozen=True)
class Options:
    """`seconds` bounds every single wait of the action, as Helm's --timeout does."""

    seconds: float = 300.0
    wait: bool = True
    wait_for_jobs: bool = True
    hooks: bool = True
    adopt: bool = True
    """Take over objects that exist already."""
    validate: bool = True
    """Hold the values against the chart's schema."""
    crds: str = "Create"
    force: bool = False
    cleanup_on_fail: bool = False
    recreate: bool = False
    replace: bool = False
    create_namespace: bool = False
    keep_values: bool = False
    keep_history: bool = False
    propagation: str = "background"
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of CRDs, which no post-renderer sees."""
    kubeconfig: str = field(default="", repr=False)
    """Lets templates look up objects of the cluster."""
