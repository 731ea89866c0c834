{ config, lib, ... }: {
  assertions = [
    { assertion = builtins.length (lib.attrNames config.disko.devices.disk) > 3; message = "more disks are needed"; }
    { assertion = true; message = "never said"; }
  ];
}
