# shellcheck shell=bash
# cpio archives for the kernel's initramfs loader, which unpacks any number of them one over the other.

# archive DIR FILE: DIR's content without DIR itself, whose mode would become that of the machine's /.
archive() {
        (
                cd -- "$1" || exit
                find . -mindepth 1 -print0 | LC_ALL=C sort -z | cpio --null --create --format=newc --owner=0:0 --reproducible --quiet
        ) >"$2"
}
