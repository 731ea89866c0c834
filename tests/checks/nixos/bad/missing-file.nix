{
  imports = [ ./hardware.nix ];
}
