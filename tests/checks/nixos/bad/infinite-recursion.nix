{ config, ... }:
{
  services.fstrim.enable = !config.services.fstrim.enable;
}
