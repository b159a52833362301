#!/bin/bash
# machine: --driver real
# Who holds NVIDIA's own driver: descriptors, a mapping without one, other names for the node, a container's cgroup; all seen
# from inside the service's sandbox too; and waiting until they are gone.
. /lab/tap.sh

systemctl start nvidia-driverd
check "the driver is there" state_is ready

uvm=$(awk '$2 == "nvidia-uvm" { print $1 }' /proc/devices)
[[ -c /dev/nvidiactl ]] || mknod -m 666 /dev/nvidiactl c 195 255
[[ -c /dev/nvidia-uvm ]] || mknod -m 666 /dev/nvidia-uvm c "$uvm" 0
note "$(grep -i -e nvidia -e drm /proc/devices | tr '\n' ' ')"

# The kernel's own references at rest are those of the modules on each other.
nvidia-driver holders >/tmp/rest
status=$?
note "$(cat /tmp/rest)"
check "at rest nobody holds it" test $status = 0
check "and it says so" grep -qx 'Nobody holds the driver.' /tmp/rest

for name in trainer viewer renamer boxed; do
        cp /usr/bin/sleep "/tmp/$name"
done
id=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
box=/sys/fs/cgroup/system.slice/docker-$id.scope
mkdir -p "$box"

/tmp/trainer 1000 7<>/dev/nvidiactl &
trainer=$!
# Opened by root, held by somebody else.
setpriv --reuid=65534 --regid=65534 --clear-groups /tmp/viewer 1000 8<>/dev/dri/renderD128 &
viewer=$!
# Another name for the node, in a mount namespace of its own, and in the end no name at all.
unshare --mount bash -c '
        mount -t tmpfs none /mnt && mknod -m 666 /mnt/gpu c 195 255 && exec 9<>/mnt/gpu && rm /mnt/gpu
        exec /tmp/renamer 1000' &
renamer=$!
/tmp/boxed 1000 10<>/dev/nvidiactl &
boxed=$!
echo $boxed >"$box/cgroup.procs"
# Unified memory, mapped; the descriptor is closed.
cat >/tmp/mapper <<'END'
$0 = "mapper";
sysopen(my $uvm, "/dev/nvidia-uvm", 2) or die "open: $!";
my $initialize = pack("QLL", 1, 0, 0);
ioctl($uvm, 0x30000001, $initialize) or die "UVM_INITIALIZE: $!";
my (undef, $verdict) = unpack("QL", $initialize);
$verdict == 0 or die "UVM_INITIALIZE: $verdict";
my $where = 0x10000000000;
syscall(9, $where, 0x200000, 3, 0x100001, fileno($uvm), $where) == $where or die "mmap: $!";
close($uvm);
sysopen(my $path, "/dev/nvidiactl", 0x200000) or die "O_PATH: $!";   # holds nothing
print "mapped\n";
sleep 1000;
END
perl -e '$| = 1; do "/tmp/mapper" or die $@' >/tmp/mapped &
mapper=$!
check "the driver lets unified memory be mapped" wait_for 20 grep -q mapped /tmp/mapped
note "mapper: $(grep nvidia /proc/$mapper/maps; find /proc/$mapper/fd -lname '*nvidia*' -printf '%f -> %l\n')"

opened() {
        local pid
        for pid in "$@"; do
                find "/proc/$pid/fd" \( -lname '/dev/nvidia*' -o -lname '/dev/dri/*' -o -lname '/gpu*' -o -lname '/mnt/gpu*' \) |
                        grep -q . || return 1
        done
}
check "all have what they hold" wait_for 20 opened $trainer $viewer $renamer $boxed

before=$(now_ms)
nvidia-driver holders >/tmp/table
status=$?
note "one look takes $(($(now_ms) - before)) ms"
note "$(cat /tmp/table)"
check "exit status is that of busy" test $status = 40

# PID USER COMMAND WHERE NODE FD, as one pattern
named() {
        grep -qxE "$1 +$2 +$3 +$4 +$5 +$6 *" /tmp/table
}
here="$(sed -n 's|^0::.*/\([^/]*\)$|\1|p' /proc/self/cgroup)"
check "the trainer, its unit, node and descriptor" named $trainer root trainer "$here" /dev/nvidiactl 7
check "the viewer, with the name of its user" named $viewer nobody viewer "$here" /dev/dri/renderD128 8
check "the node goes by the host's name" named $renamer root renamer "$here" /dev/nvidiactl 9
check "the container by its id" named $boxed root boxed "container:${id:0:12}" /dev/nvidiactl 10
check "the mapping without a descriptor" named $mapper root mapper "$here" /dev/nvidia-uvm map
check "nobody else" test "$(grep -c '/dev/' /tmp/table)" = 5

nvidia-driver holders --json >/tmp/json
check "JSON has the whole id" grep -q "\"container\": \"$id\"" /tmp/json
check "JSON says busy" grep -q '"busy": true' /tmp/json
note "$(sed -n '/"modules"/,$p' /tmp/json | tr -d ' \n')"

# Somebody who cannot be seen is not nobody.
unshare --pid --fork --mount-proc nvidia-driver holders >/tmp/blind
status=$?
note "$(cat /tmp/blind)"
check "in another pid namespace: busy all the same" test $status = 40
check "in another pid namespace: it says why" grep -q 'but by no process that can be seen' /tmp/blind

# The worker in the sandbox of the service, as the daemon starts it.
look_from_sandbox() { # SED-EXPRESSION
        rm -f /run/look
        sed -e 's/^Type=.*/Type=oneshot/; s|^ExecStart=.*|ExecStart=/usr/libexec/nvidia-driverd-worker holders|' \
                -e '/^Restart/d; /^WatchdogSec/d; /^ExecReload/d; /^NotifyAccess/d; /^\[Install\]/,$d' -e "$1" \
                /usr/lib/systemd/system/nvidia-driverd.service >/run/systemd/system/look.service
        echo 'StandardOutput=truncate:/run/look' >>/run/systemd/system/look.service
        systemctl daemon-reload
        systemctl start look
}
check "the sandboxed worker runs" look_from_sandbox ''
note "$(cat /run/look)"
check "the sandboxed worker sees the same five" test "$(grep -c '"pid"' /run/look)" = 5
check "the sandboxed worker sees the mapping" grep -q '"node":"/dev/nvidia-uvm","kind":"mapping"' /run/look
check "the sandboxed worker can look into all" grep -q '"unreadable":0' /run/look
check "without CAP_SYS_PTRACE it runs" look_from_sandbox 's/CAP_SYS_PTRACE//'
note "$(cat /run/look)"
check_not "without CAP_SYS_PTRACE it does not see all" test "$(grep -c '"pid"' /run/look)" = 5
rm /run/systemd/system/look.service
systemctl daemon-reload

check_not "the driver cannot be removed" rmmod nvidia_drm

nvidia-driver holders --wait=1s >/tmp/waited
check "--wait=1s ends busy" test $? = 40
nvidia-driver holders --wait >/tmp/waited &
waiting=$!
check "--wait says who is waited for" wait_for 20 grep -q trainer /tmp/waited
kill $trainer $renamer $boxed $mapper
check_not "one is left: it goes on waiting" wait_for 3 test ! -d /proc/$waiting
kill $viewer
before=$(now_ms)
wait $waiting
status=$?
took=$(($(now_ms) - before))
note "$(tail -n 1 /tmp/waited) After $took ms."
check "--wait ends well when the last is gone" test $status = 0
check "within three seconds" test $took -lt 3000

check "systemctl stop succeeds" systemctl stop nvidia-driverd
check_clean "stop"
rmdir "$box"
finish
