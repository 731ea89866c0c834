{
  services.k3s.token = "not-a-secret-any-more";
  services.k3s.extraFlags = [ "--agent-token=not-a-secret-any-more" ];
  users.users.ada = { isNormalUser = true; initialPassword = "changeme"; };
}
