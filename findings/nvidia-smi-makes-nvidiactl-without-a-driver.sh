#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nvidia-smi, run by root on a machine without the driver, fails and leaves /dev/nvidiactl behind.
#
# Package:  nvidia-smi and libnvidia-ml1 535.261.03-1 (bookworm, non-free), unpacked, not installed; no nvidia-modprobe.
# Seen:     `nvidia-smi -L` says that it cannot communicate with the driver and exits with 9, as it should. Afterwards
#           there is a character device /dev/nvidiactl, 195:255, mode 0666, that no driver serves: open(2) gives ENXIO.
#           libnvidia-ml creates the node itself before it opens it.
# So what:  the existence of /dev/nvidiactl does not show that a driver is, or ever was, loaded. Whoever waits for
#           the node alone goes on too early, and a supervisor finds a node that neither it nor udev made.
#
# Runs in a mount namespace with a /dev of its own; the machine's /dev is not touched.
# Exit status: 0 as seen, 1 something changed, 2 cannot be run here.
set -euo pipefail
version=535.261.03-1 suite=bookworm
packages=(nvidia-smi libnvidia-ml1)

[[ $(id -u) == 0 ]] || { echo "needs root, for a mount namespace" >&2; exit 2; }
grep -qs '^nvidia ' /proc/modules && { echo "needs a machine without the driver" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
mkdir -p lists/partial cache/archives/partial root

# The mirror that apt uses already, in an apt state of this script's own.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$2 !~ /security/ { print $1; exit }')
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -n $mirror && -e $keyring ]] || { echo "needs Debian's apt, with package lists" >&2; exit 2; }
echo "deb [signed-by=$keyring] $mirror $suite non-free" >sources.list
apt=(-qq -o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update && apt-get "${apt[@]}" download "${packages[@]/%/=$version}" || { echo "${packages[*]} cannot be had" >&2; exit 2; }
for file in ./*.deb; do
        dpkg-deb -x "$file" root
done

# Variables of the inner shell, not of this one.
# shellcheck disable=SC2016
unshare --mount --propagation private bash -c '
        set -u
        mount -t tmpfs -o mode=755,dev tmpfs /dev || exit 2
        mknod -m 666 /dev/null c 1 3
        export PATH=/usr/sbin:/usr/bin:/sbin:/bin
        export LD_LIBRARY_PATH=$1/usr/lib/x86_64-linux-gnu/nvidia/current
        "$1/usr/lib/nvidia/current/nvidia-smi" -L >/dev/null 2>&1
        echo "nvidia-smi -L: exit $?"
        stat -c "%n: %F, mode %a, major %Hr, minor %Lr" /dev/nvidiactl 2>&1
        { : </dev/nvidiactl; } 2>&1 | sed "s/.*: /open: /"
' - "$dir/root" | tee seen
diff - seen <<'E2'
nvidia-smi -L: exit 9
/dev/nvidiactl: character special file, mode 666, major 195, minor 255
open: No such device or address
E2
