# shellcheck shell=bash
# A stand-in for Flatcar's developer container: a GPT disk image with one partition, on which a small Debian says of itself that it
# is Flatcar. It has the compiler, and the headers of the lab's kernel where the machine has none. Nothing is mounted to make it.

DEVCONTAINER_VERSION=4230.2.3
DEVCONTAINER_BOARD=amd64-usr
DEVCONTAINER_PACKAGES=(gcc gcc-12 make binutils libelf1 libc6-dev)

# KERNEL: prints a directory with VERSION/flatcar_developer_container.bin.zst and the .DIGESTS beside it, as a mirror has them.
devcontainer_mirror() {
        local headers packages
        apt_ready
        headers=$(kernel_headers "$1")
        kernel_find "$1"
        packages=$(printf '%s\n' "${DEVCONTAINER_PACKAGES[@]}" | while read -r name; do printf '%s=%s\n' "$name" "$(apt_version "$name")"; done)
        cache_entry "devcontainer-$KV" "$(digest <<<"$headers $packages ${IMAGE_EXCLUDE[*]} $DEVCONTAINER_VERSION $DEVCONTAINER_BOARD 1")" \
                devcontainer_build "$KV" "$headers"
}

devcontainer_build() {
        local dir=$1 kv=$2 headers=$3 name=flatcar_developer_container.bin place line option=()
        while read -r line; do
                option+=(--aptopt="$line")
        done < <(apt-config dump | grep -E '^Acquire::(http|https|Check|Retries|ForceIPv4)[^ ]* "' || true)
        for line in "${IMAGE_EXCLUDE[@]}"; do
                option+=(--dpkgopt="path-exclude=$line")
        done
        mmdebstrap --mode=root --variant=minbase --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
                --include="$(printf '%s\n' "${DEVCONTAINER_PACKAGES[@]}" | paste -sd,)" "${option[@]}" --aptopt='Apt::Install-Recommends "false"' \
                bookworm "$dir/root" "$CACHE/apt/sources.list"
        image_trim "$dir/root"
        # Kernel headers, with the links that climb one directory more from /usr/lib/modules than from /lib/modules.
        cp -a -- "$headers/usr/." "$dir/root/usr/"
        mkdir -p -- "$dir/root/usr/lib/modules/$kv"
        ln -s "/usr/src/$(basename -- "$(readlink "$headers/lib/modules/$kv/build")")" "$dir/root/usr/lib/modules/$kv/build"
        rm -f -- "$dir/root/etc/os-release"
        printf '%s\n' 'NAME="Flatcar Container Linux by Kinvolk"' ID=flatcar "VERSION=$DEVCONTAINER_VERSION" \
                "PRETTY_NAME=\"Flatcar stand-in $DEVCONTAINER_VERSION\"" "FLATCAR_BOARD=$DEVCONTAINER_BOARD" >"$dir/root/usr/lib/os-release"
        ln -s ../usr/lib/os-release "$dir/root/etc/os-release"
        devcontainer_image "$dir/root" "$dir/$name"
        rm -rf -- "$dir/root"
        place=$dir/$DEVCONTAINER_VERSION
        mkdir -- "$place"
        zstd -q -10 -T0 --rm -o "$place/$name.zst" -- "$dir/$name"
        (
                cd -- "$place" || exit
                printf '# SHA512 HASH\n%s\n' "$(sha512sum -- "$name.zst")"
        ) >"$place/$name.zst.DIGESTS"
}

# DIRECTORY IMAGE: as it is on a Flatcar disk, the file system begins behind the first megabyte.
devcontainer_image() {
        local size
        size=$(($(du -sm --apparent-size -- "$1" | cut -f 1) * 5 / 4 + 64))
        truncate -s $((size + 2))M -- "$2"
        printf 'label: gpt\nstart=2048, size=%sM, type=linux-root-x86-64, name=ROOT\n' "$size" | sfdisk -q -- "$2"
        chmod 0755 -- "$1"
        mke2fs -q -t ext4 -O ^has_journal -L ROOT -m 0 -E offset=1048576,root_owner=0:0 -d "$1" "$2" "${size}M"
}
