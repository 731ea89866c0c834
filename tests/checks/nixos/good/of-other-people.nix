# What nobody can know offline is noted, not refused and not passed silently.
{ inputs, pkgs, ... }:
{
  imports = [ inputs.nixos-hardware.nixosModules.common-pc-ssd ];
  services.nginx.enable = true;
  environment.systemPackages = [ pkgs.cowsay ];
  time.timeZone = (builtins.fetchTarball "https://example.org/zone").name;
}
