#!/bin/bash
# machine: --driver standin
# A kernel that does not return, and a driver that does not keep its word: an init of a minute, an exit without end, an init that
# fails late, nodes that never appear or in the wrong order. Each has its documented state; the daemon answers all the while, and a
# watchdog that is short is content with it.
. /lab/tap.sh

mkdir -p /etc/nvidia-driverd/driverd.conf.d /etc/systemd/system/nvidia-driverd.service.d
printf '[Service]\nWatchdogSec=5s\nRestart=no\n' >/etc/systemd/system/nvidia-driverd.service.d/story.conf
# Wanted by something, the unit is not forgotten when it ends well, nor are its times and its exit status.
systemctl enable -q nvidia-driverd
configure() {
        printf '%s\n' "$@" >/etc/nvidia-driverd/driverd.conf.d/story.conf
}

bus_is_there() {
        [[ -S /run/nvidia-driverd/bus ]]
}

# SETTING...: starts the daemon with these, and a client that asks it until it goes.
start_asked() {
        configure "$@"
        systemctl start --no-block nvidia-driverd
        wait_for 20 bus_is_there
        bus_client /tmp/answers
}

# WHILE: what came of it; after the daemon has gone.
answers() {
        wait "$BUS_CLIENT"
        note "$1: $(cat /tmp/answers)"
        check "$1: the bus was asked all the while" grep -Eq 'Describe: [0-9]{2,} answers' /tmp/answers
        # The emulated processor's own slowness is in these times; what must not be in them is a wait for the kernel.
        check "$1: no answer waited for the kernel" awk '/longest/ && $(NF - 1) > 2500 { exit 1 }' /tmp/answers
}

# SECONDS: nothing but the client, for something that will take longer. Programs that are started one after the other, as polling
# does, fill the emulator's cache of translated code. Each time that is emptied the whole machine is slow for a tenth of a second,
# and that is no answer to how long the daemon takes.
quiet() {
        sleep "$1"
}

has_ended() {
        [[ $(systemctl show -P ActiveState nvidia-driverd) =~ ^(inactive|failed)$ ]]
}

# A minute of init.
began=$(now_ms)
start_asked '[Parameters]' 'nvidia=init_delay_ms=60000' '[Load]' 'TimeoutSec=3s'
check "a load that does not return is stuck" wait_for 20 state_is stuck
check "status tells the module, the helper and where the kernel is" \
        grep -q 'Module nvidia, helper process [0-9]*, kernel stack: ' <(nvidia-driver status)
check "its code is stuck" test "$(code)" = stuck
quiet 50
check "after 60 s the kernel comes back, and it goes on to ready by itself" wait_for 90 state_is ready
took=$((($(now_ms) - began) / 1000))
note "ready $took s after the start, slowest turn of the loop: $(slowest_turn) ms"
check "the init took a minute indeed" test $took -ge 60
check "stop" systemctl stop nvidia-driverd
answers "init of 60 s"
check_clean "stop after an init of 60 s"

# An init that fails late.
start_asked '[Parameters]' 'nvidia=init_delay_ms=3000 init_fail=5' '[Retry]' 'Attempts=1'
check "an init that fails late: the start ends" wait_for 20 has_ended
answers "init that fails late"
check "its code is load-failed" test "$(code)" = load-failed
check "the errno is told" grep -q 'Input/output error' <(nvidia-driver status)
check "nothing is left loaded" no_nvidia_module
systemctl reset-failed nvidia-driverd

# Nodes that never appear.
start_asked '[Parameters]' 'nvidia_drm=no_nodes=1' '[Load]' 'DeviceTimeoutSec=3s' '[Retry]' 'Attempts=1'
check "while nodes are waited for, that is the state" wait_for 20 state_is awaiting-devices
check "nodes that never appear: the start ends" wait_for 20 has_ended
answers "nodes that never appear"
check "its code is devices-missing" test "$(code)" = devices-missing
check "what is missing is named" grep -q 'render node of 0001:00:00.0' <(nvidia-driver status)
check "what was loaded is taken out again" no_nvidia_module
systemctl reset-failed nvidia-driverd

# The render node first, the card long after it; then an exit without end.
start_asked '[Parameters]' 'nvidia_drm=render_first=20000'
check "the render node comes" wait_for 20 test -c /dev/dri/renderD128
check_not "without the card" test -e /dev/dri/card0
check "it is not ready with the render node alone" test "$(systemctl show -P ActiveState nvidia-driverd)" = activating
check_not "and no card yet, still" test -e /dev/dri/card0
quiet 14
check "ready" wait_for 30 state_is ready
check "with the card" test -c /dev/dri/card0

echo 3600000 >/sys/module/nvidia/parameters/exit_delay_ms
systemctl stop --no-block nvidia-driverd
check "an exit without end: unloading" wait_for 10 state_is unloading
quiet 5
check "the stop ends" wait_for 20 has_ended
took=$(unit_ms ActiveExitTimestampMonotonic InactiveEnterTimestampMonotonic)
note "stop: $took ms"
check "at the deadline of 8 s" test "$took" -gt 7000 -a "$took" -lt 10000
answers "exit without end"
check "with the code of stuck" test "$(systemctl show -P ExecMainStatus nvidia-driverd)" = 41
check "status tells it afterwards" test "$(code)" = stuck
check "the helper is left alone: nothing was forced" grep -q . <(pgrep -f 'nvidia-driverd-helper delete nvidia')
check "the kernel is still at it" grep -q '^nvidia .*Unloading' /proc/modules
check_not "the watchdog never fired" grep -qi watchdog <(journalctl -u nvidia-driverd --no-pager)
finish
