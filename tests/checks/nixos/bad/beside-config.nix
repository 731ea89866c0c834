{
  config.time.hardwareClockInLocalTime = true;
  services.fstrim.enable = true;
}
