#!/bin/bash
# machine: --driver standin --signing-key
# Signatures and a real kernel: an unsigned build is signed without compiling and loads; when the kernel enforces signatures, an
# unsigned build and one signed by a key that it does not have are refused before anything is loaded, and by the kernel, too.
. /lab/tap.sh

enforce=/sys/module/module/parameters/sig_enforce
dropins=/etc/nvidia-driverd/driverd.conf.d
builds=/var/lib/nvidia-driverd/builds

# The number of the code that a start ends with, and how long it took, in milliseconds.
refused() {
        local before
        before=$(now_ms)
        systemctl start nvidia-driverd
        took=$(($(now_ms) - before))
        status=$(systemctl show -P ExecMainStatus nvidia-driverd)
        systemctl reset-failed nvidia-driverd
}

journal() {
        journalctl -u nvidia-driverd --no-pager -o cat
}

unsigned=$(ls "$builds")
mkdir -p "$dropins"
printf '[Signing]\nKey=/lab/signing/key.pem\nCertificate=/lab/signing/cert.pem\n' >"$dropins/key.conf"
check "the plan signs without compiling" grep -q "compiling *skip *build $unsigned only has to be signed" <(nvidia-driver plan)
before=$(now_ms)
check "systemctl start succeeds" systemctl start nvidia-driverd
note "signed and ready after $(($(now_ms) - before)) ms"
check "ready" state_is ready
check "the status says who signed" grep -q "not enforced, build signed by 'Lab Module Key'" <(nvidia-driver status)
for signed in "$builds"/*; do
        signed=${signed##*/}
        [[ $signed == "$unsigned" ]] || break
done
check "the unsigned build is still there" test -d "$builds/$unsigned"
for module in nvidia nvidia-uvm nvidia-modeset nvidia-drm; do
        check "modinfo names our key on $module" test "$(modinfo -F signer "$builds/$signed/$module.ko")" = 'Lab Module Key'
done
note "$(grep '^nvidia' /proc/modules | cut -d' ' -f1,7-)"
check_not "none was force-loaded" grep -q '^nvidia.*(.*F.*)' /proc/modules
systemctl stop nvidia-driverd
check_clean "stop"

echo 1 >"$enforce"
check "the kernel enforces signatures now" test "$(cat "$enforce")" = Y
note "$(grep -E 'trusted_keys|asymmetri' /proc/keys)"

refused
note "a key that the kernel does not have: refused after $took ms"
check "a key that the kernel does not have: signature-required" test "$status" = 50
check "at once: an emulated machine gets 15 s" test "$took" -lt 15000
check "the key is named" grep -q "the kernel does not have the key of 'Lab Module Key'" <(journal)
check "nothing was loaded" no_nvidia_module
nvidia-driver plan >/tmp/plan
check "the plan ends with the same code" test $? = 50
check "and says what is enforced" grep -q 'Signature: enforced (module.sig_enforce)' /tmp/plan

# The verdict is the kernel's own: it says the same of both.
check_not "the kernel refuses the unsigned module" insmod "$builds/$unsigned/nvidia.ko"
check_not "and the signed one" insmod "$builds/$signed/nvidia.ko"

# Where it cannot be known beforehand it is tried. Not by the unit, which has a /proc of its own.
mount --bind /dev/null /proc/keys
/usr/sbin/nvidia-driverd >/tmp/log 2>&1
status=$?
umount /proc/keys
check "without the kernel's list of keys it is tried, and refused: load-refused" test "$status" = 30
check "in the kernel's words" grep -q 'Key was rejected by service\|Required key not available' /tmp/log
check "nothing was loaded" no_nvidia_module

rm -r "$dropins/key.conf" "${builds:?}/$signed"
refused
note "unsigned, no key: refused after $took ms"
check "unsigned, no key: signature-required" test "$status" = 50
check "at once: an emulated machine gets 15 s" test "$took" -lt 15000
check "the build is named" grep -q "build $unsigned is not signed" <(journal)
check "the remedy is told" grep -q 'Next step: Set Key= and Certificate=' <(journal)
check "nothing was loaded" no_nvidia_module
finish
