# shellcheck shell=bash
# The machine's root file system: a minimal Debian with systemd and udev, and the libraries our programs are linked to.

IMAGE_PACKAGES=(
        systemd systemd-sysv udev kmod dbus procps usr-is-merged
        libsystemd0 libkmod2 libudev1 libinih1 libjansson4 libssl3 libxxhash0 libarchive13 libcurl4 libmount1
)

# What a story may want when it compiles inside the machine.
IMAGE_TOOLCHAIN=(gcc gcc-12 make binutils libelf1 libc6-dev bc cpio dwarves)

# Documentation, translations and the hardware data base are most of a small Debian's size, and in an initramfs every megabyte
# is copied twice by an emulated processor.
IMAGE_EXCLUDE=(
        '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*' '/usr/share/i18n/*' '/usr/share/lintian/*'
        '/usr/share/bug/*' '/usr/share/zoneinfo/*' '/usr/lib/udev/hwdb.d/*' '/usr/lib/udev/hwdb.bin' '/usr/lib/x86_64-linux-gnu/gconv/*'
        '/usr/share/bash-completion/*' '/usr/share/gcc/*' '/usr/lib/gcc/x86_64-linux-gnu/12/lto*'
)

# Prints a directory with root.cpio, the machine's root file system. FLAVOUR: base or toolchain.
image_base() {
        local flavour=$1 debian key
        apt_ready
        # What takes a minute (Debian) is kept apart from what is edited often (our configuration of it).
        debian=$(cache_entry "debian-$flavour" "$(image_packages "$flavour" | cat - <(printf '%s\n' "${IMAGE_EXCLUDE[@]}" 1) | digest)" image_build_debian "$flavour")
        key=$(digest <<<"$debian $(digest_tree "$LAB" image lib/image.sh lib/archive.sh)")
        cache_entry "image-$flavour" "$key" image_build_base "$debian"
}

image_packages() {
        printf '%s\n' "${IMAGE_PACKAGES[@]}"
        [[ $1 == base ]] || printf '%s\n' "${IMAGE_TOOLCHAIN[@]}"
}

image_build_debian() {
        local dir=$1 flavour=$2 line option=()
        apt_ready
        for line in "${IMAGE_EXCLUDE[@]}"; do
                option+=(--dpkgopt="path-exclude=$line")
        done
        # mmdebstrap's apt does not read the machine's configuration, but proxies and the like live there.
        while read -r line; do
                option+=(--aptopt="$line")
        done < <(apt-config dump | grep -E '^Acquire::(http|https|Check|Retries|ForceIPv4)[^ ]* "' || true)

        # The hook makes /lib and friends links before anything is unpacked; without it the usrmerge package comes, and perl with it.
        mmdebstrap --mode=root --variant=minbase --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
                --include="$(image_packages "$flavour" | paste -sd,)" "${option[@]}" --aptopt='Apt::Install-Recommends "false"' \
                bookworm "$dir/root" "$CACHE/apt/sources.list"
        image_trim "$dir/root"
        tar -C "$dir/root" --numeric-owner -cf "$dir/root.tar" .
        rm -rf -- "$dir/root"
}

image_build_base() {
        local dir=$1 debian=$2
        mkdir -- "$dir/root"
        tar -C "$dir/root" --numeric-owner -xf "$debian/root.tar"
        image_configure "$dir/root"
        archive "$dir/root" "$dir/root.cpio"
        rm -rf -- "$dir/root"
}

image_trim() {
        rm -rf -- "${1:?}"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/cache/debconf/* "$1"/var/log/* "${1:?}"/boot/* "${1:?}"/dev/*
        mkdir -p -- "$1/var/log/journal"
        rmdir -- "$1/var/log/journal"
}

# Everything about the machine that is ours lies in image/root and is copied over; what follows are links and empty files.
image_configure() {
        local root=$1 unit
        tar -C "$LAB/image/root" --owner=0 --group=0 -cf - . | tar -C "$root" -xf - --keep-directory-symlink --no-overwrite-dir
        chmod 0755 -- "$root"/usr/lib/lab/*

        # The kernel starts /init of an initramfs, and only that.
        ln -sfn usr/lib/systemd/systemd "$root/init"
        # An id of its own from the start: systemd would otherwise treat each boot as the first one.
        printf '%s\n' 6e766964696164726976657264646c61 >"$root/etc/machine-id"
        printf '%s\n' lab >"$root/etc/hostname"
        printf '127.0.0.1 localhost lab\n' >"$root/etc/hosts"
        : >"$root/etc/fstab"
        passwd --root "$root" --delete root

        # Nothing that waits, asks, or works in the background: a story measures our daemon.
        for unit in getty@tty1.service getty-static.service systemd-logind.service systemd-timesyncd.service systemd-networkd.service \
                systemd-resolved.service systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-pstore.service \
                systemd-firstboot.service systemd-update-done.service systemd-hwdb-update.service systemd-machine-id-commit.service \
                systemd-remount-fs.service systemd-random-seed.service systemd-boot-update.service systemd-growfs@.service ldconfig.service \
                serial-getty@.service e2scrub_reap.service e2scrub_all.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
                fstrim.timer systemd-tmpfiles-clean.timer systemd-ask-password-wall.path systemd-ask-password-console.path \
                systemd-vconsole-setup.service console-getty.service systemd-user-sessions.service systemd-journal-flush.service \
                systemd-journal-catalog-update.service systemd-sysusers.service modprobe@.service dev-hugepages.mount dev-mqueue.mount \
                sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount; do
                ln -sfn /dev/null "$root/etc/systemd/system/$unit"
        done
        ln -sfn /usr/lib/systemd/system/lab.target "$root/etc/systemd/system/default.target"
}

# ld and its libraries, without a compiler: what importing a package takes. Prints a directory with root.cpio.
IMAGE_LINKER=(binutils binutils-x86-64-linux-gnu libbinutils libctf0 libctf-nobfd0 libgprofng0)

image_linker() {
        local name packages=()
        apt_ready
        for name in "${IMAGE_LINKER[@]}"; do
                packages+=("$name=$(apt_version "$name")")
        done
        cache_entry linker "$(digest <<<"${packages[*]} 1")" image_build_linker "${packages[@]}"
}

image_build_linker() {
        local dir=$1
        shift
        apt_unpack "$dir/all" "$@"
        mkdir -p -- "$dir/root/usr/bin" "$dir/root/usr/lib/x86_64-linux-gnu"
        cp -a -- "$dir/all/usr/bin"/{ld,ld.bfd,x86_64-linux-gnu-ld,x86_64-linux-gnu-ld.bfd} "$dir/root/usr/bin/"
        cp -a -- "$dir/all/usr/lib/x86_64-linux-gnu"/lib*.so* "$dir/root/usr/lib/x86_64-linux-gnu/"
        rm -rf -- "$dir/all"
        archive "$dir/root" "$dir/root.cpio"
        rm -rf -- "$dir/root"
}
