# shellcheck shell=bash
# The disk variant: the same root file system on an ext4 disk, for what an initramfs cannot do (pivot_root, much space).
#
# The disk holds what is cached anyway (Debian, the kernel's modules, the toolchain) and is never written to. This run's
# archives are the same ones as without a disk: a small initrd copies what they unpack to on to the disk's file system.

DISK_SIZE=8G

# FLAVOUR KERNEL: prints the path of the disk image. Sparse, the machine sees DISK_SIZE.
disk_image() {
        local flavour=$1 kernel=$2 image=$3 guest=$4 extra='' entry
        kernel_find "$kernel"
        if [[ $flavour == toolchain ]]; then
                extra=$(toolchain_layer "$kernel")
        fi
        entry=$(cache_entry "disk-$flavour-$KV" "$(digest <<<"$image $guest $extra $DISK_SIZE 1")" disk_build_image "$image" "$guest" "$extra")
        printf '%s/disk.img\n' "$entry"
}

disk_build_image() {
        local dir=$1 part
        shift
        mkdir -- "$dir/root"
        for part in "$@"; do
                [[ -z $part ]] || cpio --extract --make-directories --preserve-modification-time --unconditional --quiet -D "$dir/root" <"$part/root.cpio"
        done
        # mke2fs takes the mode of / from the directory.
        chmod 0755 "$dir/root"
        mke2fs -q -t ext4 -L lab -m 0 -E root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1 -d "$dir/root" "$dir/disk.img" "$DISK_SIZE"
        rm -rf -- "$dir/root"
}

# Prints a directory with root.cpio: an initrd that finds the disk, copies the other archives' files on to it and goes there.
disk_initrd() {
        local kernel=$1 guest=$2 version
        kernel_find "$kernel"
        version=$(apt_version busybox-static)
        cache_entry "initrd-$KV" "$(digest <<<"$guest $version $(digest_tree "$LAB" image lib/disk.sh)")" disk_build_initrd "$KV" "$guest" "busybox-static=$version"
}

disk_build_initrd() {
        local dir=$1 kv=$2 guest=$3 busybox=$4 root path
        root=$dir/root
        # All of it but /init below one directory: whatever else is in / then belongs on the disk.
        mkdir -p -- "$root/initrd/modules" "$root"/{dev,proc,sys}
        apt_unpack "$dir/deb" "$busybox"
        install -m 0755 -- "$dir"/deb{,/usr}/bin/busybox "$root/initrd/" 2>/dev/null || [[ -x $root/initrd/busybox ]]
        rm -rf -- "$dir/deb"
        # modprobe wants BASE/lib/modules; entries of the cache are not changed once they are complete.
        mkdir -- "$dir/base"
        ln -s "$guest/root/usr/lib" "$dir/base/lib"
        for path in virtio_pci virtio_blk ext4; do
                modprobe -d "$dir/base" -S "$kv" --ignore-install --show-depends "$path"
        done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r path; do
                cp -- "$path" "$root/initrd/modules/"
                printf '%s\n' "${path##*/}" >>"$root/initrd/modules/order"
        done
        install -m 0755 "$LAB/image/initrd-init" "$root/init"
        archive "$root" "$dir/root.cpio"
        rm -rf -- "$root" "$dir/base"
}
