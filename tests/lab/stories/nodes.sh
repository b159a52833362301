#!/bin/bash
# machine: --driver real --gpus 2
# The driver's own device nodes: there at READY, right, usable, made again, gone after the stop.
. /lab/tap.sh

# Nodes that are not as they should be: PATH MAJOR MINOR MODE for each line on standard input.
wrong() {
        local path major minor mode group is
        while read -r path major minor mode; do
                group=root
                [[ $mode != 660 ]] || group=video
                is=$(stat -c '%F %Hr %Lr %a %U %G' "$path" 2>&1)
                [[ $is == "character special file $major $minor $mode root $group" ]] || echo "$path: $is"
                [[ /dev/char/$major:$minor -ef $path ]] || echo "/dev/char/$major:$minor: $(readlink "/dev/char/$major:$minor")"
        done
}

major_of() {
        awk -v name="$1" '$2 == name { print $1 }' /proc/devices
}

expected() {
        cat <<-END
		/dev/nvidiactl 195 255 660
		/dev/nvidia0 195 0 660
		/dev/nvidia1 195 1 660
		/dev/nvidia-modeset 195 254 660
		/dev/nvidia-uvm $(major_of nvidia-uvm) 0 660
		/dev/nvidia-uvm-tools $(major_of nvidia-uvm) 1 660
		/dev/nvidia-caps/nvidia-cap1 $(major_of nvidia-caps) 1 400
		/dev/nvidia-caps/nvidia-cap2 $(major_of nvidia-caps) 2 444
	END
}

all_right() {
        [[ -z $(wrong < <(expected)) ]]
}

# Without a child: what is measured is the daemon.
are_there() {
        local path
        for path; do
                [[ -e $path ]] || return 1
        done
}

none_left() {
        [[ -z $(find /dev -name '*nvidia*' -o -lname '*nvidia*') ]]
}

# The driver's parameters name group and mode. A node from an earlier life of nvidia-uvm is in the way.
mkdir -p /etc/nvidia-driverd/driverd.conf.d
printf '%s\n' '[Parameters]' 'nvidia=NVreg_DeviceFileGID=44 NVreg_DeviceFileMode=0660' >/etc/nvidia-driverd/driverd.conf.d/story.conf
mknod /dev/nvidia-uvm c 239 0
check "systemctl start succeeds" systemctl start nvidia-driverd
problems=$(wrong < <(expected))
note "$problems"
check "all nodes and links are there when READY arrives, with their numbers and modes" test -z "$problems"
check "no other nodes" test "$(find /dev -name 'nvidia*' -type c | wc -l)" = 8
check "the status lists them" test "$(nvidia-driver status --json | grep -c '"node": "/dev/nvidia')" = 8
check "/dev/nvidiactl can be opened" bash -c 'exec 3<>/dev/nvidiactl'
check "/dev/nvidia-uvm can be opened" bash -c 'exec 3<>/dev/nvidia-uvm'
check "and by its link in /dev/char" bash -c 'exec 3<>/dev/char/195:255'

note "made again:"
for gone in /dev/nvidia0 "/dev/nvidiactl /dev/char/195:0" /dev/nvidia-caps /dev/dri/renderD128; do
        # shellcheck disable=SC2086
        rm -r $gone
        before=$EPOCHREALTIME
        # shellcheck disable=SC2086
        check "$gone comes back" wait_for 10 are_there $gone
        after=$EPOCHREALTIME
        note "after $(((${after/./} - ${before/./}) / 1000)) ms"
        check "all is right again" wait_for 10 all_right
done
check "group and mode of the render node" test "$(stat -c '%G %a' /dev/dri/renderD128)" = "render 660"
rm /dev/nvidia-uvm
mknod /dev/nvidia-uvm c 239 0
check "a wrong number is put right" wait_for 10 all_right
check "the log says so" grep -q 'Made device nodes: .*/dev/nvidia0' <(journalctl -u nvidia-driverd --no-pager)
check_not "READY never broke" grep -q degraded <(journalctl -u nvidia-driverd --no-pager)

# Held open: the node may vanish and come back, the holder is not disturbed, and a restart of the daemon leaves all alone.
exec {held}<>/dev/nvidiactl
inode=$(stat -c %i /dev/nvidiactl)
systemctl kill --kill-whom=main -s KILL nvidia-driverd
check "adopts after SIGKILL" wait_for 20 state_is ready
check "nodes are right" all_right
check "and the same ones" test "$(stat -c %i /dev/nvidiactl)" = "$inode"
exec {held}>&-

systemctl stop nvidia-driverd
note "$(find /dev -name '*nvidia*' -o -lname '*nvidia*')"
check "no node and no link is left after the stop" none_left
check_clean "stop"

# Hands off means hands off.
printf '%s\n' '[Parameters]' 'nvidia=NVreg_ModifyDeviceFiles=0' >/etc/nvidia-driverd/driverd.conf.d/story.conf
systemctl start --no-block nvidia-driverd
waits() {
        grep -q '"progress": "Waiting for device nodes: /dev/nvidiactl' <(nvidia-driver status --json)
}
check "hands off: waits for somebody to make them" wait_for 30 waits
note "$(grep -r . /proc/driver/nvidia/capabilities)"
mkdir -p /dev/nvidia-caps
while read -r path major minor _; do
        [[ -e $path ]] || mknod -m 604 "$path" c "$major" "$minor"
done < <(expected)
check "and is ready when they are there" wait_for 20 state_is ready
check "untouched" test "$(stat -c %a /dev/nvidiactl /dev/nvidia0 /dev/nvidia-uvm | sort -u)" = 604
systemctl stop nvidia-driverd
check "left alone after the stop" test -c /dev/nvidiactl
check "no module" no_nvidia_module
finish
