#!/bin/bash
# machine: --driver standin
# A stop in the middle of a load, and a load that takes too long: with the stand-in, whose init is as slow as one likes.
. /lab/tap.sh

mkdir -p /etc/nvidia-driverd/driverd.conf.d
configure() {
        printf '%s\n' "$@" >/etc/nvidia-driverd/driverd.conf.d/story.conf
}

configure '[Parameters]' 'nvidia=init_delay_ms=6000'
systemctl start --no-block nvidia-driverd
check "the load is under way" wait_for 10 grep -q '^nvidia .*Loading' /proc/modules
before=$(now_ms)
nvidia-driver status >/dev/null
answer=$(($(now_ms) - before))
note "status answered after $answer ms while the module initialised"
check "status is loading" state_is loading
systemctl stop nvidia-driverd
note "stop returned after $(($(now_ms) - before)) ms"
check_clean "stop during load"
check "the service ended well" test "$(systemctl show -P Result nvidia-driverd)" = success
check "it was unloaded after the load" grep -q 'Unloaded nvidia' <(journalctl -u nvidia-driverd --no-pager)

configure '[Parameters]' 'nvidia=init_delay_ms=6000' '[Load]' 'TimeoutSec=1s'
systemctl start --no-block nvidia-driverd
check "a load beyond its deadline is stuck" wait_for 10 state_is stuck
check "the code is told" grep -q 'stuck' <(journalctl -u nvidia-driverd --no-pager)
check "the kernel stack is told" grep -q 'kernel stack' <(journalctl -u nvidia-driverd --no-pager)
check "when the kernel comes back it goes on to ready" wait_for 30 state_is ready
check "and stops" systemctl stop nvidia-driverd
check_clean "stop after stuck"

configure '[Parameters]' 'nvidia=init_fail=5' '[Retry]' 'Attempts=2' 'DelaySec=100ms'
systemctl start nvidia-driverd
check "an init that fails ends in a code" test "$(code)" = load-failed
check "after the attempts allowed: two, so one wait" test "$(journalctl -u nvidia-driverd --no-pager | grep -c 'State .* -> backoff')" = 1
systemctl stop nvidia-driverd
systemctl reset-failed nvidia-driverd

configure '[Parameters]' 'nvidia_drm=no_nodes=1' '[Load]' 'DeviceTimeoutSec=2s' '[Retry]' 'Attempts=1' 'DelaySec=100ms'
systemctl start nvidia-driverd
check "nodes that never come end in a code" test "$(code)" = devices-missing
check "what is missing is named" grep -q 'render node of 0001:00:00.0' <(nvidia-driver status)
check "what was loaded is taken out again" no_nvidia_module
systemctl stop nvidia-driverd
systemctl reset-failed nvidia-driverd

configure '[Parameters]' 'nvidia_drm=render_first=1500'
systemctl start nvidia-driverd
check "with the render node long before the card, READY waits for both" test -c /dev/dri/card0
check "ready" state_is ready
check "stops" systemctl stop nvidia-driverd
check_clean "last stop"
finish
