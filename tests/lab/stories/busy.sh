#!/bin/bash
# machine: --driver real
# A stop while programs use the driver: by default they keep it, and are named; evicted or waited for only when told so.
. /lab/tap.sh

mkdir -p /etc/nvidia-driverd/driverd.conf.d
configure() {
        printf '%s\n' '[Stop]' "$@" >/etc/nvidia-driverd/driverd.conf.d/story.conf
}

modules() {
        grep -o '^nvidia[a-z_]*' /proc/modules | sort | tr '\n' ' '
}

# The journal of the unit since remember was called.
since='-1min'
journal() {
        journalctl -u nvidia-driverd --no-pager --since "$since"
}
remember() {
        since="@$EPOCHREALTIME"
}

exit_status() {
        systemctl show -P ExecMainStatus nvidia-driverd
}

# Wanted by something, the unit is not forgotten when it ends well, nor are its times and its exit status.
systemctl enable -q nvidia-driverd

# The host's own mounts, which a stop has no business with: its root is shared, as systemd makes it, and NVIDIA's script has left it
# mounted a second time, with all that is below. Whoever unmounted that lazily would unmount /proc and /run with it.
mkdir -p /run/nvidia/driver
mount --rbind / /run/nvidia/driver
check "the root is shared" grep -q ' / / .* shared:' /proc/self/mountinfo
check "and mounted below /run/nvidia/driver" mountpoint -q /run/nvidia/driver/proc
mounts=$(sort /proc/self/mountinfo)
remember_mounts

check "systemctl start succeeds" systemctl start nvidia-driverd
[[ -c /dev/nvidiactl ]] || mknod -m 666 /dev/nvidiactl c 195 255
hold trainer /dev/nvidiactl
trainer=$HOLDER
hold viewer /dev/dri/renderD128
viewer=$HOLDER
note "trainer: $(cat /tmp/trainer.answer); viewer: $(cat /tmp/viewer.answer)"
all='nvidia nvidia_drm nvidia_modeset nvidia_uvm '

# Both in use, the default.
systemctl stop nvidia-driverd
took=$(unit_ms ActiveExitTimestampMonotonic InactiveEnterTimestampMonotonic)
note "stop with holders: $took ms"
check "it returns within the deadline of 8 s and the reserve of 6 s" test "$took" -lt 14000
check "the exit status is that of busy" test "$(exit_status)" = 40
journal >/tmp/journal
note "$(grep 'in use' /tmp/journal)"
check "the trainer is named with pid, command and node" grep -q "in use by trainer\[$trainer\] of root (.*/dev/nvidiactl fd " /tmp/journal
check "the viewer, too" grep -q "in use by viewer\[$viewer\] of root (.*/dev/dri/renderD128 fd " /tmp/journal
check "fields of the journal name pid and node" \
        grep -q /dev/dri/renderD128 <(journalctl --no-pager -o cat --output-fields=NVIDIA_DRIVERD_HOLDER_NODE NVIDIA_DRIVERD_HOLDER_PID=$viewer)
check "nvidia_drm is left, because it is held" test "$(modules)" = "$all"
check "the trainer's descriptor works" grep -q '^version 535' <(answer_of trainer $trainer)
check "the viewer's descriptor works" grep -q '^drm' <(answer_of viewer $viewer)
check_not "no pid file is left" test -e /run/nvidia/nvidia-driver.pid
check "status still tells who it is" grep -q "viewer\[$viewer\]" <(nvidia-driver status)
kill $viewer
wait $viewer

# Only /dev/nvidiactl is held: nvidia_drm goes, the rest is whole.
configure TimeoutSec=3s
check "the next start succeeds" systemctl start nvidia-driverd
check "by adoption" grep -q 'Adopted in' <(journal)
remember
systemctl stop nvidia-driverd
check "busy" test "$(exit_status)" = 40
check "nvidia_drm is dropped, the rest stays" test "$(modules)" = 'nvidia nvidia_modeset nvidia_uvm '
check "the trainer's descriptor works still" grep -q '^version 535' <(answer_of trainer $trainer)
check "the next start brings nvidia_drm back" systemctl start nvidia-driverd
check "all is there" test "$(modules)" = "$all"
check "and the trainer has not noticed" grep -q '^version 535' <(answer_of trainer $trainer)

# Evicted: one ends when asked, the other is killed.
configure TimeoutSec=8s Policy=evict GraceSec=2s Kill=yes
check "reload" systemctl reload nvidia-driverd
hold rock /dev/dri/renderD128 stubborn
rock=$HOLDER
remember
systemctl stop nvidia-driverd
note "stop with eviction: $(unit_ms ActiveExitTimestampMonotonic InactiveEnterTimestampMonotonic) ms"
check "the stop ended well" test "$(exit_status)" = 0
wait $trainer
check "the trainer was asked to end" test $? = 7
wait $rock
check "the stubborn one was killed" test $? = 137
check "both are told" test "$(journal | grep -cE "trainer\[$trainer\] holds the driver: asked|rock\[$rock\] .* killed")" = 2
check_clean "stop with eviction"
check "the host's /proc is mounted" mountpoint -q /proc
check "and /run" mountpoint -q /run
check "the host's mounts are as before" test "$(sort /proc/self/mountinfo)" = "$mounts"

# Waited for.
configure TimeoutSec=1s Policy=wait
check "start" systemctl start nvidia-driverd
hold trainer /dev/nvidiactl
trainer=$HOLDER
systemctl stop --no-block nvidia-driverd
waits_for_trainer() {
        grep -q "Waiting for trainer\[$trainer\]" <(nvidia-driver status)
}
check "the status names who is waited for" wait_for 10 waits_for_trainer
read -rt 2 <> <(:)
check "after longer than the limit it still waits" state_is unloading
kill $trainer
wait $trainer
stopped() {
        [[ $(systemctl show -P ActiveState nvidia-driverd) == inactive ]]
}
check "when the last one ends, so does the stop, and well" wait_for 15 stopped
check_clean "stop that waited"

# Left alone, they end by themselves.
rm /etc/nvidia-driverd/driverd.conf.d/story.conf
check "start" systemctl start nvidia-driverd
hold trainer /dev/nvidiactl
trainer=$HOLDER
hold viewer /dev/dri/renderD128
viewer=$HOLDER
systemctl stop nvidia-driverd
check "busy again" test "$(exit_status)" = 40
kill $trainer $viewer
wait $trainer $viewer
check "with both gone the next start succeeds" systemctl start nvidia-driverd
check "ready" state_is ready
systemctl stop nvidia-driverd
check "and the stop ends well" test "$(exit_status)" = 0
check_clean "stop without holders"
check "the host's /proc is mounted" mountpoint -q /proc
check "and /run" mountpoint -q /run
check "the host's mounts are as before" test "$(sort /proc/self/mountinfo)" = "$mounts"
finish
