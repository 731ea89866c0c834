{ config, lib, ... }:
{
  config = lib.mkIf config.services.k3s.enable {
    time.timeZone = "Europe/Berlin";
  };
}
