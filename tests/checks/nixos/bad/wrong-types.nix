{
  networking.firewall.allowedTCPPorts = [ "80" ];
  services.k3s.role = "worker";
  services.fstrim.enable = "yes";
  boot.kernelModules = "kvm";
  services.k3s.tokenFile = "run/secrets/token";
  time = "UTC";
  environment.etc."x.conf".text = 7;
}
