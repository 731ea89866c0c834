{
  networking.hostName = "other";
}
