#!/bin/bash
# machine: --driver none --gpus 1 --nouveau
. /lab/tap.sh
udevadm control --log-level=debug
mark() { echo "MARK $*" | systemd-cat -t systemd-udevd; }
try() {
  modprobe -r nouveau 2>&1
  mark "try $1"
  udevadm trigger --action=add --settle /sys/bus/pci/devices/0001:00:00.0
  sleep 1
  if grep -q '^nouveau' /proc/modules; then echo "$1: nouveau LOADED"; else echo "$1: nouveau kept out"; fi
}
mkdir -p /run/modprobe.d /run/udev/rules.d
echo "blacklist nouveau" > /run/modprobe.d/x.conf
echo "# nothing" > /run/udev/rules.d/61-x.rules
note "$(try at-once)"
sleep 4
note "$(try 4s-later)"
udevadm control --reload
note "$(try reload)"
rm /run/modprobe.d/x.conf /run/udev/rules.d/61-x.rules; rmdir /run/udev/rules.d /run/modprobe.d
note "$(try removed)"
sleep 4
note "$(try removed-4s)"
mkdir -p /run/udev/rules.d
echo 'SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{class}=="0x030[02]??", ENV{MODALIAS}=""' > /run/udev/rules.d/61-x.rules
note "$(try rule-at-once)"
sleep 4
note "$(try rule-later)"
note "$(udevadm info /sys/bus/pci/devices/0001:00:00.0)"
note "$(journalctl -b --no-pager -o short-monotonic | grep -iE 'MARK|reload|Timestamp|Inserted|denylist|index|config' | tail -60)"
check "done" true
finish
