"""The Nix language without Nix: expressions as values, text from them and back, and what they evaluate to.

Belongs here: the language. Not: NixOS (its options are checked in nerv.checks, its modules written in nerv.rendering);
reading files or running Nix.
"""
