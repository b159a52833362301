#!/bin/bash
# machine: --driver real
# The main job with NVIDIA's own modules: start, ready, adopt after a kill, stop, clean.
. /lab/tap.sh

systemctl start nvidia-driverd
status=$?
nodes=$(ls /dev/dri 2>&1 | tr '\n' ' ')
check "systemctl start succeeds" test $status = 0
check "card0 is there when READY arrives" test -c /dev/dri/card0
check "renderD128 is there when READY arrives" test -c /dev/dri/renderD128
note "nodes at READY: $nodes"
check "state is ready" state_is ready
check "the four modules are live" test "$(grep -c '^nvidia' /proc/modules)" = 4
check_not "no module was force-loaded (taint F)" grep -q '^nvidia.*(.*F.*)' /proc/modules
# 6.12's build runs objtool late: an interface object that has not met it makes the kernel warn of a return thunk.
check "the kernel has warned of nothing (taint W)" test $(($(</proc/sys/kernel/tainted) & 512)) = 0
note "tainted: $(</proc/sys/kernel/tainted); $(dmesg | grep -E 'WARNING:' | head -n 3)"
note "$(grep '^nvidia' /proc/modules | cut -d' ' -f1-4,7)"
check "the driver says version 535" grep -q 'Kernel Module  *535' /proc/driver/nvidia/version
check "systemd shows the status text" grep -q 'Ready: NVIDIA driver 535' <(systemctl status --no-pager nvidia-driverd)
check "the text status names the node" grep -q /dev/dri/renderD128 <(nvidia-driver status)
check "a second instance is refused" grep -q 'already running' <(/usr/sbin/nvidia-driverd 2>&1)

# As the OOM killer would: the daemon, not the helper that may be inside the kernel.
kill_daemon() {
        systemctl kill --kill-whom=main -s KILL nvidia-driverd
        wait_for 10 daemon_is_gone
}

daemon_is_gone() {
        [[ $(systemctl show -P MainPID nvidia-driverd) == 0 ]]
}

loaded=$(stat -c %Y /sys/module/nvidia)
for round in 1 2 3; do
        kill_daemon
        check "round $round: starts after SIGKILL" systemctl start nvidia-driverd
        check "round $round: ready again" state_is ready
done
check "by adoption: the driver was never reloaded" test "$(stat -c %Y /sys/module/nvidia)" = "$loaded"
check "the plan says adopted" grep -q 'adopting *run' <(nvidia-driver status)

check "systemctl stop succeeds" systemctl stop nvidia-driverd
check "the service ended well" test "$(systemctl show -P Result nvidia-driverd)" = success
check_clean "stop"

# Killed while it loads: at different moments, the next start always comes to READY. One of them does for another kernel.
delays=(0.3 0.8 2.2)
[[ $(uname -r) == 6.1.* ]] || delays=(1.6)
for delay in "${delays[@]}"; do
        systemctl start --no-block nvidia-driverd
        read -rt "$delay" <> <(:)
        before=$(state)
        kill_daemon
        check "killed after ${delay}s in state ${before:-none}: starts" systemctl start nvidia-driverd
        check "killed after ${delay}s: ready" state_is ready
        check "killed after ${delay}s: stops" systemctl stop nvidia-driverd
done
check_clean "after kills"
finish
