# worker-1 on root@192.168.1.20: update

# 1. check: the cluster is healthy and can do without this node for a while
nerv status --kubeconfig /home/you/config/nerv/home/kubeconfig
.nerv/deploy/worker-1/bin/ssh root@192.168.1.20 readlink -f /run/current-system

# 2. prepare: evaluate here, build, copy the new system beside the old one, and say which units would change
PATH=$PWD/.nerv/deploy/worker-1/bin:$PATH nix --extra-experimental-features 'nix-command flakes' run 'github:NixOS/nixpkgs/ac62194c3917d5f474c1a844b6fd6da2db95077d#nixos-rebuild' -- dry-activate --fast --flake 'git+file:///home/you/home?dir=nixos#worker-1' --target-host root@192.168.1.20 --build-host root@192.168.1.20

# 3. cordon: no new pods for it
kubectl --kubeconfig /home/you/config/nerv/home/kubeconfig cordon worker-1

# 4. drain: its pods move, as PodDisruptionBudgets allow; emptyDir data goes with them
kubectl --kubeconfig /home/you/config/nerv/home/kubeconfig drain worker-1 --ignore-daemonsets --delete-emptydir-data

# 5. arm: a timer on the machine takes it back after 300 s unless disarmed
old=$(.nerv/deploy/worker-1/bin/ssh root@192.168.1.20 readlink -f /run/current-system)
.nerv/deploy/worker-1/bin/ssh root@192.168.1.20 "systemctl stop nerv-rollback.timer 2>/dev/null; systemd-run --unit=nerv-rollback --collect --on-active=300 --timer-property=AccuracySec=1s -- /bin/sh -c '$old/sw/bin/nix-env --profile /nix/var/nix/profiles/system --set $old && $old/bin/switch-to-configuration switch'"

# 6. switch: switch to the new system
PATH=$PWD/.nerv/deploy/worker-1/bin:$PATH nix --extra-experimental-features 'nix-command flakes' run 'github:NixOS/nixpkgs/ac62194c3917d5f474c1a844b6fd6da2db95077d#nixos-rebuild' -- switch --fast --flake 'git+file:///home/you/home?dir=nixos#worker-1' --target-host root@192.168.1.20 --build-host root@192.168.1.20

# 7. confirm: log in anew, see K3s run, and disarm the timer
.nerv/deploy/worker-1/bin/ssh root@192.168.1.20 'systemctl is-active --quiet nerv-rollback.timer && systemctl stop nerv-rollback.timer && ! systemctl is-active --quiet nerv-rollback.service; systemctl is-active k3s'

# 8. uncordon: the node is Ready: pods may come again
kubectl --kubeconfig /home/you/config/nerv/home/kubeconfig wait --for=condition=Ready node/worker-1 --timeout=900s
kubectl --kubeconfig /home/you/config/nerv/home/kubeconfig uncordon worker-1

# 9. gate: the node, its pods and Flux are Ready
nerv status --kubeconfig /home/you/config/nerv/home/kubeconfig
