{ lib, ... }:
{
  options.home.backup = {
    interval = lib.mkOption { type = lib.types.enum [ "daily" "weekly" ]; default = "daily"; };
    keep = lib.mkOption { type = lib.types.ints.positive; };
    targets = lib.mkOption { type = with lib.types; attrsOf (submodule { options.port = lib.mkOption { type = port; default = 22; }; }); };
  };
  config.home.backup.interval = "hourly";
  config.home.backup.keep = 0;
  config.home.backup.targets.nas.prot = 23;
  config.home.backup.where = "here";
}
