{ config, ... }:
{
  warnings = config.services.fstrimm.enable;
}
