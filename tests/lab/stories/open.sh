#!/bin/bash
# machine: --kernel 6.12 --driver open
# NVIDIA's open modules of the same branch, built by our command: loaded on the simulated board, READY, and gone again. Not on 6.1, which
# has become too new for the version that Debian has: pci_resize_resource() has an argument more there since 6.1.19x.
. /lab/tap.sh

builds=/var/lib/nvidia-driverd/builds
id=$(ls "$builds")
check "the build is of the open driver" test "${id#*-open-}" != "$id"
systemctl start nvidia-driverd
status=$?
note "$(nvidia-driver status)"
note "$(journalctl -k --no-pager -o cat | grep -E 'NVRM|nvidia' | tail -n 20)"
check "systemctl start succeeds" test "$status" = 0
check "ready" state_is ready
check "the four modules are live" test "$(cat /sys/module/nvidia{,_uvm,_modeset,_drm}/initstate | sort | uniq -c | tr -s ' ')" = ' 4 live'
note "$(grep '^nvidia' /proc/modules | cut -d' ' -f1,7-)"
check "the driver says that it is the open one" grep -q 'Open Kernel Module' /proc/driver/nvidia/version
check_not "it is not proprietary, nor force-loaded (taint P, F)" grep -qE '^nvidia.*\(.*[PF].*\)' /proc/modules
check "card0 and renderD128 are there" test -c /dev/dri/card0 -a -c /dev/dri/renderD128
check "the status names the type" grep -q "$id" <(nvidia-driver status)
systemctl stop nvidia-driverd
check_clean "stop"
finish
