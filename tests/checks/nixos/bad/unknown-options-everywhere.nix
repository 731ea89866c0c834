{
  networking.hostname = "nerv-1";
  service.k3s.enable = true;
  services.openssh.setings.PermitRootLogin = "no";
  users.users.ada.shel = "/bin/sh";
  systemd.services.a.wantedby = [ "multi-user.target" ];
  disko.devices.disks.data = { };
}
