"""The steps by which helm-controller brings a release to its desired state, one module each.

A step runs one of Helm's actions (engine/) and writes what came of it into conditions, history, counters and events.
It raises `StepError` when nothing changed in storage, so that it may simply be tried again.
"""
