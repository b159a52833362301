#!/bin/bash
# machine: --driver real --plain --disk
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

start=() stop=() modprobe=() rmmod=()
for ((i = 0; i <= rounds; i++)); do
        clear_up
        a=$(milliseconds modprobe -a nvidia nvidia-uvm nvidia-modeset nvidia-drm)
        udevadm settle
        b=$(milliseconds rmmod nvidia_drm nvidia_modeset nvidia_uvm nvidia)
        clear_up
        c=$(milliseconds systemctl start nvidia-driverd)
        state_is ready || not_ok "round $i is ready"
        udevadm settle
        d=$(milliseconds systemctl stop nvidia-driverd)
        no_nvidia_module || not_ok "round $i is unloaded"
        # The first round warms the page cache.
        [[ $i -gt 0 ]] || continue
        modprobe+=("$a") rmmod+=("$b") start+=("$c") stop+=("$d")
        note "round $i: modprobe $a ms, start to READY $c ms; rmmod $b ms, stop $d ms"
done
m=$(printf '%s\n' "${modprobe[@]}" | median) s=$(printf '%s\n' "${start[@]}" | median)
r=$(printf '%s\n' "${rmmod[@]}" | median) t=$(printf '%s\n' "${stop[@]}" | median)
note "median of $rounds         bare     daemon   ratio"
note "$(awk -v a="$m" -v b="$s" 'BEGIN { printf "load to usable   %6d ms %6d ms   %.2f", a, b, b / a }')"
note "$(awk -v a="$r" -v b="$t" 'BEGIN { printf "unload           %6d ms %6d ms   %.2f", a, b, b / a }')"
check "all rounds went through" test ${#start[@]} = "$rounds"
finish
