{ lib, ... }:
{
  services.openiscsi.name = lib.mkForce "";
}
