# shellcheck shell=bash
# What every program of the lab starts with: strict mode, messages, scratch space.
#
# stdout belongs to results (a path, a script's output), so everything said to a person goes to stderr.

set -euo pipefail
shopt -s inherit_errexit nullglob

LAB=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
TOP=$(cd -- "$LAB/../.." && pwd -P)
export LAB TOP
export LC_ALL=C.UTF-8

# Building steps write to a log; what they say to a person takes the way that cache_entry left open for it.
say() {
        printf 'lab: %s\n' "$*" >&"${LAB_SAY_FD:-2}"
}

die() {
        say "$*"
        exit 1
}

# A second, not a value: every program has one scratch directory, and whatever ends the program removes it.
scratch() {
        if [[ -z ${SCRATCH:-} ]]; then
                SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/nvidia-driverd-lab.XXXXXXXX")
                trap 'scratch_remove' EXIT
                # Without these, a signal would end bash without running the EXIT trap's work in order.
                trap 'exit 130' INT
                trap 'exit 143' TERM
                trap 'exit 129' HUP
        fi
}

scratch_remove() {
        if [[ -n ${SCRATCH:-} ]]; then
                rm -rf -- "$SCRATCH"
        fi
}

need_root() {
        [[ $(id -u) -eq 0 ]] || die "must run as root: it makes device nodes and a Debian root file system"
}

# Hash of whatever comes in, short enough for a file name.
digest() {
        sha256sum | cut -c1-16
}

# Hash of files and directories by content, names and modes; independent of where the checkout lies.
digest_tree() {
        (
                cd -- "$1"
                shift
                find "$@" -type f -print0 | sort -z | xargs -0r sha256sum --
                find "$@" -perm /111 -type f -print | sort
        ) | digest
}
