{ lib, ... }:
let
  count = n: 1 + count (n + 1);
in
{
  services.journald.extraConfig = toString (count 1);
  services.fstrim.interval = 5;
}
