#!/bin/sh
# The first process of a test machine: machine.sh FOLDER NAME SSHD. Runs in namespaces of its own (see machines.py).
set -eu
folder=$1 name=$2 sshd=$3
mkdir -p "$folder/layers"
mount -t tmpfs -o size=512m tmpfs "$folder/layers"
mkdir "$folder/layers/upper" "$folder/layers/work" "$folder/root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/layers/upper,workdir=$folder/layers/work" overlay "$folder/root"
root=$folder/root
mount -t proc proc "$root/proc"
for place in dev run tmp; do mount -t tmpfs -o mode=0755,size=16m tmpfs "$root/$place"; done
chmod 1777 "$root/tmp"
for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
if [ -d "$folder/bound" ]; then
  (cd "$folder/bound" && find . -type f) | while read -r file; do mount --bind "$folder/bound/$file" "$root/$file"; done
fi
mkdir -p "$root/run/sshd"
rm -rf "$root/root/.ssh" "$root/etc/ssh"
mkdir -p -m 700 "$root/root/.ssh" "$root/etc/ssh"
chmod 755 "$root/etc/ssh"
printf '%s\n' "$AUTHORIZED_KEY" >"$root/root/.ssh/authorized_keys"
for kind in ed25519 ecdsa; do ssh-keygen -q -t "$kind" -N '' -f "$root/etc/ssh/ssh_host_${kind}_key"; done
cat >"$root/etc/ssh/sshd_config" <<CONFIG
PermitRootLogin yes
PasswordAuthentication no
UsePAM no
UseDNS no
PidFile none
SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CONFIG
hostname "$name"
echo mounted
read -r _

# From here on: start sshd; HUP starts it anew, USR1 is a reboot.
# listening is known by the kernel's own table: port 22, state LISTEN
listening() { grep -qE '^ *[0-9]+: [0-9A-F]+:0016 [0-9A-F]+:0000 0A' "$root/proc/net/tcp"; }
serve() {
  # every process of the machine but this one, so that open connections end too
  rm -f "$root/run/sshd-up"
  for process in $(ls "$root/proc" | grep -E '^[0-9]+$'); do [ "$process" = 1 ] || kill -9 "$process" 2>/dev/null || :; done
  # what was killed holds its port until it is really gone
  while listening; do sleep 0.02; done
  chroot "$root" "$sshd" -D -e &
  server=$!
  until listening; do kill -0 "$server" || exit 1; sleep 0.02; done
  : >"$root/run/sshd-up"
}
boot() {
  if [ -e "$root/mnt/etc/os-release" ]; then
    for kind in ecdsa ed25519; do rm -f "$root/etc/ssh/ssh_host_${kind}_key" "$root/etc/ssh/ssh_host_${kind}_key.pub"; done
    rm -f "$root/etc/os-release"
    cp -a "$root/mnt/." "$root/"
    rm -rf "$root/mnt/etc"
    hostname "$(cat "$root/etc/hostname")"
    [ -e "$root/etc/ssh/ssh_host_ed25519_key" ] ||
      ssh-keygen -q -t ed25519 -N '' -f "$root/etc/ssh/ssh_host_ed25519_key"
  fi
  : >"$root/run/booted"
  serve
}
trap serve HUP
trap boot USR1
serve
while :; do wait || :; done
