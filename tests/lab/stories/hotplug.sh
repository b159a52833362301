#!/bin/bash
# machine: --driver real --gpus 16
# GPUs are taken out of the bus and come back while READY: named, repaired without a restart, later if somebody uses a DRM node.
. /lab/tap.sh

FIRST=0001:00:05.0 SECOND=0001:00:0a.0 THIRD=0001:00:03.0

nodes() {
        local cards=(/dev/dri/card*) renders=(/dev/dri/renderD*) own=(/dev/nvidia[0-9]*)
        echo "${#cards[@]} ${#renders[@]} ${#own[@]}"
}

detail() {
        nvidia-driver status --json | sed -n 's/^  "detail": "\(.*\)",$/\1/p'
}

detail_has() {
        [[ $(detail) == *"$1"* ]]
}

module_began() {
        stat -c %y "/sys/module/$1/refcnt"
}

remove() {
        echo 1 >"/sys/bus/pci/devices/$1/remove"
}

rescan() {
        echo 1 >/sys/bus/pci/rescan
}

# On 6.1 nvidia_drm 535 does not let go of a GPU that is taken out. When it is unloaded the kernel warns of that, twice for each such
# GPU (a card and a render node). That is the driver's own: by hand it is the same.
warnings() {
        dmesg | grep -c 'WARNING:.*sysfs_remove_group' || true
}

# All others.
complaints() {
        dmesg | grep -E 'WARNING:|BUG:|Oops' | grep -vc sysfs_remove_group || true
}

check "systemctl start succeeds" systemctl start nvidia-driverd
check "16 cards, 16 render nodes and 16 of our own at READY" test "$(nodes)" = "16 16 16"
began=$(module_began nvidia) complaints=$(complaints)

note "round 1: nobody uses nvidia-drm"
remove $FIRST
check "degraded" wait_for 20 state_is degraded
check "the code is devices-lost" test "$(code)" = devices-lost
check "the GPU is named" detail_has "card node of $FIRST"
note "$(detail)"
before=$(now_ms)
rescan
check "ready again without a restart" wait_for 40 state_is ready
note "after $(($(now_ms) - before)) ms"
check "16 cards, 16 render nodes and 16 of our own again" test "$(nodes)" = "16 16 16"
check "the log says that nvidia-drm was loaded again" grep -q "Loaded nvidia-drm again in .* for GPU $FIRST" <(journalctl -u nvidia-driverd --no-pager)
check "and it went through repairing" grep -q 'degraded -> repairing' <(journalctl -u nvidia-driverd --no-pager)
check "nvidia itself was not touched" test "$(module_began nvidia)" = "$began"

note "round 2: a process holds the render node of a third GPU"
render=$(basename "$(ls -d /sys/bus/pci/devices/$THIRD/drm/renderD*)")
sleep 1000 <>"/dev/dri/$render" &
holder=$!
remove $SECOND
check "degraded" wait_for 20 state_is degraded
check "the other GPU is named" wait_for 5 detail_has "card node of $SECOND"
rescan
check "it says who is waited for" wait_for 30 detail_has "sleep[$holder]"
note "$(detail)"
check "and for which GPU" detail_has "$SECOND is back on the bus"
check "still degraded" state_is degraded
check "the holder lives" kill -0 $holder
check "nvidia-drm is left alone" test "$(cat /sys/module/nvidia_drm/refcnt)" = 1
kill $holder
check "ready by itself when the holder has gone" wait_for 40 state_is ready
check "16 cards, 16 render nodes and 16 of our own again" test "$(nodes)" = "16 16 16"
check "nvidia itself was not touched" test "$(module_began nvidia)" = "$began"
check "loaded again once for each" test "$(journalctl -u nvidia-driverd --no-pager | grep -c 'Loaded nvidia-drm again')" = 2

note "$(journalctl -u nvidia-driverd --no-pager -o short-monotonic | grep -E ': (State|Loaded) ')"
check "systemctl stop succeeds" systemctl stop nvidia-driverd
check_clean "stop"

note "by hand: insmod, remove, rescan, rmmod"
ours=$(warnings)
check "no other complaint of the kernel since READY" test "$(complaints)" = "$complaints"
for name in nvidia nvidia-modeset nvidia-drm; do
        insmod /var/lib/nvidia-driverd/builds/*/$name.ko
done
remove $FIRST
rescan
rmmod nvidia_drm nvidia_modeset nvidia
note "kernel warnings: $ours with us for two GPUs, $(($(warnings) - ours)) by hand for one"
check "the warnings are as many as by hand" test "$ours" = $((2 * ($(warnings) - ours)))
finish
