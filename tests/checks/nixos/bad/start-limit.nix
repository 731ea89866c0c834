{ systemd.services.a = { serviceConfig = { StartLimitIntervalSec = 0; After = "network.target"; WantedBy = "multi-user.target"; };
    requires = [ "sops-install-secrets.service" ]; };
  systemd.services."with.dots".serviceConfig.StartLimitBurst = 3; }
