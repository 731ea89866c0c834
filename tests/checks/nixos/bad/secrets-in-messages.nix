# No message shows what may be secret.
{ lib, ... }:
{
  services.k3s.token = lib.mkMerge [ "hunter2" "hunter3" ];
  services.k3s.extraFlags = lib.mkForce (lib.mkMerge [ [ "--token=hunter2" ] "--token=hunter3" ]);
  users.users.ada.hashedPassword = [ "hunter2" ];
  services.k3s.package = { token = "hunter2"; };
  boot.kernelParams = "hunter2-is-no-secret-here";
}
