{ lib, ... }:
{
  sops.gnupg.sshKeyPaths = lib.mkForce [ "/etc/ssh/ssh_host_rsa_key" ];
  services.openssh.hostKeys = [ { type = "rsa"; path = "/etc/ssh/ssh_host_rsa_key"; } ];
}
