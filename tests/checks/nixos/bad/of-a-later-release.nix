{
  systemd.settings.Manager.RuntimeWatchdogSec = "30s";
  boot.loader.refind.enable = true;
  services.k3s.nodeLabel = [ "a=b" ];
}
