{ lib, ... }:
{
  services.k3s.tokenFile = lib.mkForce "/run/secrets/k3s_token";
  services.k3s.extraFlags = [ "--agent-token-file=/etc/token" ];
}
