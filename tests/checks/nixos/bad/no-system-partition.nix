{ lib, ... }:
{
  disko.devices.disk = lib.mkForce {
    main = { type = "disk"; device = "/dev/sda"; content = { type = "gpt"; partitions.data = { size = "100%"; content = { type = "filesystem"; format = "ext4"; mountpoint = "/data"; }; }; }; };
  };
}
