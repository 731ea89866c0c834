"""What NixOS builds without a word and what then fails on the machine: rules over evaluated hosts.

Each rule is a function (platform, flake, repository) -> problems; their order is that of `checks.nixos.proof.RULES`.
"""
