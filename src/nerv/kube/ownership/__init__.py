"""Who owns which field: server-side apply and `metadata.managedFields`.

The rules are those of structured-merge-diff: https://kubernetes.io/docs/reference/using-api/server-side-apply/
Belongs here: field sets, merging, conflicts, managers. Not: conversion between versions (entries of another version of
the same object are taken as they are), storing.
"""

from nerv.kube.ownership.managers import apply, only_times_differ, update_managers
from nerv.kube.ownership.problems import ApplyConflict, Conflict, SchemaMismatch

__all__ = ["ApplyConflict", "Conflict", "SchemaMismatch", "apply", "only_times_differ", "update_managers"]
