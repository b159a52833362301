# shellcheck shell=bash
# What the stories share, inside the machine. Every check prints one TAP line; the plan comes at the end, so a story that
# dies early has none and counts as failed.

checks=0 failures=0

# What the tools complain about is a comment in TAP.
exec 2> >(sed -u 's/^/# /')

ok() {
        checks=$((checks + 1))
        echo "ok $checks - $*"
}

not_ok() {
        checks=$((checks + 1)) failures=$((failures + 1))
        echo "not ok $checks - $*"
}

# DESCRIPTION COMMAND [ARG...]: the command must succeed.
check() {
        local description=$1
        shift
        if "$@"; then ok "$description"; else not_ok "$description"; fi
}

# DESCRIPTION COMMAND [ARG...]: the command must fail.
check_not() {
        local description=$1
        shift
        if "$@"; then not_ok "$description"; else ok "$description"; fi
}

note() {
        sed 's/^/# /' <<<"$*"
}

finish() {
        echo "1..$checks"
        if [[ $failures -gt 0 ]]; then
                journalctl -u nvidia-driverd --no-pager -o short-monotonic -n 150 | sed 's/^/# /'
                exit 1
        fi
        exit 0
}

now_ms() {
        local now=$EPOCHREALTIME
        echo $((${now/[.,]/} / 1000))
}

state() {
        nvidia-driver status --json | sed -n 's/^  "state": "\(.*\)",$/\1/p'
}

code() {
        nvidia-driver status --json | sed -n 's/^  "code": "\(.*\)",$/\1/p'
}

# SECONDS COMMAND...: polls until the command succeeds.
wait_for() {
        # An emulated processor on a busy machine: what has to come may take its time, only what is lost must end.
        local until=$((SECONDS + 3 * $1))
        shift
        until "$@"; do
                [[ $SECONDS -lt $until ]] || return 1
                read -rt 0.1 <> <(:) || true
        done
}

state_is() {
        [[ $(state) == "$1" ]]
}

no_nvidia_module() {
        ! grep -q '^nvidia' /proc/modules
}

# Nothing of a stopped daemon is left: module, mount, file, process.
check_clean() {
        check "$1: no nvidia module is left" no_nvidia_module
        check_not "$1: no mount is left" grep -q nvidia /proc/self/mountinfo
        check_not "$1: no runtime directory is left" test -e /run/nvidia-driverd
        check_not "$1: no pid file is left" test -e /run/nvidia/nvidia-driver.pid
        check_not "$1: no process is left" pgrep -f /nvidia-driverd
        check "$1: the staging area is empty" test -z "$(ls -A /var/lib/nvidia-driverd/staging 2>/dev/null)"
}
