"""Schemas: builtin kinds and custom resources in one view, and what the API server does by them.

Belongs here: types, merge rules, unknown fields, structural defaults, structural validation. Not: rules of single
builtin kinds (`nerv.kube.defaults`, `nerv.kube.validation`).
"""

from nerv.kube.schemas.constraints import validate
from nerv.kube.schemas.custom import structural
from nerv.kube.schemas.definitions import builtin, definition
from nerv.kube.schemas.structure import default, duplicate_fields, normalise, prune, unknown_fields
from nerv.kube.schemas.types import type_error
from nerv.kube.schemas.view import ANY, MISSING, Schema

__all__ = [
    "ANY",
    "MISSING",
    "Schema",
    "builtin",
    "default",
    "definition",
    "duplicate_fields",
    "normalise",
    "prune",
    "structural",
    "type_error",
    "unknown_fields",
    "validate",
]
