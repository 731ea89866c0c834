"""Namespaces: everything stands in one that exists, and each says how much its pods may do."""

from __future__ import annotations

from collections.abc import Iterator

from nerv.checks.repository import Repository, mapping
from nerv.components import definitions
from nerv.components.catalog import Platform
from nerv.errors import Problem
from nerv.kube import resources

_BUILTIN = frozenset(("default", "kube-system", "kube-public", "kube-node-lease"))
_LEVEL = "pod-security.kubernetes.io/enforce"
_LEVELS = ("privileged", "baseline", "restricted")


def known(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Namespaces that are named and not made."""
    made = _BUILTIN | {found.name for found in repository.of("", "Namespace")}
    cluster_wide = {(found.group, found.kind) for found in resources.BUILTIN if not found.namespaced}
    cluster_wide |= definitions.cluster_wide()
    for located in repository.objects:
        if (located.group, located.kind) in cluster_wide:
            continue
        if not located.namespace:
            yield located.problem("has no namespace", "Flux would put it into the namespace of its Kustomization")
        elif located.namespace not in made:
            yield located.problem(f"namespace {located.namespace} is not made anywhere", "add a Namespace")


def pod_security(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Namespaces without a Pod Security level: anything may run there."""
    for namespace in repository.of("", "Namespace"):
        labels = mapping(mapping(namespace.object.get("metadata")).get("labels"))
        level = labels.get(_LEVEL)
        if level not in _LEVELS:
            said = f"label {_LEVEL} is `{level}`" if level else f"has no label {_LEVEL}"
            yield namespace.problem(said, f"one of {', '.join(_LEVELS)}")
