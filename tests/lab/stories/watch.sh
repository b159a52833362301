#!/bin/bash
# machine: --driver real
# Errors of a GPU in the kernel log, the unload that they forbid, and the firmware that the driver asks for.
. /lab/tap.sh

gpu=0001:00:00.0

# The driver's words, from inside the kernel.
say() {
        printf '%s' "$1" >/sys/module/simgpu/parameters/say
}

xid() {
        say "NVRM: Xid (PCI:${gpu%.0}): $1, pid=4711, name=python3, $2"
}

code_is() {
        [[ $(code) == "$1" ]]
}

log_has() {
        journalctl -u nvidia-driverd -o cat | grep -qF -- "$1"
}

degraded_twice() {
        [[ $(journalctl -u nvidia-driverd -o cat | grep -c 'State ready -> degraded') -ge 2 ]]
}

parameter() {
        cat /sys/module/firmware_class/parameters/path
}

mkdir -p /etc/nvidia-driverd/driverd.conf.d
printf '[Watch]\nQuietSec=4s\n' >/etc/nvidia-driverd/driverd.conf.d/50-lab.conf
version=$(basename "$(ls -d /var/lib/nvidia-driverd/builds/*)")
version=${version%%-*}
mkdir -p "/opt/nvidia/$version/firmware"
head -c 1000000 /dev/urandom >"/opt/nvidia/$version/firmware/gsp_tu10x.bin"

check "start" systemctl start nvidia-driverd
check "ready" state_is ready
check "the kernel is told where the firmware is" test "$(parameter)" = /run/nvidia/driver/lib/firmware
check "and it is there" cmp "/opt/nvidia/$version/firmware/gsp_tu10x.bin" "/run/nvidia/driver/lib/firmware/nvidia/$version/gsp_tu10x.bin"

# The driver asks for its firmware when the GPU is opened; what it reads is no firmware, so the GPU does not start.
mknod /tmp/nvidia0 c 195 0
check_not "opening the simulated GPU fails" dd if=/tmp/nvidia0 of=/dev/null count=0
note "$(dmesg | grep -iE 'firmware|gsp|RmInit' | tail -n 5)"
check_not "but not for want of firmware" grep -q 'Direct firmware load for nvidia.*failed' <(dmesg)
check "the driver's own message degrades" wait_for 15 log_has "State ready -> degraded"
check "with the address" log_has "GPU $gpu: RmInitAdapter failed"
check "and heals" wait_for 15 state_is ready
mv "/run/nvidia/driver/lib/firmware/nvidia/$version" /run/nvidia/driver/aside
dd if=/tmp/nvidia0 of=/dev/null count=0
check "with the firmware taken away the kernel says so" grep -q "Direct firmware load for nvidia/$version/gsp_tu10x.bin failed" <(dmesg)
mv /run/nvidia/driver/aside "/run/nvidia/driver/lib/firmware/nvidia/$version"
check "that degrades too" wait_for 15 degraded_twice
check "and heals as well" wait_for 15 state_is ready

# A module without device nodes that udev knows: only the module itself tells that it is gone.
rmmod nvidia_uvm
check "a module that somebody takes away degrades, with its name" wait_for 10 log_has "Gone: module nvidia_uvm"
check "and is loaded again" wait_for 15 log_has "Module nvidia-uvm was unloaded by somebody else, and is loaded again"
check "ready when it is back" wait_for 10 state_is ready

# Faults of programs, and what programs say.
xid 31 "Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS"
check "a program's fault is logged" wait_for 10 log_has "GPU $gpu: Xid 31 (GPU memory page fault)"
printf '<3>NVRM: Xid (PCI:%s): 79, pid=1, GPU has fallen off the bus.' "${gpu%.0}" >/dev/kmsg
xid 43 "Ch 00000008"
check "so is the next one" wait_for 10 log_has "Xid 43"
check "neither they nor what a program writes degrade" state_is ready

# An error of the hardware.
xid 48 "An uncorrectable double bit error (DBE) has been detected on GPU"
check "an Xid of the hardware degrades" wait_for 10 code_is gpu-error
check "with address, number and meaning" grep -qF "GPU $gpu: Xid 48 (double bit ECC error)" <(nvidia-driver status)
check "ready again after a time of quiet" wait_for 15 state_is ready

# Fallen off the bus, says the log; the GPU answers.
xid 79 "GPU has fallen off the bus."
check "a GPU that answers has an error like others" wait_for 10 code_is gpu-error
check "and it heals" wait_for 15 state_is ready

# Fallen off the bus.
echo 1 >/sys/module/simgpu/parameters/lost
xid 79 "GPU has fallen off the bus."
check "fallen off the bus degrades" wait_for 10 code_is gpu-lost
loaded=$(stat -c %Y /sys/module/nvidia)
before=$(now_ms)
systemctl stop nvidia-driverd
took=$(($(now_ms) - before))
note "stop: $took ms"
check "a stop does not hang" test $took -lt 5000
check "it ends with gpu-lost" test "$(systemctl show -P ExecMainStatus nvidia-driverd)" = 48
check "no module was touched" test "$(grep -c '^nvidia' /proc/modules)" = 4
check "the firmware stays" test "$(parameter)" = /run/nvidia/driver/lib/firmware
check "the advice is to reboot" grep -q 'Reboot the machine' <(nvidia-driver status)

# The next daemon reads the log, and asks the GPU, which is back.
echo 0 >/sys/module/simgpu/parameters/lost
systemctl reset-failed nvidia-driverd
check "the next start adopts" systemctl start nvidia-driverd
check "and does not take the log's word for it" wait_for 15 state_is ready
check "the driver was not reloaded" test "$(stat -c %Y /sys/module/nvidia)" = "$loaded"

# The administrator's own word. (This GPU lives again, so the unload returns.)
printf '[Stop]\nUnloadLostGpu=yes\n' >>/etc/nvidia-driverd/driverd.conf.d/50-lab.conf
systemctl reload nvidia-driverd
check "UnloadLostGpu=yes unloads" systemctl stop nvidia-driverd
check "the firmware is withdrawn" test -z "$(parameter)"
check_not "and gone" test -e /run/nvidia/driver
check_clean "stop"

# What people read afterwards.
nvidia-driver history >/tmp/history
check "the history has the error of the hardware" grep -q "kernel: GPU $gpu: Xid 48" /tmp/history
check "the lost GPU" grep -q 'degraded .*\[gpu-lost\]' /tmp/history
check "the end of the first daemon" grep -q 'ended  \[gpu-lost\]' /tmp/history
check "and how long the load took" grep -q 'after .* of loading' /tmp/history
note "$(cut -c-150 /tmp/history)"
journalctl --update-catalog
check "the journal explains an Xid" grep -q 'has fallen off the bus: unloading its driver would hang' <(journalctl -x -u nvidia-driverd)
finish
