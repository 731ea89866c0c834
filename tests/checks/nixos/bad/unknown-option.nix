# The option of NixOS 25.11 and later.
{
  services.k3s.disable = [ "traefik" ];
}
