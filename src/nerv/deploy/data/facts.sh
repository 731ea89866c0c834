# What a machine is. `disks`, `addresses`, `api` and `gateway` are set before. POSIX sh; writes key=value lines only.
has() { command -v "$1" >/dev/null 2>&1 && echo y || echo n; }
PATH=$PATH:/usr/sbin:/sbin:/run/current-system/sw/bin
echo "clock=$(date +%s)"
echo "os=$(uname -s)"
echo "architecture=$(uname -m)"
echo "host=$(hostname 2>/dev/null || cat /proc/sys/kernel/hostname)"
echo "system=$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-$ID}")"
echo "variant=$(. /etc/os-release 2>/dev/null && echo "${ID:-}:${VARIANT_ID:-}")"
echo "memory=$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo)"
echo "firmware=$([ -d /sys/firmware/efi ] && echo uefi || echo bios)"
echo "container=$(systemd-detect-virt --container 2>/dev/null || :)"
echo "kexec=$([ -e /sys/kernel/kexec_loaded ] && echo y || echo n)"
echo "kexec-disabled=$(cat /proc/sys/kernel/kexec_load_disabled 2>/dev/null || echo 0)"
echo "lockdown=$(sed -n 's/.*\[\(.*\)\].*/\1/p' /sys/kernel/security/lockdown 2>/dev/null)"
for variable in /sys/firmware/efi/efivars/SecureBoot-*; do
  [ -r "$variable" ] && echo "secure-boot=$(od -An -tu1 -j4 -N1 "$variable" | tr -d ' ')"
done
for program in tar cpio setsid wget curl ip ping; do echo "program.$program=$(has "$program")"; done
[ "$(has setsid)" = y ] && { setsid --wait true 2>/dev/null || echo "program.setsid=n"; }
for disk in $disks; do
  real=$(readlink -f "$disk" 2>/dev/null)
  if [ ! -e "$disk" ]; then echo "disk.$disk=missing"
  elif [ ! -b "$real" ]; then echo "disk.$disk=other"
  else echo "disk.$disk=$(( $(cat "/sys/class/block/${real##*/}/size" 2>/dev/null || echo 0) * 512 ))"
  fi
done
for size in /sys/class/block/*/size; do
  name=${size%/size} name=${name##*/}
  [ -e "/sys/class/block/$name/partition" ] || case $name in loop*|ram*|sr*|zram*|dm-*|'*') ;; *)
    echo "present./dev/$name=$(( $(cat "$size") * 512 ))" ;;
  esac
done
for card in /sys/class/net/*/address; do [ -r "$card" ] && echo "card.$(cat "$card")=${card%/address}"; done
if [ "$(has ip)" = y ]; then
  ip -o -4 address show | while read -r _ card _ address rest; do
    case $rest in *dynamic*) echo "own.${address%/*}=dynamic" ;; *) echo "own.${address%/*}=static" ;; esac
  done
fi
if [ "$(has ping)" = y ]; then
  for address in $addresses $gateway; do
    ( ping -c 1 -W 1 "$address" >/dev/null 2>&1 && echo "answers.$address=ping" ) &
  done
  wait
  # whoever answers no ping still has to answer ARP
  [ "$(has ip)" = y ] && ip -4 neigh show | sed -n 's/^\([0-9.]*\) .*lladdr \([0-9a-f:]*\).*REACHABLE.*/neighbour.\1=\2/p'
fi
if [ -n "$api" ]; then
  if [ "$(has curl)" = y ]; then
    echo "api=$(curl -ks -m 5 "https://$api:6443/ping" 2>/dev/null || echo silent)"
  elif [ "$(has wget)" = y ]; then
    echo "api=$(wget -q -T 5 -O - --no-check-certificate "https://$api:6443/ping" 2>/dev/null || echo silent)"
  fi
fi
echo "end=y"
