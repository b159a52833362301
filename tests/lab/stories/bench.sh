#!/bin/bash
# machine: --driver real --disk
# Side by side in one machine: the daemon against the bare tools, same driver. Prints medians and ratios; judges nothing but success.
. /lab/tap.sh

rounds=${1:-5}
milliseconds() { # COMMAND...
        local before
        before=$(now_ms)
        "$@" >/dev/null 2>&1 || echo "# failed: $*" >&2
        echo $(($(now_ms) - before))
}

median() {
        sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

clear_up() {
        systemctl stop nvidia-driverd
        rmmod nvidia_drm nvidia_modeset nvidia_uvm nvidia drm_kms_helper drm video 2>/dev/null
        udevadm settle
}

# Milliseconds between two of systemd's own timestamps of the unit: systemctl and its bus connection are not ours to measure.
between() {
        local a b
        a=$(systemctl show -P "$1" nvidia-driverd) b=$(systemctl show -P "$2" nvidia-driverd)
        echo $(((b - a) / 1000))
}

# The same files for modprobe. udev is not to load them when it sees the board.
modules=/lib/modules/$(uname -r)
mkdir -p "$modules/extra" /run/modprobe.d
cp /var/lib/nvidia-driverd/builds/*/*.ko "$modules/extra"
printf 'blacklist %s\n' nvidia nvidia_uvm nvidia_modeset nvidia_drm >/run/modprobe.d/bench.conf
check "modprobe knows the same modules" depmod

# An inactive unit that nothing refers to is forgotten, and its timestamps with it.
systemctl enable -q nvidia-driverd

start=() stop=() modprobe=() rmmod=() start_wall=() stop_wall=()
for ((i = 0; i <= rounds; i++)); do
        clear_up
        a=$(milliseconds modprobe -a nvidia nvidia-uvm nvidia-modeset nvidia-drm)
        udevadm settle
        b=$(milliseconds rmmod nvidia_drm nvidia_modeset nvidia_uvm nvidia)
        clear_up
        c=$(milliseconds systemctl start nvidia-driverd)
        state_is ready || not_ok "round $i is ready"
        e=$(between InactiveExitTimestampMonotonic ActiveEnterTimestampMonotonic)
        udevadm settle
        d=$(milliseconds systemctl stop nvidia-driverd)
        f=$(between ActiveExitTimestampMonotonic InactiveEnterTimestampMonotonic)
        no_nvidia_module || not_ok "round $i is unloaded"
        # The first round warms the page cache.
        [[ $i -gt 0 ]] || continue
        modprobe+=("$a") rmmod+=("$b") start+=("$e") stop+=("$f") start_wall+=("$c") stop_wall+=("$d")
        note "round $i: modprobe $a ms, start to READY $e ms (systemctl start $c ms); rmmod $b ms, stop $f ms (systemctl stop $d ms)"
done

row() { # TITLE BARE DAEMON
        awk -v t="$1" -v a="$2" -v b="$3" 'BEGIN { printf "%-34s %6d ms %6d ms   %.2f", t, a, b, b / a }'
}
m=$(printf '%s\n' "${modprobe[@]}" | median) r=$(printf '%s\n' "${rmmod[@]}" | median)
note "median of $rounds                             bare    daemon   ratio"
note "$(row 'start to READY / modprobe -a' "$m" "$(printf '%s\n' "${start[@]}" | median)")"
note "$(row 'stop to unloaded / rmmod' "$r" "$(printf '%s\n' "${stop[@]}" | median)")"
note "$(row 'systemctl start, whole process' "$m" "$(printf '%s\n' "${start_wall[@]}" | median)")"
note "$(row 'systemctl stop, whole process' "$r" "$(printf '%s\n' "${stop_wall[@]}" | median)")"
check "all rounds went through" test ${#start[@]} = "$rounds"
finish
