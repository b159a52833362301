#!/bin/bash
# NVIDIA's own modules, loaded by modprobe alone, on the simulated boards: what the lab must be able to before our daemon can be judged in it.
#
#   tests/lab/exec --plain [--gpus N] [--kernel K] tests/lab/stories/smoke-real.sh
set -euo pipefail

fail() {
        echo "not ok - $*"
        dmesg | grep -E 'NVRM|nvidia|simgpu' | tail -n 20
        exit 1
}

gpus=$(cat /lab/gpus)

boards=(/sys/bus/pci/devices/0001:*)
[[ ${#boards[@]} -eq $gpus ]] || fail "expected $gpus boards, found ${boards[*]}"
[[ ! -d /sys/module/nvidia && ! -d /sys/module/nouveau ]] || fail "a driver was loaded before the story began"

before=$(date +%s%N)
modprobe -a nvidia nvidia-uvm nvidia-modeset nvidia-drm
echo "# modprobe: $((($(date +%s%N) - before) / 1000000)) ms"

udevadm settle
for ((i = 0; i < gpus; i++)); do
        [[ -c /dev/dri/card$i ]] || fail "no /dev/dri/card$i"
        [[ -c /dev/dri/renderD$((128 + i)) ]] || fail "no /dev/dri/renderD$((128 + i))"
done
information=(/proc/driver/nvidia/gpus/0001:*/information)
[[ ${#information[@]} -eq $gpus ]] || fail "expected $gpus entries in /proc/driver/nvidia/gpus"
grep -q 'Kernel Module  *535\.' /proc/driver/nvidia/version || fail "no version 535 in /proc/driver/nvidia/version"
grep '^nvidia' /proc/modules | cut -c-60 | sed 's/^/# /'
grep '^nvidia' /proc/modules | sed 's/.*(/# taint (/'
head -n 1 /proc/driver/nvidia/version | sed 's/^/# /'

before=$(date +%s%N)
rmmod nvidia_drm nvidia_modeset nvidia_uvm nvidia
echo "# rmmod: $((($(date +%s%N) - before) / 1000000)) ms"
! grep '^nvidia' /proc/modules || fail "modules are left"
udevadm settle
[[ ! -e /dev/dri/card0 ]] || fail "/dev/dri/card0 is left"
echo "ok - real modules, $gpus boards, kernel $(uname -r)"
