{
  services.fstrim.enable = true
}
