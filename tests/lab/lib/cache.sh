# shellcheck shell=bash
# The cache: directories named KIND-KEY, where KEY hashes everything the content depends on.
#
# An entry is built under another name in the same file system and renamed when it is complete, so that a kill at any instant
# leaves either a whole entry or rubbish that the next build of this kind sweeps away. There is never a need to look inside an
# entry to judge it. One lock per kind: two runs that want the same thing build it once, two that want different things do not
# wait for each other.

CACHE=${NVIDIA_DRIVERD_CACHE:-/var/cache/nvidia-driverd-lab}

cache_open() {
        mkdir -p -- "$CACHE/locks" "$CACHE/logs"
        CACHE=$(cd -- "$CACHE" && pwd -P)
        export NVIDIA_DRIVERD_CACHE=$CACHE
}

# cache_entry KIND KEY STEP [ARG...]: print the entry's path, after building it with `STEP DIR ARG...` where it does not exist.
#
# STEP runs in a process of its own (lib/step): a shell function called from here would lose `set -e` whenever somebody up the
# stack is in a condition, and a half-failed step must not become an entry.
cache_entry() {
        local kind=$1 key=$2 step=$3 path lock tmp log started=$SECONDS
        shift 3
        cache_open
        path=$CACHE/$kind-$key

        # The time of last use is what cache_sweep goes by.
        if [[ -d $path ]]; then
                touch -c -- "$path"
                printf '%s\n' "$path"
                return 0
        fi

        exec {lock}>"$CACHE/locks/$kind"
        if ! flock -n "$lock"; then
                say "$kind: another run is building it, waiting"
                flock "$lock"
        fi

        if [[ ! -d $path ]]; then
                rm -rf -- "$CACHE/.building-$kind."*
                tmp=$(mktemp -d "$CACHE/.building-$kind.XXXXXXXX")
                chmod 0755 -- "$tmp"
                log=$CACHE/logs/$kind.log
                say "$kind: building, log in $log"
                if ! cache_run_step "$kind" "$log" "$step" "$tmp" "$@"; then
                        rm -rf -- "$tmp"
                        tail -n 25 -- "$log" | cut -c1-240 | sed 's/^/lab: | /' >&2
                        die "$kind: failed after $((SECONDS - started)) s, log: $log"
                fi
                # The rename must not reach the disk before the data does.
                sync -f -- "$tmp"
                # dpkg gives directories the times of the package; ours count from now.
                touch -- "$tmp"
                mv -T -- "$tmp" "$path"
                say "$kind: ready after $((SECONDS - started)) s, $(du -sm -- "$path" | cut -f1) MB"
                cache_sweep "$kind"
        fi

        exec {lock}>&-
        printf '%s\n' "$path"
}

# Run a step with its output in a log, and a sign of life from time to time: the driver takes minutes.
#
# The step is a session of its own, so that ending us ends all of it: what bash starts in the background ignores ^C, and a make
# that goes on would keep the lock. The body is a subshell to have an EXIT trap of its own.
cache_run_step() (
        kind=$1 log=$2 next=15 started=$SECONDS
        shift 2
        exec {out}>&"${LAB_SAY_FD:-2}"
        LAB_SAY_FD=$out setsid "$LAB/lib/step" "$@" >"$log" 2>&1 </dev/null &
        step=$!
        trap 'kill -- "-$step" 2>/dev/null || true' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        while kill -0 "$step" 2>/dev/null; do
                if [[ $((SECONDS - started)) -ge $next ]]; then
                        say "$kind: $((SECONDS - started)) s, $(wc -l <"$log") lines, now: $(tail -n 1 -- "$log" | tr -d '\r' | cut -c1-100)"
                        next=$((next + 15))
                fi
                sleep 0.2
        done
        wait "$step"
)

# Entries that nobody has used for two days go, the three latest of a kind always stay. Called with the kind's lock held.
cache_sweep() {
        local kind=$1 old
        # Entry names are ours and have no newlines; ls -t is the sort by time.
        # shellcheck disable=SC2012
        ls -dt -- "$CACHE/$kind-"* 2>/dev/null | tail -n +4 | while IFS= read -r old; do
                # KIND may be the beginning of another kind's name: what follows must be a key.
                [[ ${old##*/"$kind"-} =~ ^[0-9a-f]{16}$ ]] || continue
                if [[ -n $(find "$old" -maxdepth 0 -mtime +1) ]]; then
                        rm -rf -- "$old"
                fi
        done
}
