{ lib, ... }:
{
  services.k3s.role = lib.mkForce "agent";
  services.k3s.serverAddr = lib.mkForce "";
  services.k3s.tokenFile = lib.mkForce null;
  services.k3s.disableAgent = true;
}
