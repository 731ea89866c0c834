"""Offline proof: functions (platform, tree) -> problems, in one ordered tuple.

Belongs here: what can be shown wrong without a cluster. Not: repairing it.
"""
