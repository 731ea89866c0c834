# What `nerv check` does in Python, done by Nix itself with minilib.nix: nothing is built, no store, no nixpkgs.
#
#   nix-instantiate --eval --strict --json check.nix --arg flake ./nixos --arg options ./options.json --argstr packages NAMES
{ flake, options, packages, paths ? "" }:
let
  lib = import ./minilib.nix;
  tree = builtins.fromJSON (builtins.readFile options);
  words = s: builtins.filter (x: builtins.isString x && x != "") (builtins.split " " s);
  pkgs = import ./minipkgs.nix { inherit lib; names = words packages; };
  nixosSystem = { modules, specialArgs ? { }, system ? null, ... }: lib.evalModules { inherit modules specialArgs tree pkgs; };
  empty = { _file = "<input>"; config = { }; };
  inputs = {
    self = { outPath = toString flake; };
    nixpkgs = { lib = lib // { inherit nixosSystem; }; legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: pkgs); outPath = "/unmodelled/nixpkgs"; };
    disko = { outPath = "/unmodelled/disko"; nixosModules = { disko = empty; default = empty; }; };
    sops-nix = { outPath = "/unmodelled/sops-nix"; nixosModules = { sops = empty; default = empty; }; };
  };
  hosts = ((import (flake + "/flake.nix")).outputs inputs).nixosConfigurations;
  root = dirOf (toString flake) + "/";
  get = config: path: builtins.foldl' (value: name: value.${name}) config (builtins.filter builtins.isString (builtins.split "[.]" path));
in
builtins.mapAttrs
  (_: host: {
    errors = map (builtins.replaceStrings [ root ] [ "" ]) host.errors;
    values = lib.genAttrs (words paths) (get host.config);
  })
  hosts
