#!/bin/bash
# machine: --driver real
# Services under a real systemd: one that dies three times, one that ignores TERM, one with a stale pid file that names an
# innocent process, one that is another user's; and a daemon that is killed while they run.
. /lab/tap.sh

mkdir -p /svc /etc/nvidia-driverd/driverd.conf.d /run/nvidia-persistenced
put() {
        cat >"$1"
        chmod 755 "$1"
}

put /svc/flaky <<'EOF'
#!/bin/bash
echo $$ >>/run/flaky.starts
n=$(wc -l </run/flaky.starts)
echo "this is start $n"
((n > 3)) || exit "$n"
exec sleep 1001
EOF
put /svc/stubborn <<'EOF'
#!/bin/bash
trap '' TERM
setsid sleep 1002 &
while :; do sleep 1; done
EOF
# Into the background when it is ready, in a session of its own, without standard streams; as NVIDIA's does it.
put /usr/bin/nvidia-persistenced <<'EOF'
#!/bin/bash
echo "arguments: $*"
setsid bash -c 'exec 0<&- 1>&- 2>&-; echo $$ >/run/nvidia-persistenced/nvidia-persistenced.pid; exec sleep 1003' &
sleep 0.3
EOF
cat >/etc/nvidia-driverd/driverd.conf.d/services.conf <<'EOF'
[Services]
Required=flaky nvidia-persistenced
RestartDelaySec=100ms
StopTimeoutSec=1s
[ServiceCommands]
flaky=/svc/flaky
stubborn=/svc/stubborn
other-user=/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups sleep 1004
EOF

sleep 1000 &
innocent=$!
echo "$innocent" >/run/nvidia-persistenced/nvidia-persistenced.pid

service() {
        nvidia-driver status --json | sed -n "/\"name\": \"$1\"/,/}/s/^ *\"$2\": \"\?\([^\",]*\)\"\?,\?$/\1/p"
}

service_is() {
        [[ $(service "$1" state) == "$2" ]]
}

starts_are() {
        [[ $(wc -l </run/flaky.starts) == "$1" ]]
}

process_is() {
        tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -q "$2"
}

check "systemctl start succeeds" systemctl start nvidia-driverd
# A slow machine may count it as started before it dies: the fourth start is waited for, and that it stays.
check "the one that dies three times is started four times" wait_for 30 starts_are 4
check "and runs" wait_for 30 service_is flaky running
check "state is ready" wait_for 10 state_is ready
check "its last end is known" test "$(service flaky lastEnd)" = "exit status 3"
check "nvidia-persistenced runs" service_is nvidia-persistenced running
pid=$(service nvidia-persistenced pid)
check "it is the process in the background" process_is "$pid" "sleep 1003"
check "the stale pid file is gone, the new one names it" test "$(cat /run/nvidia-persistenced/nvidia-persistenced.pid)" = "$pid"
check "the innocent process lives" process_is "$innocent" "sleep 1000"
check "the one of another user runs" wait_for 10 service_is other-user running
check "as that user" test "$(stat -c %u "/proc/$(service other-user pid)")" = 65534
check "what a service says is in the journal, under its name" \
        grep -q 'flaky: this is start 4' <(journalctl NVIDIA_DRIVERD_SERVICE=flaky --no-pager -o cat)
note "$(nvidia-driver status | sed -n '/Services:/,$p')"

daemon_is_gone() {
        [[ $(systemctl show -P MainPID nvidia-driverd) == 0 ]]
}

before="$(service flaky pid) $pid $(service stubborn pid) $(service other-user pid)"
for round in 1 2; do
        systemctl kill --kill-whom=main -s KILL nvidia-driverd
        wait_for 10 daemon_is_gone
        check "round $round: starts after SIGKILL" systemctl start nvidia-driverd
        after="$(service flaky pid) $(service nvidia-persistenced pid) $(service stubborn pid) $(service other-user pid)"
        check "round $round: the same processes, none of them twice" test "$after" = "$before"
done
check "no service was started again" starts_are 4

# Two services end one after the other, and one of them has to be killed: each has its second.
started=$(now_ms)
check "systemctl stop succeeds" systemctl stop nvidia-driverd
took=$(($(now_ms) - started))
note "stopped in $took ms"
check "within the eight seconds of a stop" test "$took" -lt 8000
check "the one that ignores TERM was killed" grep -q 'Service stubborn ended: signal 9' <(journalctl -u nvidia-driverd --no-pager)
check_not "no process of a service is left" pgrep -f '^sleep 100[1-4]'
check "the innocent process lives" process_is "$innocent" "sleep 1000"
check_clean "stop"
finish
