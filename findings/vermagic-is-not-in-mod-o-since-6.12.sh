#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# NAME.o and NAME.mod.o are no longer a whole module: Linux 6.12 takes the vermagic from .module-common.o, which
# the header package does not ship and make creates beside the module.
#
# Package:  linux-headers-6.12.95+deb12-amd64, -common and linux-kbuild-6.12.95+deb12 6.12.95-1~bpo12+1
#           (bookworm-backports), unpacked, not installed; gcc-12 and make of the machine.
# Seen:     a module of three lines, built by make: modinfo prints a vermagic. The same NAME.o and NAME.mod.o, linked by
#           ld -r with the kernel's module.lds, as drivers do that link their own core objects: no vermagic, no
#           error. With .module-common.o, which make left beside them, it is there.
# So what:  a driver's own two-step link succeeds and the module is refused at load on a kernel without
#           CONFIG_MODULE_FORCE_LOAD, or taints the kernel with F on one that has it.
#
# Exit status: 0 as seen, 1 something changed, 2 cannot be run here.
set -euo pipefail
version=6.12.95-1~bpo12+1 suite=bookworm-backports
packages=(linux-headers-6.12.95+deb12-amd64 linux-headers-6.12.95+deb12-common linux-kbuild-6.12.95+deb12)

for tool in gcc-12 make ld modinfo; do
        command -v "$tool" >/dev/null || { echo "needs $tool" >&2; exit 2; }
done
dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
mkdir -p lists/partial cache/archives/partial root module

# The mirror that apt uses already, in an apt state of this script's own.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$2 !~ /security/ { print $1; exit }')
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -n $mirror && -e $keyring ]] || { echo "needs Debian's apt, with package lists" >&2; exit 2; }
echo "deb [signed-by=$keyring] $mirror $suite main" >sources.list
apt=(-qq -o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update && apt-get "${apt[@]}" download "${packages[@]/%/=$version}" || { echo "${packages[*]} cannot be had" >&2; exit 2; }
for file in ./*.deb; do
        dpkg-deb -x "$file" root
done
build=$dir/root/usr/src/linux-headers-6.12.95+deb12-amd64
# The package names its other half by an absolute path.
sed -i "s#/usr/src/#$dir/root/usr/src/#" "$build/Makefile"

cat >module/probe.c <<'C'
#include <linux/module.h>
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("probe");
C
echo 'obj-m := probe.o' >module/Kbuild
make -s -C "$build" M="$dir/module" CC=gcc-12 CONFIG_DEBUG_INFO_BTF_MODULES= modules

cd module
lds=$(find "$build" "$dir/root/usr/src" -path '*/arch/x86/module.lds' -o -path '*/scripts/module.lds' | head -n 1)
common=$(find "$dir/module" "$build" -name .module-common.o | head -n 1)
[[ -n $lds && -n $common ]] || { echo "no module.lds or no .module-common.o" >&2; exit 1; }
ld -r -T "$lds" -o two.ko probe.o probe.mod.o
ld -r -T "$lds" -o three.ko probe.o probe.mod.o "$common"

make_says=$(modinfo -F vermagic ./probe.ko) two=$(modinfo -F vermagic ./two.ko) three=$(modinfo -F vermagic ./three.ko)
printf 'vermagic of make'"'"'s module: "%s"\nof .o and .mod.o: "%s"\nwith .module-common.o: "%s"\n' "$make_says" "$two" "$three"
[[ -n $make_says && -z $two && $three == "$make_says" ]]
