"""Nodes and their pods: life cycle as real processes or honest simulations, probes, volumes, the kubelet API.

Belongs here: what a kubelet does. Not: scheduling (controllers/), addresses and routes (network/).
"""
