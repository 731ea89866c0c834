# A module as people write it by hand: functions, conditions, own options, everything that evaluates offline.
{ config, lib, pkgs, inputs, ... }@arguments:

with lib;

let
  cfg = config.home.monitoring;
  inherit (lib) types;
  port = 9100;
  users = {
    ada = { admin = true; keys = [ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPg6qr6LGnkxZH2/+rFcc3ayn49XeRKP9Qo9GstnO5lo ada" ]; };
    grace.keys = [ ];
  };
  script = pkgs.writeShellScriptBin "where" ''
    echo "${config.networking.hostName} ${toString cfg.port}" ''${HOME}
    exec ${pkgs.coreutils}/bin/uname ${escapeShellArgs [ "-n" "it's" ]}
  '';
in
{
  imports = [ ./parts ./parts/default.nix ];

  options.home.monitoring = {
    enable = mkEnableOption "monitoring";
    port = mkOption { type = types.port; default = port; description = "Where."; };
    labels = mkOption { type = types.attrsOf types.str; default = { }; };
    checks = mkOption {
      default = { };
      type = types.attrsOf (types.submodule ({ name, config, ... }: {
        options = {
          command = mkOption { type = types.either types.str (types.listOf types.str); };
          every = mkOption { type = types.strMatching "[0-9]+(s|min|h)"; default = "5min"; };
          title = mkOption { type = types.str; default = "check ${name}"; };
        };
        config.every = mkIf (name == "slow") "1h";
      }));
    };
  };

  config = mkMerge [
    {
      home.monitoring = { enable = true; labels.site = "home"; checks.slow.command = [ "sleep" "1" ]; checks.fast.command = "true"; };
      environment.systemPackages = with pkgs; [ git htop script ] ++ optional cfg.enable curl;
      users.users = mapAttrs (name: user: {
        isNormalUser = true;
        extraGroups = optional (user.admin or false) "wheel";
        openssh.authorizedKeys.keys = user.keys;
      }) users;
      security.sudo.wheelNeedsPassword = mkDefault true;
      environment.etc."motd".text = mkBefore "welcome to ${config.networking.hostName}\n";
      environment.etc."checks.json".source = (pkgs.formats.json { }).generate "checks.json" cfg.checks;
      boot.kernel.sysctl."vm.swappiness" = mkOverride 90 10;
      system.stateVersion = mkDefault "24.11";
    }
    (mkIf cfg.enable {
      networking.firewall.allowedTCPPorts = [ cfg.port ];
      services.openssh.settings.X11Forwarding = mkForce false;
      systemd.services = mapAttrs' (name: check: nameValuePair "check-${name}" {
        description = check.title;
        startAt = check.every;
        path = [ pkgs.bash ];
        script = concatMapStringsSep "\n" (line: "${line} # ${name}") (toList check.command);
        serviceConfig = { Type = "oneshot"; DynamicUser = true; };
      }) cfg.checks;
    })
    (optionalAttrs (arguments ? inputs && inputs ? nixpkgs) { nix.registry.nixpkgs.flake = inputs.nixpkgs; })
    {
      assertions = [ { assertion = cfg.port != 22; message = "the port of SSH"; } ];
      services.journald.extraConfig = ''
        Storage=persistent
      '';
      systemd.tmpfiles.rules = genList (n: "d /var/lib/home/${toString n} 0750 root root -") 2;
      users.groups = genAttrs [ "media" "backup" ] (name: { });
      fileSystems."/mnt/nas" = { device = "nas:/export"; fsType = "nfs"; options = [ "noauto" "x-systemd.automount" ]; };
    }
  ];
}
