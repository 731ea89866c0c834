# Options that NERV's table lacks are noted; what stands in them is computed all the same.
{ config, lib, pkgs, ... }:
{
  services.nginx = {
    enable = "yes";
    virtualHosts."a.example.org".root = config.networking.hostname;
    package = pkgs.nginx;
    appendConfig = lib.mkIf config.services.k3s.enable (lib.mkForce (throw "never said"));
  };
  programs.zsh.enable = lib.mkIf false "no";
  virtualisation.docker.daemon.settings.hosts = [ (1 + "a") ];
}
