"""`nerv bootstrap`: the platform's repository hosted, and Flux in a cluster that reconciles it from there.

Belongs here: what is asked for, made of the definition and the options; the order of what is done; Flux's login. Not:
how a server is spoken to (deploy/hosting), how Flux is installed and waited for (deploy/flux.py).
"""
