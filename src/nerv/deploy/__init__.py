"""Real machines: SSH, nixos-anywhere, NixOS updates, GitHub bootstrap; every step a value that can print itself.

Nothing is here yet but the room's name in the layers: real machines follow the cluster on this machine.
"""
