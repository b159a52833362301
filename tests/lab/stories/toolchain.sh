#!/bin/bash
# machine: --devcontainer --driver none --timeout 1200
# A host without a compiler that says it is Flatcar: the developer container of its release is downloaded, verified and built in, and
# nothing of it is left behind. Then the same with an image that is there, damaged, cut off on its way, of another release; with a
# plain file system and a directory; and with a daemon that is killed in the middle.
. /lab/tap.sh

cache=/var/lib/nvidia-driverd/toolchain
builds=/var/lib/nvidia-driverd/builds
dropins=/etc/systemd/system/nvidia-driverd.service.d
mirror=http://127.0.0.1:8080

# A server that can break off: /srv/cut has the bytes after which the next image ends. In /srv/requests: path and first byte.
cat >/srv/answer <<'END'
#!/bin/bash
read -r _ path _ && [[ -n $path ]] || exit 0
start=0
while read -r line && line=${line%$'\r'} && [[ -n $line ]]; do
        [[ ! ${line,,} =~ ^range:\ bytes=([0-9]+)- ]] || start=${BASH_REMATCH[1]}
done
file=/lab/mirror$path
[[ $path == *.DIGESTS ]] || echo "$path $start" >>/srv/requests
if [[ ! -f $file ]]; then
        printf 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
        exit 0
fi
size=$(stat -c %s "$file") status='200 OK' range=
[[ $start == 0 ]] || { status='206 Partial Content' range="Content-Range: bytes $start-$((size - 1))/$size"$'\r\n'; }
printf 'HTTP/1.1 %s\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n' "$status" "$range" $((size - start))
n=$size
[[ $path == *.DIGESTS || ! -s /srv/cut ]] || { n=$(</srv/cut) && rm /srv/cut; }
tail -c +$((start + 1)) "$file" | head -c "$n"
END
chmod +x /srv/answer

serve() {
        systemd-run -q --unit lab-mirror systemd-socket-activate --accept --inetd -l 127.0.0.1:8080 /srv/answer
        wait_for 20 bash -c 'exec 3<>/dev/tcp/127.0.0.1/8080'
        : >/srv/requests
}

stop_serving() {
        systemctl stop lab-mirror
}

be_flatcar() {
        rm -f /etc/os-release
        printf 'NAME="Flatcar Container Linux by Kinvolk"\nID=flatcar\nVERSION=%s\nFLATCAR_BOARD=amd64-usr\n' "$1" >/etc/os-release
}

use_root() {
        mkdir -p /etc/nvidia-driverd/driverd.conf.d
        printf '[Toolchain]\nRoot=%s\nMirror=%s/%%v\n' "$1" "$mirror" >/etc/nvidia-driverd/driverd.conf.d/toolchain.conf
}

no_loop_device() {
        ! grep -qs . /sys/block/loop*/loop/backing_file
}

nothing_is_left() {
        check "$1: no loop device is left" no_loop_device
        check_not "$1: no mount is left" grep -qE 'overlay|toolchain|/dev/loop' /proc/self/mountinfo
        check_not "$1: no process of it is left" pgrep -f nvidia-driverd-toolchain
        check "$1: the staging area is empty" test -z "$(ls -A /var/lib/nvidia-driverd/staging)"
}

journal() {
        journalctl -u nvidia-driverd --no-pager -o cat
}

