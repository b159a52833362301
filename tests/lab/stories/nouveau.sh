#!/bin/bash
# machine: --driver real --gpus 2 --nouveau
# GPUs that other drivers have: refused and explained; with TakeOver=yes taken over, and nouveau kept out.
. /lab/tap.sh

first=0001:00:00.0 second=0001:00:01.0
driver_of() {
        basename "$(readlink "/sys/bus/pci/devices/$1/driver")"
}
is_bound() {
        [[ $(driver_of "$1") == "$2" ]]
}
trigger() {
        udevadm trigger --action=add --settle "/sys/bus/pci/devices/$first"
}

# udev has loaded the kernel's nouveau by now. It cannot drive a simulated board; the stand-in of its name can.
check "udev loads nouveau for a board" wait_for 30 grep -q '^nouveau' /proc/modules
modprobe -r nouveau
insmod /usr/lib/lab/nouveau.ko
check "nouveau has the first GPU" is_bound "$first" nouveau
check "nouveau has the second GPU" is_bound "$second" nouveau

systemctl start nvidia-driverd
check "with nouveau: the exit status is that of gpu-claimed" test "$(systemctl show -P ExecMainStatus nvidia-driverd)" = 37
check "it is not restarted" test "$(systemctl show -P NRestarts nvidia-driverd)" = 0
check "both GPUs and the driver are named" grep -q "GPU $first is bound to nouveau; GPU $second is bound to nouveau" <(nvidia-driver status)
check "the next step is TakeOver=yes" grep -q 'TakeOver=yes' <(nvidia-driver status)
check "nothing was loaded" no_nvidia_module
check_not "no list was left" test -e /run/modprobe.d/nvidia-driverd.conf

mkdir -p /etc/nvidia-driverd/driverd.conf.d
printf '[Devices]\nTakeOver=yes\nExclude=%s\n' "$second" >/etc/nvidia-driverd/driverd.conf.d/devices.conf
modprobe pci-stub
echo "$first" >/sys/bus/pci/drivers/nouveau/unbind
echo pci-stub >"/sys/bus/pci/devices/$first/driver_override"
echo "$first" >/sys/bus/pci/drivers_probe
check "another driver has it by its driver_override" is_bound "$first" pci-stub
check "the plan says what will be done" grep -q "clearing .*run .*GPU $first is bound to pci-stub" <(nvidia-driver plan)
check "taken from pci-stub: systemctl start succeeds" systemctl start nvidia-driverd
check "the first GPU is ours" is_bound "$first" nvidia
check "the override is cleared" test "$(cat "/sys/bus/pci/devices/$first/driver_override")" = "(null)"
check "the excluded GPU is left to nouveau" is_bound "$second" nouveau
check "so nouveau stays loaded" grep -q '^nouveau' /proc/modules
check "one GPU is promised" grep -q ', 1 GPU' <(systemctl show -P StatusText nvidia-driverd)
check "stop succeeds" systemctl stop nvidia-driverd

rm /etc/nvidia-driverd/driverd.conf.d/devices.conf
printf '[Devices]\nTakeOver=yes\n' >/etc/nvidia-driverd/driverd.conf.d/devices.conf
echo "$first" >/sys/bus/pci/drivers_probe
check "nouveau has both again" is_bound "$first" nouveau
check "taken from nouveau: systemctl start succeeds" systemctl start nvidia-driverd
check "the first is ours" is_bound "$first" nvidia
check "the second is ours" is_bound "$second" nvidia
check_not "nouveau is unloaded" grep -q '^nouveau' /proc/modules
trigger
check_not "udev does not load it again" grep -q '^nouveau' /proc/modules
check "it is ready" state_is ready
check "stop succeeds again" systemctl stop nvidia-driverd
check_clean "stop"
check_not "the list is gone" test -e /run/modprobe.d
check_not "the rules are gone" test -e /run/udev/rules.d

# A GPU that is free and excluded is kept from the driver.
printf '[Devices]\nExclude=%s\n' "$second" >/etc/nvidia-driverd/driverd.conf.d/devices.conf
check "with one excluded: start succeeds" systemctl start nvidia-driverd
check_not "the excluded GPU has no driver" test -e "/sys/bus/pci/devices/$second/driver"
check "status says so" grep -q "$second .*driver none, excluded" <(nvidia-driver status)
check "stop with one excluded succeeds" systemctl stop nvidia-driverd
check "its override is cleared" test "$(cat "/sys/bus/pci/devices/$second/driver_override")" = "(null)"
finish
