#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Debian's 6.12 kernel says CONFIG_MODULE_SIG_KEY_TYPE_RSA=y, but its modules carry ECDSA signatures.
#
# Package:  linux-image-6.12.95+deb12-amd64 6.12.95-1~bpo12+1 (bookworm-backports), unpacked, not installed.
# Seen:     the configuration names RSA and sha256; the PKCS#7 at the end of loop.ko names ecdsa-with-SHA256.
#           Debian's signing service replaces the build's signatures afterwards, with a key of another type.
#           6.1 (linux-image-6.1.0-57-amd64 6.1.192-3) still has rsaEncryption under the same configuration.
# So what:  the kernel's configuration does not say what its signatures look like. A tool that signs or judges
#           modules has to read a signature that the kernel's own modules carry.
#
# Exit status: 0 as seen, 1 something changed, 2 cannot be run here.
set -euo pipefail
package=linux-image-6.12.95+deb12-amd64 version=6.12.95-1~bpo12+1 suite=bookworm-backports

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

dpkg-deb --fsys-tarfile ./*.deb | tar -x --wildcards './boot/config-*' '*/drivers/block/loop.ko.xz'
config=$(grep -E '^CONFIG_MODULE_SIG_(KEY_TYPE_[A-Z0-9_]+=y|HASH=)' boot/config-*)
find . -name loop.ko.xz -exec xz -dc {} + >loop.ko

# The trailer: 12 bytes, of which the last 4 are the signature's length, big endian, then the magic of 28 bytes.
tail -c 28 loop.ko | grep -qx '~Module signature appended~' || { echo "loop.ko has no signature" >&2; exit 1; }
length=$((16#$(tail -c 32 loop.ko | head -c 4 | od -An -tx1 | tr -d ' ')))
tail -c $((length + 40)) loop.ko | head -c "$length" >signature.der
signature=$(openssl cms -inform DER -in signature.der -cmsout -print | grep -A1 signatureAlgorithm | sed -n 's/.*algorithm: \([^ ]*\).*/\1/p')

printf 'configuration:\n%s\nsignature of loop.ko: %s, %d bytes\n' "$config" "$signature" "$length"
[[ $config == *KEY_TYPE_RSA=y* && $config == *'"sha256"'* && $signature == ecdsa-with-SHA256 ]]
