# Wipes what K3s keeps on a machine (POSIX shell, run as root): certificates, database, images, its identity. Volumes of
# Longhorn lie elsewhere and stay.
#
# K3s' unit ends K3s alone (KillMode=process): containers, and the volumes that are mounted for them, outlive it. Nothing
# is removed while anything is mounted there, because removing would go on into the volumes.
set -eu

# below FOLDER...: what is mounted there, the deepest first
below() {
  while read -r _ place _; do
    for folder; do
      case $place in "$folder"/*) printf '%b\n' "$place" ;; esac
    done
  done </proc/mounts | sort -r
}

systemctl stop k3s
if command -v k3s-killall.sh >/dev/null; then
  k3s-killall.sh </dev/null >/dev/null 2>&1 || echo "k3s-killall.sh failed with exit code $?" >&2
fi
below /var/lib/kubelet /run/k3s /var/lib/rancher/k3s | while IFS= read -r place; do
  umount "$place" </dev/null 2>/dev/null || : # in use: looked at next
done
left=$(below /var/lib/kubelet /var/lib/rancher/k3s | tr '\n' ' ')
if [ -n "$left" ]; then
  echo "still mounted there: ${left% }" >&2
  exit 1
fi
rm -rf --one-file-system /var/lib/rancher/k3s /etc/rancher/node /var/lib/kubelet /var/lib/cni
