{ lib, ... }:
{
  services.k3s.clusterInit = lib.mkForce false;
}
