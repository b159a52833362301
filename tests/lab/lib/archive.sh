# shellcheck shell=bash
# cpio archives for the kernel's initramfs loader, which unpacks any number of them one over the other.

# archive DIR FILE: DIR's content and DIR itself, which gives the machine's / its mode: without it, / is as open as /tmp.
archive() {
        chmod 0755 -- "$1"
        (
                cd -- "$1" || exit
                find . -print0 | LC_ALL=C sort -z | cpio --null --create --format=newc --owner=0:0 --reproducible --quiet
        ) >"$2"
}
