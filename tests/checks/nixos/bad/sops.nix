{
  sops.secrets = {
    unknown-key = { };
    other-file.sopsFile = ../secrets/other.sops.yaml;
    outside.sopsFile = "/etc/secrets.yaml";
  };
}
