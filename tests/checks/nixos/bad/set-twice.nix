{
  services.fstrim.enable = true;
  services.fstrim.enable = false;
}
