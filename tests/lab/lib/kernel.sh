# shellcheck shell=bash
# Kernels of the lab: which ones, their build trees, and what the machine gets of them.
#
# A kernel is named by series ("6.1", "6.12": the newest build that Debian 12 or its backports have) or by release
# ("6.1.0-50-amd64": this very one, for stories about kernel upgrades), or "strict", see strict.sh.

# Modules that the machine needs or that a story may want; dependencies come along by themselves.
# nouveau is there for a real conflict, vfio-pci for another one, the net filter ones for a Docker engine.
KERNEL_MODULES=(
        drm drm_kms_helper video i2c-core i2c-algo-bit backlight ipmi_msghandler ipmi_devintf nouveau vfio vfio-pci pci-stub
        virtio_pci virtio_blk virtio_net virtio_console virtio_rng ext4 loop overlay squashfs fuse efivarfs
        bridge br_netfilter veth tun nf_nat nf_tables nft_compat nft_chain_nat nft_nat nft_masq nft_ct xt_MASQUERADE xt_conntrack
        xt_addrtype xt_mark xt_comment iptable_filter iptable_nat ip_tables
)

# Sets KV (release), KIMAGE, KHEADERS (package=version).
kernel_select() {
        local name=$1 version
        if [[ $name == strict ]]; then
                strict_select
                return 0
        fi
        if [[ $name =~ ^[0-9]+\.[0-9]+$ ]]; then
                version=$(apt_version linux-image-amd64 "$name.")
                KV=$(apt_depends "linux-image-amd64=$version" 'linux-image-[0-9].*')
                KV=${KV#linux-image-}
        else
                KV=$name
        fi
        version=$(apt_version "linux-image-$KV")
        KIMAGE=linux-image-$KV=$version
        KHEADERS=linux-headers-$KV=$version
}

# The answer of kernel_select, remembered until the package lists change: asking apt takes a second, and a warm run asks often.
kernel_find() {
        local memo
        apt_ready
        memo=$CACHE/apt/kernel-${1//[^A-Za-z0-9.+-]/_}
        if [[ ! -s $memo || $memo -ot $CACHE/apt/updated ]]; then
                kernel_select "$1"
                printf '%s\n' "$KV" "$KIMAGE" "$KHEADERS" >"$memo.$$"
                mv -- "$memo.$$" "$memo"
        fi
        { read -r KV && read -r KIMAGE && read -r KHEADERS; } <"$memo"
}

# --- build tree ---

# Prints a directory laid out like the root of a machine with the headers installed: usr/src, usr/lib, lib/modules/KV/build.
kernel_headers() {
        kernel_find "$1"
        if [[ $1 == strict ]]; then
                printf '%s/headers\n' "$(strict_kernel)"
                return 0
        fi
        cache_entry "headers-$KV" "$(digest <<<"$KHEADERS 1")" kernel_build_headers "$KV" "$KHEADERS"
}

kernel_build_headers() {
        local dir=$1 kv=$2 headers=$3 version dep packages=("$3")
        version=${headers#*=}
        while read -r dep; do
                # All of them are built from the same source package.
                packages+=("$dep=$version")
        done < <(apt_depends "$headers" 'linux-headers-.*-common(-.*)?|linux-kbuild-.*')
        apt_unpack "$dir" "${packages[@]}"

        # The package expects to be installed: the tree's Makefile includes the common part as /usr/src/..., and the links below
        # /lib/modules are absolute too. Made relative to themselves, the same files work wherever they lie, for every user of
        # the tree, without a mount namespace that each make would have to be started in. Everything else is relative already.
        # These are make's own expressions, to arrive as they are.
        # shellcheck disable=SC2016
        sed -i 's#^include /usr/src/#include $(dir $(lastword $(MAKEFILE_LIST)))../#' "$dir/usr/src/linux-headers-$kv/Makefile"
        ln -sfn "../../../usr/src/linux-headers-$kv" "$dir/lib/modules/$kv/build"
        ln -sfn "../../../usr/src/$(basename -- "$(readlink "$dir/lib/modules/$kv/source")")" "$dir/lib/modules/$kv/source"
        rm -rf -- "${dir:?}/usr/share"
        [[ -e $dir/lib/modules/$kv/build/.config && -e $dir/lib/modules/$kv/source/Makefile ]] || die "headers of $kv do not look as expected"
}

# --- what the machine boots ---

# Prints a directory with vmlinuz, root/ (usr/lib/modules/KV) and root.cpio.
kernel_guest() {
        local headers key strict=''
        kernel_find "$1"
        [[ $1 != strict ]] || strict=$(strict_kernel)
        headers=$(kernel_headers "$1")
        key=$(digest <<<"$KIMAGE $strict ${KERNEL_MODULES[*]} $(digest_tree "$LAB" simgpu lib/kernel.sh)")
        cache_entry "kernel-$KV" "$key" kernel_build_guest "$KV" "$KIMAGE" "$headers" "$strict"
}

kernel_build_guest() {
        local dir=$1 kv=$2 image=$3 headers=$4 strict=$5 full to name path
        full=$dir/full
        to=$dir/root/usr/lib/modules/$kv
        if [[ -n $strict ]]; then
                cp -a -- "$strict/full" "$full"
                cp -- "$strict/vmlinuz" "$dir/vmlinuz"
        else
                mkdir -- "$full"
                apt_unpack "$full" "$image"
                mv -- "$full/boot/vmlinuz-$kv" "$dir/vmlinuz"
        fi
        depmod -b "$full" "$kv"

        mkdir -p -- "$to"
        cp -- "$full/lib/modules/$kv"/modules.{order,builtin,builtin.modinfo} "$to/"
        for name in "${KERNEL_MODULES[@]}"; do
                # Names that this kernel has built in, or does not have, print nothing that begins with insmod.
                { modprobe -d "$full" -S "$kv" --ignore-install --show-depends "$name" 2>/dev/null || true; } | sed -n 's/^insmod \([^ ]*\).*/\1/p'
        done | sort -u | while read -r path; do
                install -D -m 0644 -- "$path" "$to/${path#*"/lib/modules/$kv/"}"
        done
        rm -rf -- "$full"

        mkdir -p -- "$to/updates" "$dir/simgpu"
        cp -- "$LAB/simgpu"/* "$dir/simgpu/"
        # Type information for BPF is made from debug information, and pahole fails where there is none.
        make -C "$headers/lib/modules/$kv/build" M="$dir/simgpu" KCFLAGS='-g0 -Werror' CONFIG_DEBUG_INFO_BTF_MODULES= modules
        if [[ -n $strict ]]; then
                for path in "$dir/simgpu"/*.ko; do
                        "$strict/sign-file" sha256 "$strict/signing/key.pem" "$strict/signing/cert.pem" "$path"
                done
        fi
        cp -- "$dir/simgpu/simgpu.ko" "$to/updates/"
        # Not where depmod finds it: the kernel's own nouveau is what udev loads.
        mkdir -p -- "$dir/root/usr/lib/lab"
        cp -- "$dir/simgpu/nouveau.ko" "$dir/root/usr/lib/lab/"

        # depmod -b looks below BASE/lib/modules; the machine has merged /usr, and an archive that is unpacked over another must
        # not turn its /lib from a link into a directory. Hence the link for depmod only.
        ln -s usr/lib "$dir/root/lib"
        depmod -b "$dir/root" "$kv"
        rm -- "$dir/root/lib"
        archive "$dir/root" "$dir/root.cpio"
}

# --- full source ---

# Prints the directory of an unpacked linux-source-6.1: what a machine without headers has to prepare.
kernel_source() {
        local version entry
        version=$(apt_version linux-source-6.1)
        entry=$(cache_entry linux-source-6.1 "$(digest <<<"linux-source-6.1=$version")" kernel_unpack_source "linux-source-6.1=$version")
        printf '%s/source\n' "$entry"
}

kernel_unpack_source() {
        local dir=$1
        apt_unpack "$dir/deb" "$2"
        mkdir -- "$dir/source"
        tar -C "$dir/source" --strip-components=1 -xf "$dir/deb/usr/src/linux-source-6.1.tar.xz"
        rm -rf -- "$dir/deb"
}

# --- toolchain flavour ---

# Headers at the place where an installed package has them, and the stand-in's source. Prints a directory with root.cpio.
toolchain_layer() {
        local headers standin
        headers=$(kernel_headers "$1")
        standin=$(standin_source)
        kernel_find "$1"
        cache_entry "toolchain-$KV" "$(digest <<<"$headers $standin 1")" toolchain_build_layer "$KV" "$headers" "$standin"
}

toolchain_build_layer() {
        local dir=$1 kv=$2 headers=$3 standin=$4
        mkdir -p -- "$dir/root/usr/lib/modules/$kv"
        cp -a -- "$headers/usr/." "$dir/root/usr/"
        # The links climb one directory more from /usr/lib/modules than from /lib/modules.
        ln -s "/usr/src/$(basename -- "$(readlink "$headers/lib/modules/$kv/build")")" "$dir/root/usr/lib/modules/$kv/build"
        ln -s "/usr/src/$(basename -- "$(readlink "$headers/lib/modules/$kv/source")")" "$dir/root/usr/lib/modules/$kv/source"
        cp -a -- "$standin" "$dir/root/usr/src/nvidia-standin-535.999.01"
        archive "$dir/root" "$dir/root.cpio"
        rm -rf -- "$dir/root"
}
