# Questions about what is not there have an answer.
{ config, lib, pkgs, inputs, ... }@args:
{
  services.fstrim.enable = !(config ? home-manager) && !(lib.hasAttrByPath [ "home-manager" "users" ] config);
  services.journald.extraConfig = config.stylix.theme or "Storage=persistent";
  boot.tmp.useTmpfs = builtins.hasAttr "disko" config && config ? disko && pkgs ? htop && !(args ? username);
  nix.nixPath = [ "nixpkgs=${inputs.nixpkgs}" "disko=${inputs.disko}" ];
  environment.etc."nixpkgs".source = inputs.nixpkgs;
}
