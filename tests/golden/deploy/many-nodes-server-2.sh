# server-2 on admin@rescue.example.org:2222

# 1. trust: know the host key of admin@rescue.example.org:2222; nixos-anywhere itself would take any
mkdir -p -m 700 .nerv/deploy/server-2/bin
ssh-keyscan -p 2222 rescue.example.org | sed 's/^[^ #]*/rescue.example.org,[rescue.example.org]:2222/' > .nerv/deploy/server-2/known_hosts
ssh-keygen -lf .nerv/deploy/server-2/known_hosts    # compare with the machine's own console
cat > .nerv/deploy/server-2/bin/ssh <<END
#!/bin/sh
exec /usr/bin/ssh '-oUserKnownHostsFile=$PWD/.nerv/deploy/server-2/known_hosts' -oGlobalKnownHostsFile=/dev/null -oStrictHostKeyChecking=yes -oUpdateHostKeys=no -oServerAliveInterval=10 -oServerAliveCountMax=3 "\$@"
END
chmod 700 .nerv/deploy/server-2/bin/ssh

# 2. preflight: everything that speaks against it, before anything is changed
nerv check && nerv render --check && git status --short    # all three must say nothing
.nerv/deploy/server-2/bin/ssh admin@rescue.example.org 'uname -m; grep MemTotal /proc/meminfo; ls -d /sys/firmware/efi; lsblk /dev/sda; date; cat /proc/sys/kernel/kexec_load_disabled'

# 3. build: build the system here, so that a mistake in it costs nothing
nix --extra-experimental-features 'nix-command flakes' build --no-link 'git+file:///home/you/many-nodes?dir=nixos#nixosConfigurations.server-2.config.system.build.diskoScript' 'git+file:///home/you/many-nodes?dir=nixos#nixosConfigurations.server-2.config.system.build.toplevel'

# 4. kexec: start the NixOS installer from the machine's memory (its disks stay as they are)
PATH=$PWD/.nerv/deploy/server-2/bin:$PATH nix --extra-experimental-features 'nix-command flakes' run github:nix-community/nixos-anywhere/1.13.0 -- --flake 'git+file:///home/you/many-nodes?dir=nixos#server-2' --target-host admin@rescue.example.org -p 2222 --env-password --phases kexec --build-on local

# 5. install: partition the disks and install NixOS, with the host key that secrets are encrypted to
extra=$(mktemp -d)
install -D -m 600 /home/you/.config/nerv/many-nodes/hosts/server-2/ssh_host_ed25519_key $extra/etc/ssh/ssh_host_ed25519_key
install -m 644 nixos/keys/server-2.pub $extra/etc/ssh/ssh_host_ed25519_key.pub
PATH=$PWD/.nerv/deploy/server-2/bin:$PATH nix --extra-experimental-features 'nix-command flakes' run github:nix-community/nixos-anywhere/1.13.0 -- --flake 'git+file:///home/you/many-nodes?dir=nixos#server-2' --target-host root@rescue.example.org --env-password --phases disko,install --build-on local --extra-files $extra
rm -rf $extra

# 6. reboot: start the installed system
PATH=$PWD/.nerv/deploy/server-2/bin:$PATH nix --extra-experimental-features 'nix-command flakes' run github:nix-community/nixos-anywhere/1.13.0 -- --flake 'git+file:///home/you/many-nodes?dir=nixos#server-2' --target-host root@rescue.example.org --env-password --phases reboot --build-on local

# 7. ssh: wait for the new system, which proves the host key that NERV made
echo "10.20.0.12 $(cut -d' ' -f1,2 nixos/keys/server-2.pub)" > .nerv/deploy/server-2/known_hosts
until .nerv/deploy/server-2/bin/ssh root@10.20.0.12 true; do sleep 5; done

# 8. join: K3s joins the cluster at 10.20.0.10
.nerv/deploy/server-2/bin/ssh root@10.20.0.12 'systemctl is-active k3s || journalctl -u k3s -n 50 --no-pager'

# 9. image: bring the image of NERV's console, made out of this checkout
nerv image .nerv/images/nerv-console.tar.gz
.nerv/deploy/server-2/bin/ssh root@10.20.0.12 'mkdir -p /var/lib/rancher/k3s/agent/images && cat > /var/lib/rancher/k3s/agent/images/nerv-console.tar.gz' < .nerv/images/nerv-console.tar.gz
.nerv/deploy/server-2/bin/ssh root@10.20.0.12 'gzip --decompress --stdout /var/lib/rancher/k3s/agent/images/nerv-console.tar.gz | k3s ctr images import -'

# 10. kubeconfig: fetch the cluster's kubeconfig to /home/you/.config/nerv/many-nodes/kubeconfig (0600)
.nerv/deploy/server-2/bin/ssh root@10.20.0.12 cat /etc/rancher/k3s/k3s.yaml | sed 's/127.0.0.1/10.20.0.10/; s/: default$/: many-nodes/' > /home/you/.config/nerv/many-nodes/kubeconfig
chmod 600 /home/you/.config/nerv/many-nodes/kubeconfig

# 11. health: wait until the node, every Flux object and every pod is Ready
nerv status --kubeconfig /home/you/.config/nerv/many-nodes/kubeconfig
