#!/bin/bash
# Shown by tests/demo: each command with what it prints. Fails if the main job does.
set -u
failed=0

title() {
        printf '\n\033[1m# %s\033[0m\n' "$*"
}

run() {
        printf '\033[1m$ %s\033[0m\n' "$*"
        "$@" || { failed=1; echo "(exit status $?)"; }
}

title "A machine with a simulated GPU, and no driver"
run uname -r
run grep -l 0x10de /sys/bus/pci/devices/0001:00:00.0/vendor
run nvidia-driver plan

title "Start: systemd waits until the device nodes are there"
printf '\033[1m$ systemctl start nvidia-driverd\033[0m\n'
systemctl start --no-block nvidia-driverd
before='' now=''
until systemctl is-active -q nvidia-driverd; do
        now=$(systemctl show -P StatusText nvidia-driverd)
        if [[ -n $now && $now != "$before" ]]; then
                printf '  %s\n' "$now"
                before=$now
        fi
        if systemctl is-failed -q nvidia-driverd; then
                failed=1
                break
        fi
        read -rt 0.1 <> <(:) || true
done
now=$(systemctl show -P StatusText nvidia-driverd)
[[ $now == "$before" ]] || printf '  %s\n' "$now"

title "What is there now"
run nvidia-driver status
run ls -l /dev/dri
run cat /proc/driver/nvidia/version
run systemctl --no-pager --lines 0 status nvidia-driverd

title "Stop: out in the order in which they hold each other"
run systemctl stop nvidia-driverd
echo "nvidia modules left: $(grep -c '^nvidia' /proc/modules)"
grep -q '^nvidia' /proc/modules && failed=1

title "The journal of it all"
run journalctl -u nvidia-driverd --no-pager -o short-precise
exit $failed
