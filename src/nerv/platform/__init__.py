"""The definition's base: frozen typed models, loading with file:line:column, JSON Schema, pinned versions.

Belongs here: what `nerv.yaml` means. Not: components' own settings (components/), rendering, anything that knows a
cluster.
"""
