#!/bin/bash
# machine: --driver real --gpus 4
# READY waits for the card and the render node of every GPU.
. /lab/tap.sh

check "systemctl start succeeds" systemctl start nvidia-driverd
cards=(/dev/dri/card*) renders=(/dev/dri/renderD*)
check "4 card nodes at READY" test ${#cards[@]} = 4
check "4 render nodes at READY" test ${#renders[@]} = 4
check "status lists 4 GPUs with their nodes" test "$(nvidia-driver status | grep -c 'driver nvidia, /dev/dri/card')" = 4
note "$(nvidia-driver status | grep 10de)"

# A board that goes away is missed by name. When it is back nvidia-drm is loaded again for it (see hotplug.sh); a restart just then takes
# the whole driver out and in again.
echo 1 >/sys/bus/pci/devices/0001:00:01.0/remove
check "a removed GPU makes it degraded" wait_for 20 state_is degraded
check "the code is devices-lost" test "$(code)" = devices-lost
check "the GPU is named" grep -q 'node of 0001:00:01.0' <(nvidia-driver status)
echo 1 >/sys/bus/pci/rescan
check "the board is back on the bus" wait_for 20 test -e /sys/bus/pci/devices/0001:00:01.0
check "a restart at that moment succeeds" systemctl restart nvidia-driverd
check "it is ready with all of them again" state_is ready
cards=(/dev/dri/card*) renders=(/dev/dri/renderD*)
check "4 cards and 4 render nodes again" test "${#cards[@]} ${#renders[@]}" = "4 4"
check "systemctl stop succeeds" systemctl stop nvidia-driverd
check_clean "stop"
finish
