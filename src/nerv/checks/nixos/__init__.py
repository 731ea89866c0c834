"""NixOS without Nix: the hosts of a repository's flake evaluated over a table of NixOS's options, and rules over them.

Belongs here: the module system (options, types, priorities, conditions), the table, and what is known to go wrong on a
machine though NixOS would build it. Not: the Nix language (nerv.nix), writing modules (nerv.rendering).
"""
