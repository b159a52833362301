#!/bin/bash
# The stand-in driver on the simulated boards: it looks like the real one, and each of its faults happens on demand.
#
#   tests/lab/exec --plain --driver standin [--gpus N] [--kernel K] tests/lab/stories/smoke-standin.sh
set -euo pipefail

fail() {
        echo "not ok - $*"
        dmesg | tail -n 20
        exit 1
}

load() {
        modprobe -a nvidia nvidia-uvm nvidia-modeset nvidia-drm
}

unload() {
        rmmod nvidia_drm nvidia_modeset nvidia_uvm nvidia
}

gpus=$(cat /lab/gpus)

load
udevadm settle
for ((i = 0; i < gpus; i++)); do
        [[ -c /dev/dri/card$i && -c /dev/dri/renderD$((128 + i)) ]] || fail "nodes of board $i"
done
[[ $(cat /sys/module/nvidia_modeset/refcnt) == 1 ]] || fail "refcnt of nvidia_modeset"
[[ $(ls /sys/module/nvidia/holders) == $'nvidia_drm\nnvidia_modeset\nnvidia_uvm' ]] || fail "holders of nvidia: $(ls /sys/module/nvidia/holders)"
[[ $(cat /sys/module/nvidia/version) == 535.999.01 ]] || fail "version"
grep -q 535.999.01 /proc/driver/nvidia/version || fail "/proc/driver/nvidia/version"
grep '^nvidia' /proc/modules | sed 's/.*Live/#/'
unload
[[ ! -e /dev/dri/card0 ]] || fail "card0 is left"
echo "ok - loads and unloads, $gpus boards, kernel $(uname -r)"

# nvidia-drm binds to nothing itself, so parameters go to the module that has them.
! modprobe nvidia init_fail=5 || fail "init_fail"
[[ ! -d /sys/module/nvidia ]] || fail "init_fail left the module"
echo "ok - init_fail"

started=$(date +%s%N)
modprobe nvidia init_delay_ms=2000
[[ $((($(date +%s%N) - started) / 1000000)) -ge 2000 ]] || fail "init_delay_ms"
rmmod nvidia
echo "ok - init_delay_ms"

modprobe nvidia-drm no_nodes=1
udevadm settle
[[ ! -e /dev/dri/card0 ]] || fail "no_nodes"
rmmod nvidia_drm
echo "ok - no_nodes"

modprobe nvidia-drm nodes_delay_ms=2000
[[ ! -e /dev/dri/card0 ]] || fail "nodes_delay_ms: a node at once"
sleep 4
[[ -e /dev/dri/card0 && -e /dev/dri/renderD128 ]] || fail "nodes_delay_ms: no node later"
rmmod nvidia_drm
echo "ok - nodes_delay_ms"

modprobe nvidia-drm render_first=3000 &
loader=$!
for ((i = 0; i < 40; i++)); do
        [[ ! -e /dev/dri/renderD128 ]] || break
        sleep 0.1
done
[[ -e /dev/dri/renderD128 && ! -e /dev/dri/card0 ]] || fail "render_first"
wait "$loader"
[[ -e /dev/dri/card0 ]] || fail "render_first: no card at all"
rmmod nvidia_drm
echo "ok - render_first"

modprobe nvidia-drm hold=1
! rmmod nvidia_drm 2>/dev/null || fail "hold"
echo 0 >/sys/module/nvidia_drm/parameters/hold
rmmod nvidia_drm
echo "ok - hold"

echo 2000 >/sys/module/nvidia/parameters/exit_delay_ms
rmmod nvidia_modeset
started=$(date +%s%N)
rmmod nvidia
[[ $((($(date +%s%N) - started) / 1000000)) -ge 2000 ]] || fail "exit_delay_ms"
echo "ok - exit_delay_ms"

load
udevadm settle
board=/sys/bus/pci/devices/0001:00:00.0
echo 1 >"$board/remove"
udevadm settle
[[ ! -e /dev/dri/card0 ]] || fail "card0 after its board was removed"
echo 1 >/sys/bus/pci/rescan
udevadm settle
[[ -e /dev/dri/card0 && -e /dev/dri/renderD128 ]] || fail "no nodes after the rescan"
unload
echo "ok - hotplug"
