"""The upstream engine: the real etcd, Kubernetes and Flux programs as plain processes of this machine.

Belongs here: what they are built from (`catalog`, `modules/`), how (`toolchain`, `building`), where they lie (`store`),
and how they run (`engine` and what it uses). Not: pods and networks, which are the same for every engine.
"""
