{ config, ... }: {
  systemd.services.a = {
    environment = { API_KEY = "abc"; KEY_FILE = "/run/secrets/a"; };
    serviceConfig.Environment = [ "GITHUB_TOKEN=${config.sops.secrets.k3s-token.path}" "WEBHOOK_SECRET=open" "LANG=C" ];
    serviceConfig.ExecStart = "/run/current-system/sw/bin/true";
  };
}
