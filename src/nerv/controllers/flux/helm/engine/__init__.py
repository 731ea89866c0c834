"""Helm's actions on a cluster: install, upgrade, roll back, uninstall, test, with Helm 3.17's semantics.

Belongs here: objects created and patched under the field manager helm-controller, hooks, waiting, CRDs, release
Secrets. Not: what Flux makes of it (steps/, state, conditions). Waiting is event-driven; all time comes from the clock.
Errors carry Helm's words, because they end up in conditions that people search for.
"""
