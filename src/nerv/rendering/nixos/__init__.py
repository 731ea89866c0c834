"""nixos/: the flake that the machines are installed and updated from. Pure, like everything in nerv.rendering.

Belongs here: which NixOS options say what the definition and the components' `Host` values ask for. Decisions are
taken here, in Python: what is rendered is plain NixOS, one file a machine and modules for what machines share.
Not: the language itself (nerv.nix), checking what is rendered (nerv.checks), running Nix.
"""
