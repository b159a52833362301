#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kmod knows a module by its file's name, the kernel by the name inside it: a renamed module is two modules.
#
# Package:  kmod 30+20221128-1 and linux-image-6.12.95+deb12-amd64 6.12.95-1~bpo12+1 (bookworm-backports), unpacked, not
#           installed. Debian's own NVIDIA packages rename like this: nvidia-current.ko is "nvidia" once it is loaded.
# Seen:     loop.ko, copied as loop-current.ko into a module tree of its own: depmod takes it without a word, modprobe
#           finds loop-current and no loop, modinfo prints the name "loop", which is what the kernel would call it.
# So what:  `modprobe nvidia` fails on such a host although `lsmod` shows nvidia, `modprobe -r nvidia-current` cannot
#           remove it, and options for nvidia-current in modprobe.d do not reach a module that another tool
#           inserts as nvidia. What is loaded has to be looked up in /sys/module, by the name inside the file.
#
# Exit status: 0 as seen, 1 something changed, 2 cannot be run here.
set -euo pipefail
package=linux-image-6.12.95+deb12-amd64 version=6.12.95-1~bpo12+1 suite=bookworm-backports

PATH=$PATH:/usr/sbin:/sbin
kmod=$(dpkg-query -W -f '${Version}' kmod 2>/dev/null) || true
[[ $kmod == 30+20221128-1 ]] || { echo "needs kmod 30+20221128-1, here is ${kmod:-none}" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
mkdir -p lists/partial cache/archives/partial

# The mirror that apt uses already, in an apt state of this script's own.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$2 !~ /security/ { print $1; exit }')
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -n $mirror && -e $keyring ]] || { echo "needs Debian's apt, with package lists" >&2; exit 2; }
echo "deb [signed-by=$keyring] $mirror $suite main" >sources.list
apt=(-qq -o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update && apt-get "${apt[@]}" download "$package=$version" || { echo "$package $version cannot be had" >&2; exit 2; }

release=${package#linux-image-}
tree=lib/modules/$release
mkdir -p "$tree/updates" empty
touch "$tree"/modules.{order,builtin,builtin.modinfo}
dpkg-deb --fsys-tarfile ./*.deb | tar -x --wildcards '*/drivers/block/loop.ko.xz' -O | xz -dc >"$tree/updates/loop-current.ko"
depmod -b "$dir" "$release"

# Without the machine's own modprobe.d.
find_module() {
        modprobe --config "$dir/empty" --dirname "$dir" --set-version "$release" --show-depends "$1" >/dev/null 2>&1 &&
                echo "modprobe $1: found" || echo "modprobe $1: not found"
}
{
        find_module loop-current
        find_module loop
        echo "name inside: $(modinfo -F name "$tree/updates/loop-current.ko")"
} | tee seen
diff - seen <<'E2'
modprobe loop-current: found
modprobe loop: not found
name inside: loop
E2
