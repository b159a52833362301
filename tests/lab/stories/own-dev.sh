#!/bin/bash
# machine: --driver real --gpus 2
# As in a container: a /dev of its own, no udevd, no events, another network namespace. The nodes are in its /dev and in the host's, and
# come again in both; the one of a GPU that goes is removed in both.
. /lab/tap.sh

# What a container engine makes, and nothing else. (systemd has no setting that makes a /dev where mknod(2) works.)
mkdir /run/own-dev
mount -t tmpfs -o mode=755 tmpfs /run/own-dev
cp -a /dev/{null,zero,full,random,urandom,kmsg} /run/own-dev
mkdir -p /etc/systemd/system/nvidia-driverd.service.d
cat >/etc/systemd/system/nvidia-driverd.service.d/story.conf <<'END'
[Service]
PrivateNetwork=yes
BindPaths=/run/own-dev:/dev
InaccessiblePaths=/run/udev
END
systemctl daemon-reload

# NODE MODE of each of the driver's nodes below a directory.
nodes() {
        (cd "$1" && find . -path './dri/by-path' -prune -o \( -name 'nvidia*' -o -path './dri/*' \) -type c -printf '%P %m\n') | sort
}
own=/run/own-dev
is_there() {
        [[ -c $own/$1 && -c /dev/$1 ]]
}
is_gone() {
        [[ ! -e $own/$1 && ! -e /dev/$1 ]]
}
check "systemctl start succeeds" systemctl start nvidia-driverd
pid=$(systemctl show -P MainPID nvidia-driverd)
note "$(nvidia-driver status)"
note "own: $(nodes "$own" | tr '\n' ';')"
note "host: $(nodes /dev | tr '\n' ';')"
check "state is ready" state_is ready
check "its /dev is not the host's" test "/proc/$pid/root/dev" -ef "$own"
check "the network namespace is another one" test "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/1/ns/net)"
check "it says that it has no events" grep -q 'No events of udev' <(journalctl -u nvidia-driverd --no-pager -o cat)
for node in nvidiactl nvidia0 nvidia1 nvidia-uvm nvidia-uvm-tools nvidia-modeset dri/card0 dri/card1 dri/renderD128 dri/renderD129; do
        check "$node is in both" is_there "$node"
done
rm "$own/nvidia0" /dev/nvidia1 "$own/dri/renderD129"
for node in nvidia0 nvidia1 dri/renderD129; do
        check "$node is made again" wait_for 20 is_there "$node"
done
check "still ready" state_is ready
echo 1 >/sys/bus/pci/devices/0001:00:01.0/remove
# Its minors in /dev/dri stay until nvidia-drm is unloaded (535).
check "with its GPU nvidia1 goes from both" wait_for 20 is_gone nvidia1
check "degraded" wait_for 20 state_is degraded
check "nothing else is gone" is_there dri/renderD128
systemctl stop nvidia-driverd
check "the host's /dev is empty of them" test -z "$(nodes /dev)"
check "its own, too" test -z "$(nodes "$own")"
check_clean "stop"
finish
