"""Calling out: admission and conversion webhooks behind Services of the cluster.

Belongs here: who is called, how, and what an answer means. Not: the webhooks that NERV itself serves.
"""
