# Where a value cannot be known, no rule claims that it is missing.
{ lib, ... }:
let
  unknown = builtins.fetchTarball "https://example.org/x";
in
{
  services.openssh.enable = lib.mkForce unknown.yes;
  services.k3s.serverAddr = lib.mkForce (unknown + "/a");
  services.k3s.clusterInit = lib.mkForce (unknown == "x");
  users.users.root.openssh.authorizedKeys.keys = lib.mkForce [ unknown ];
  system.stateVersion = lib.mkForce unknown;
  networking.hostName = lib.mkIf (unknown == "y") (lib.mkForce "other");
  disko.devices.disk.system.content = lib.mkForce unknown;
  services.openiscsi.name = lib.mkForce unknown;
}
