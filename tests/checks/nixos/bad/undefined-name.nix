{ lib, ... }: {
  environment.systemPackages = optional true "x";
}
