{ lib, ... }:
{
  disko.devices.disk.data.device = "/dev/sda";
  disko.devices.disk.more = { device = "/dev/sdc"; content = { type = "gpt"; partitions.a.content.format = "ext4"; }; };
  boot.loader.grub = { enable = lib.mkForce true; device = "/dev/sda"; };
  boot.loader.systemd-boot.enable = lib.mkForce false;
  disko.devices.disk.old = {
    type = "disk";
    device = "/dev/sdb";
    content = { type = "gpt"; partitions.boot = { size = "1M"; type = "EF02"; }; };
  };
}