# Forgets the builds, so that the next start compiles.
forget() {
        rm -rf "${builds:?}"/*
}

start_ready() {
        local before
        before=$(now_ms)
        check "$1: starts" systemctl start nvidia-driverd
        check "$1: ready" state_is ready
        note "$1: READY after $(($(now_ms) - before)) ms"
}

# Status and words of nvidia-driver build.
build() {
        forget
        nvidia-driver build >/tmp/build.out 2>&1
        status=$?
        sed 's/^/# /' /tmp/build.out | tail -n 4
}

for program in gcc make ld; do
        check_not "the machine has no $program" type -P $program
done
check_not "nor a kernel tree" test -e "/lib/modules/$(uname -r)/build/Makefile"
be_flatcar 4230.2.3
use_root developer-container

check_not "without the drop-in it is not started" systemctl start nvidia-driverd
mkdir -p "$dropins"
cp /usr/share/nvidia-driverd/toolchain.conf "$dropins/"
printf '[Service]\nRestrictAddressFamilies=AF_INET AF_INET6\nIPAddressAllow=localhost\n' >"$dropins/network.conf"
systemctl daemon-reload
systemctl stop nvidia-driverd

serve
start_ready "cold"
check "cold: it came from the mirror" grep -q "Got the developer container of Flatcar 4230.2.3 from $mirror/4230.2.3" <(journal)
check "cold: built in it" grep -q "Building in $cache/.*\.img (Flatcar stand-in 4230.2.3)\.$" <(journal)
check "cold: asked for once" test "$(wc -l </srv/requests)" = 1
nothing_is_left "cold"
check "cold: the modules are those of the new build" test -n "$(ls "$builds")"
check "cold: stops" systemctl stop nvidia-driverd
check_clean "cold"
image=$(ls "$cache"/*.img)
sum=$(sha256sum <"$image")
note "$(ls -l "$cache")"

stop_serving
forget
start_ready "warm, without a server"
nothing_is_left "warm"
check "warm: the image is as it was" test "$(sha256sum <"$image")" = "$sum"

check "a restart compiles nothing" systemctl restart nvidia-driverd
check "a restart opens nothing" test "$(journal | grep -c "Building in")" = 2
check "warm: stops" systemctl stop nvidia-driverd

printf 'damage' | dd of="$image" bs=1 seek=150000000 conv=notrunc status=none
build
check "a damaged image is not built in" test $status != 0
check "it is found out" grep -q "\.img is damaged (its content has changed), removing it" /tmp/build.out
check_not "and removed" test -e "$image"
check "without a server that is what is wrong" grep -q "download-failed\|A download failed" /tmp/build.out

serve
echo 30000000 >/srv/cut
check "a connection that breaks: fetched all the same" nvidia-driver toolchain fetch
note "$(</srv/requests)"
check "in two requests" test "$(wc -l </srv/requests)" = 2
check "the second goes on where the first ended" test "$(awk 'NR == 2 { print ($2 > 1000000) }' /srv/requests)" = 1
check "the image is the same as before" test "$(sha256sum <"$image")" = "$sum"

rm "$cache"/*
forget
: >/srv/requests
echo 40000000 >/srv/cut
start_ready "cut while the daemon fetches"
check "cut while the daemon fetches: in two requests" test "$(wc -l </srv/requests)" = 2
check "cut while the daemon fetches: the journal tells" grep -q "flatcar_developer_container.bin.zst: .*, trying again in" <(journal)
check "cut while the daemon fetches: the same image" test "$(sha256sum <"$image")" = "$sum"
nothing_is_left "cut while the daemon fetches"
check "cut while the daemon fetches: stops" systemctl stop nvidia-driverd

forget
ln -s 4230.2.3 /lab/mirror/4230.2.4
be_flatcar 4230.2.4
check_not "another version inside than the host's is refused" systemctl start nvidia-driverd
check "with its own status" test "$(systemctl show -P ExecMainStatus nvidia-driverd)" = 59
check "which names both" grep -q "is not the developer container of this host: it is of version 4230.2.3 for amd64-usr, this host of 4230.2.4" <(journal)
nothing_is_left "wrong version"
systemctl stop nvidia-driverd
be_flatcar 4230.2.3
stop_serving

dd if="$(ls "$cache"/*.img)" of=/srv/plain.img bs=1M skip=1 status=none
rm "$cache"/*
plain=$(sha256sum </srv/plain.img)
use_root /srv/plain.img
build
check "a plain file system: builds" test $status = 0
check "a plain file system: is named" grep -q "^Building in /srv/plain.img (Flatcar stand-in 4230.2.3)\.$" /tmp/build.out
nothing_is_left "a plain file system"

# What a container engine makes, and nothing else: the loop devices that there are have no nodes in it.
mkdir /srv/own-dev
mount -t tmpfs -o mode=755 tmpfs /srv/own-dev
cp -a /dev/{null,zero,full,random,urandom,kmsg,loop-control} /srv/own-dev
forget
unshare -m bash -c 'mount --bind /srv/own-dev /dev && exec nvidia-driver build' >/tmp/build.out 2>&1
status=$?
note "$(tail -n 3 /tmp/build.out)"
check "a /dev without loop nodes: builds" test $status = 0
check "a /dev without loop nodes: has one now" test -b /srv/own-dev/loop0
umount /srv/own-dev
nothing_is_left "a /dev without loop nodes"

mkdir /srv/system
mount -o loop,ro /srv/plain.img /srv/system
use_root /srv/system
build
umount /srv/system
check "a directory: builds" test $status = 0
nothing_is_left "a directory"

use_root /etc/hostname
build
check "no image: toolchain-invalid" test $status = 58
use_root /srv
build
check "no system: toolchain-invalid" test $status = 58
nothing_is_left "refused"

use_root /srv/plain.img
forget
systemctl start --no-block nvidia-driverd
check "killed: a compiler runs" wait_for 60 pgrep cc1
systemctl kill --kill-whom=main -s KILL nvidia-driverd
# No restart comes in between; the compilers' death signal is a friendly one.
systemctl stop nvidia-driverd
check "killed: mounts and loop device go with the last compiler" wait_for 5 no_loop_device
check_not "killed: the toolchain went with the daemon" pgrep -f nvidia-driverd-toolchain
check_not "killed: no compiler is left" pgrep 'make|cc1|gcc'
start_ready "killed"
nothing_is_left "killed"
check "killed: stops" systemctl stop nvidia-driverd
check_clean "killed"
check "the image is as it was" test "$(sha256sum </srv/plain.img)" = "$plain"
finish
