{ lib, ... }:
{
  nixpkgs.hostPlatform = lib.mkForce "aarch64-linux";
  networking.hostName = lib.mkForce "nerv-2";
  system.stateVersion = lib.mkForce "25.11";
  services.keepalived.vrrpInstances.api = { interface = "eth0"; virtualRouterId = 300; trackScripts = [ "missing" ]; };
}
