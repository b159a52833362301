#!/bin/bash
# machine: --driver real --gpus 4
# READY waits for the card and the render node of every GPU.
. /lab/tap.sh

check "systemctl start succeeds" systemctl start nvidia-driverd
check "4 card nodes at READY" test "$(ls /dev/dri | grep -c '^card')" = 4
check "4 render nodes at READY" test "$(ls /dev/dri | grep -c '^renderD')" = 4
check "status lists 4 GPUs with their nodes" test "$(nvidia-driver status | grep -c 'driver nvidia, /dev/dri/card')" = 4
note "$(nvidia-driver status | grep 10de)"

# A board that goes away is missed, and welcome when it comes back.
echo 1 >/sys/bus/pci/devices/0001:00:01.0/remove
check "a removed GPU makes it degraded" wait_for 20 state_is degraded
check "the code is devices-lost" test "$(code)" = devices-lost
check "the GPU is named" grep -q 0001:00:01.0 <(nvidia-driver status)
echo 1 >/sys/bus/pci/rescan
check "it is ready again when the GPU is back" wait_for 30 state_is ready
check "systemctl stop succeeds" systemctl stop nvidia-driverd
check_clean "stop"
finish
