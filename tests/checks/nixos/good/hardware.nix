# Much as nixos-generate-config writes it.
{ config, lib, pkgs, modulesPath, ... }:

{
  imports =
    [ (modulesPath + "/installer/scan/not-detected.nix")
    ];

  boot.initrd.availableKernelModules = [ "xhci_pci" "ahci" "nvme" "usbhid" "sd_mod" ];
  boot.initrd.kernelModules = [ ];
  boot.kernelModules = [ "kvm-amd" ];
  boot.extraModulePackages = [ config.boot.kernelPackages.v4l2loopback ];
  networking.domain = if config.hardware.enableAllFirmware then "all" else "${config.services.openssh.package}";

  swapDevices = [ { device = "/dev/disk/by-uuid/3d2a"; } ];
  networking.interfaces.enp3s0.useDHCP = lib.mkDefault false;

  nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
  hardware.cpu.amd.updateMicrocode = lib.mkForce config.hardware.enableRedistributableFirmware;
}
