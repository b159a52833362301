#!/bin/bash
# machine: --kernel strict --driver none --package strict --signing-key --timeout 540
# A kernel that loads nothing unsigned and forces nothing (as Flatcar, and stricter): what is unsigned or signed by a key that it does not
# have is refused before it is tried; signed with its own key it comes to READY. A module linked by the old rule (without the kernel's
# common object, trap T1) has no vermagic: our check finds it, and the kernel agrees.
. /lab/tap.sh

builds=/var/lib/nvidia-driverd/builds
dropins=/etc/nvidia-driverd/driverd.conf.d
worker=/usr/libexec/nvidia-driverd-worker
running=$(uname -r)

use_key() {
        mkdir -p "$dropins"
        printf '[Signing]\nKey=%s/key.pem\nCertificate=%s/cert.pem\n' "$1" "$1" >"$dropins/key.conf"
}

refused() {
        local before
        before=$(now_ms)
        systemctl start nvidia-driverd
        took=$(($(now_ms) - before))
        status=$(systemctl show -P ExecMainStatus nvidia-driverd)
        systemctl reset-failed nvidia-driverd
        note "refused after $took ms with $status"
}

journal() {
        journalctl -u nvidia-driverd --no-pager -o cat
}

check "this is the strict kernel" test "${running%-strict}" != "$running"
check "it enforces signatures from the start" test "$(cat /sys/module/module/parameters/sig_enforce)" = Y
check "the simulation's module was signed for it" grep -q '^simgpu ' /proc/modules
note "$(grep asymmetri /proc/keys)"

quietly() {
        "$@" >/tmp/out
}

check "import, without a key" quietly nvidia-driver builds import /lab/packages/strict.nvpkg
unsigned=$(basename "$(tail -n 1 /tmp/out)")

refused
check "unsigned: signature-required" test "$status" = 50
check "before anything is tried: an emulated machine gets 15 s" test "$took" -lt 15000
check "the build is named" grep -q "build $unsigned is not signed" <(journal)
check "the remedy is told" grep -q 'Next step: Set Key= and Certificate=' <(journal)
check "nothing was loaded" no_nvidia_module
insmod "$builds/$unsigned/nvidia-uvm.ko" 2>/tmp/out
check "the kernel says the same" grep -q 'Key was rejected\|Required key not available' /tmp/out

use_key /lab/signing
refused
check "wrongly signed: signature-required" test "$status" = 50
check "before anything is tried" test "$took" -lt 15000
check "the key is named" grep -q "the kernel does not have the key of 'Lab Module Key'" <(journal)
check "the remedy is told again" test "$(journal | grep -c 'Next step: Set Key= and Certificate=')" -ge 2
check "nothing was loaded" no_nvidia_module
mkdir /tmp/wrong
cp "$builds/$unsigned/nvidia-uvm.ko" /tmp/wrong/
check "signed with it all the same" quietly "$worker" sign /tmp/wrong sha256 /lab/signing/key.pem /lab/signing/cert.pem ''
insmod /tmp/wrong/nvidia-uvm.ko 2>/tmp/out
check "the kernel says the same" grep -q 'Key was rejected\|Required key not available' /tmp/out

use_key /lab/strict
before=$(now_ms)
check "signed with the kernel's key: systemctl start succeeds" systemctl start nvidia-driverd
note "signed and ready after $(($(now_ms) - before)) ms"
check "ready" state_is ready
check "the status says what is enforced, and who signed" grep -q "enforced .*build signed by 'Lab Strict Key'" <(nvidia-driver status)
for signed in "$builds"/*; do
        signed=${signed##*/}
        [[ $signed == "$unsigned" ]] || break
done
for module in nvidia nvidia-uvm nvidia-modeset nvidia-drm; do
        check "modinfo names the key on $module" test "$(modinfo -F signer "$builds/$signed/$module.ko")" = 'Lab Strict Key'
done
check "the four modules are live" test "$(grep -c '^nvidia' /proc/modules)" = 4
check_not "none is unsigned or force-loaded (taint E, F)" grep -qE '^nvidia.*\(.*[EF].*\)' /proc/modules
note "$(grep '^nvidia' /proc/modules | cut -d' ' -f1,7-)"
systemctl stop nvidia-driverd
check_clean "stop"

# The old rule. The same parts without module-common.o, as the driver's own Makefile and the old script link them.
core=$(ls -d /usr/src/nvidia-*)/nvidia/nv-kernel.o_binary
mkdir -p /tmp/old/build /tmp/old/builds
cp "$builds/$unsigned"/* /tmp/old/build/
check "ld by the old rule" ld -r -T "$builds/$unsigned/module.lds" -o /tmp/old/build/nvidia.ko "$builds/$unsigned/nv-linux.o" "$core"
check "it has no vermagic" test -z "$(modinfo -F vermagic /tmp/old/build/nvidia.ko)"
"$worker" seal /tmp/old/build /tmp/old/builds >/tmp/out
check "our check finds it: build-mismatch" test $? = 24
note "$(cat /tmp/out)"
check "and says what it lacks, and what the kernel has" grep -q "nvidia.ko: .*its vermagic is '', the kernel's '$running " /tmp/out
check "it is no build" test -z "$(ls /tmp/old/builds)"
check "forced past it: signed with the kernel's own key" quietly "$worker" sign /tmp/old/build sha256 /lab/strict/key.pem /lab/strict/cert.pem ''
insmod /tmp/old/build/nvidia.ko 2>/tmp/out
check "the kernel does not take it" test $? != 0
check "for its format, not for its signature" grep -qi 'invalid module format\|exec format' /tmp/out
note "$(cat /tmp/out)"
check "nothing was loaded" no_nvidia_module
modprobe drm
check "the right one goes in by hand, too" insmod "$builds/$signed/nvidia.ko"
rmmod nvidia
finish
