#!/bin/bash
# machine: --driver none --package 6.1 --package 6.12 --timeout 480
# The driver built on another machine, for this kernel and for another one. The package of the other kernel is refused, by the import and,
# when it is in the store all the same, by the start. Ours is linked here, by ld alone, and loaded. A second start compiles nothing and opens
# no network socket: the kernel's own tracing is the witness, for all processes of the machine.
. /lab/tap.sh

builds=/var/lib/nvidia-driverd/builds
tracing=/sys/kernel/tracing
running=$(uname -r)
mine=/lab/packages/6.1.nvpkg other=/lab/packages/6.12.nvpkg
[[ $running == 6.1.* ]] || { mine=/lab/packages/6.12.nvpkg other=/lab/packages/6.1.nvpkg; }

# Keeps what the command prints; `check` itself prints to the port.
quietly() {
        "$@" >/tmp/out
}

any_of() {
        local program
        for program in "$@"; do
                type -P "$program" && return 0
        done
        return 1
}

store_is_empty() {
        [[ -z $(ls -A "$builds" 2>/dev/null) ]]
}

nvidia-driver builds import "$other" >/tmp/out 2>&1
check "a package for another kernel: refused with build-mismatch" test $? = 24
note "$(cat /tmp/out)"
foreign=$(sed -nE 's/.*it is for kernel ([^ ]+), not .*/\1/p' /tmp/out)
check_not "that kernel is another one" test "$foreign" = "$running"
check "both are named" grep -q "it is for kernel $foreign, not $running" /tmp/out
check "nothing was imported" store_is_empty
check "nothing was loaded" no_nvidia_module

check "imported for its kernel, to be booted later" quietly nvidia-driver builds import --kernel="$foreign" "$other"
later=$(basename "$(tail -n 1 /tmp/out)")
systemctl start nvidia-driverd
check_not "a start does not take it" systemctl -q is-active nvidia-driverd
note "$(journalctl -u nvidia-driverd --no-pager -o cat | grep "Build $later" | head -n 1)"
check "and names both kernels" grep -q "Build $later of the store cannot be used: it is for kernel $foreign, not $running" \
        <(journalctl -u nvidia-driverd --no-pager -o cat)
check "nothing was loaded" no_nvidia_module
systemctl reset-failed nvidia-driverd
systemctl stop nvidia-driverd

check_not "this machine has no compiler" any_of gcc cc gcc-12 clang make as
before=$(now_ms)
check "import of the package for this kernel" quietly nvidia-driver builds import "$mine"
note "$(ls -sk "$mine" | cut -d' ' -f1) kB, linked and verified in $(($(now_ms) - before)) ms"
id=$(basename "$(tail -n 1 /tmp/out)")
check "the build is in the store" test -s "$builds/$id/manifest.json"
check "it verifies" quietly nvidia-driver builds verify "$id"
check "its modules are for this kernel" test "$(modinfo -F vermagic "$builds/$id/nvidia.ko" | cut -d' ' -f1)" = "$running"
check "systemctl start succeeds" systemctl start nvidia-driverd
check "ready" state_is ready
check "the plan: nothing is compiled" grep -q 'compiling *skip *a build for this kernel is in the store' <(nvidia-driver status)
check "the four modules are live" test "$(grep -c '^nvidia' /proc/modules)" = 4
check_not "none was force-loaded" grep -q '^nvidia.*(.*F.*)' /proc/modules
note "$(grep '^nvidia' /proc/modules | cut -d' ' -f1,7-)"
systemctl stop nvidia-driverd
check_clean "first stop"

# The second start, witnessed.
check "tracing" mount -t tracefs tracefs "$tracing"
echo 16384 >"$tracing/buffer_size_kb"
for event in syscalls/sys_enter_socket sched/sched_process_exec; do
        echo 1 >"$tracing/events/$event/enable"
done

# Sockets of the Internet and raw ones, as the tracing prints the family in hexadecimal.
network_sockets() {
        grep -E 'sys_socket\(family: (2|a|11),' "$1"
}

traced() {
        echo 0 >"$tracing/tracing_on"
        cat "$tracing/trace" >"$1"
        echo >"$tracing/trace"
        echo 1 >"$tracing/tracing_on"
}

timeout 2 systemd-socket-activate --listen=127.0.0.1:9 true 2>/dev/null
traced /tmp/control
note "$(grep -c sys_socket /tmp/control) sockets, $(network_sockets /tmp/control | tail -n 1)"
check "the witness sees a network socket where there is one" quietly network_sockets /tmp/control

state_of_store() {
        find /var/lib/nvidia-driverd/builds -type f -printf '%p %s %T@ %i\n' | sort
}

state_of_store >/tmp/before
check "second start" systemctl start nvidia-driverd
check "ready again" state_is ready
traced /tmp/trace
state_of_store >/tmp/after
check "the store is untouched: nothing was compiled, linked or signed" cmp -s /tmp/before /tmp/after
check "the witness saw the daemon and its helper start" test "$(grep -cE 'sched_process_exec: filename=.*/nvidia-driverd(-helper)? ' /tmp/trace)" -ge 2
check "and the daemon's own sockets, those of this machine" grep -qE 'nvidia-driverd.*sys_socket\(family: (1|10),' /tmp/trace
check_not "no network socket was opened, by whatever process" network_sockets /tmp/trace
grep -o 'filename=[^ ]*' /tmp/trace | sort | uniq -c >/tmp/execs
note "programs that ran: $(tr -s ' \n' ' ' </tmp/execs)"
check_not "no compiler, linker or make was run" grep -qE '/(cc|gcc|cc1|as|ld|make|objtool|modpost)[^/ ]*$' /tmp/execs
check "nothing was lost: the buffer was large enough" test "$(awk '/entries-in-buffer/ { split($3, n, "/"); print n[1] == n[2] }' /tmp/trace)" = 1
systemctl stop nvidia-driverd
check_clean "second stop"
finish
