#!/bin/bash
# machine: --driver standin
# Without the host's network namespace, as in a container: udevd's events do not arrive. The start does not wait for a time limit
# because of that, and nodes that go are noticed.
. /lab/tap.sh

mkdir -p /etc/systemd/system/nvidia-driverd.service.d
printf '[Service]\nPrivateNetwork=yes\n' >/etc/systemd/system/nvidia-driverd.service.d/story.conf
mkdir -p /etc/nvidia-driverd/driverd.conf.d
# After loading, so that the nodes are not there at the first look.
printf '%s\n' '[Parameters]' 'nvidia_drm=nodes_delay_ms=3000' >/etc/nvidia-driverd/driverd.conf.d/story.conf
systemctl enable -q nvidia-driverd

began=$(now_ms)
check "systemctl start succeeds" systemctl start nvidia-driverd
took=$(($(now_ms) - began))
pid=$(systemctl show -P MainPID nvidia-driverd)
check "the network namespace is another one" test "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/1/ns/net)"
note "ready after $took ms, 3000 of them until the driver announced its nodes"
check "ready long before the limit of 30 s for nodes" test $took -lt 20000
check "no attempt failed" test "$(journalctl -u nvidia-driverd --no-pager | grep -c 'backoff')" = 0
check "the card is there" test -c /dev/dri/card0
check "the render node, too" test -c /dev/dri/renderD128

gpu=$(dirname "$(readlink -f /sys/class/drm/renderD128/device/drm)")
echo 1 >"$gpu/remove"
check "a GPU that goes is noticed" wait_for 20 state_is degraded
check "by name" grep -q "${gpu##*/}" <(nvidia-driver status)
check "systemctl stop succeeds" systemctl stop nvidia-driverd
check_clean "stop"
finish
