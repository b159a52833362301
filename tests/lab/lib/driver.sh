# shellcheck shell=bash
# Drivers: NVIDIA's as Debian packages it, and the stand-in.

DRIVER_BRANCH=535

# Prints the unpacked kernel source. TYPE: proprietary or open.
driver_source() {
        local package version entry
        case $1 in
        proprietary) package=nvidia-kernel-source ;;
        open) package=nvidia-open-kernel-source ;;
        *) die "no such driver type: $1" ;;
        esac
        version=$(driver_version "$package")
        entry=$(cache_entry "driver-source-$1" "$(digest <<<"$package=$version")" driver_unpack_source "$package=$version")
        printf '%s/source\n' "$entry"
}

driver_version() {
        local memo
        apt_ready
        memo=$CACHE/apt/$1
        if [[ ! -s $memo || $memo -ot $CACHE/apt/updated ]]; then
                apt_version "$1" "$DRIVER_BRANCH." >"$memo.$$"
                mv -- "$memo.$$" "$memo"
        fi
        cat -- "$memo"
}

driver_unpack_source() {
        local dir=$1 tarball
        mkdir -- "$dir/deb"
        apt_unpack "$dir/deb" "$2"
        for tarball in "$dir"/deb/usr/src/*.tar.*; do
                tar -C "$dir/deb" -xf "$tarball"
        done
        mv -T -- "$dir"/deb/modules/nvidia*-kernel "$dir/source"
        rm -rf -- "$dir/deb"
        [[ -e $dir/source/Kbuild ]] || die "$2: no Kbuild file in the unpacked source"
}

# Prints the directory that holds NVIDIA's own supported-gpus.json.
driver_supported_gpus() {
        local version
        version=$(driver_version nvidia-driver)
        cache_entry supported-gpus "$(digest <<<"$version")" driver_unpack_supported_gpus "nvidia-driver=$version"
}

driver_unpack_supported_gpus() {
        local dir=$1
        apt_unpack "$dir/deb" "$2"
        gunzip -c -- "$dir/deb/usr/share/doc/nvidia-driver/supported-gpus.json.gz" >"$dir/supported-gpus.json"
        rm -rf -- "$dir/deb"
}

# The source of a driver by the name that options give it.
driver_of() {
        case $1 in
        real) driver_source proprietary ;;
        open) driver_source open ;;
        standin) standin_source ;;
        *) die "no such driver: $1" ;;
        esac
}

# The stand-in's source with its "proprietary" core objects compiled, in the layout of NVIDIA's. Prints its directory.
standin_source() {
        local entry
        entry=$(cache_entry standin-source "$(digest_tree "$LAB" standin)" standin_build_source)
        printf '%s/source\n' "$entry"
}

standin_build_source() {
        local dir=$1
        cp -a -- "$LAB/standin" "$dir/source"
        chown -R 0:0 -- "$dir/source"
        make -C "$dir/source" core
}

# Modules as the driver's own Makefile links them, for comparisons with bare modprobe. Prints a directory with the .ko files.
plain_modules() {
        local kernel=$1 driver=$2 headers source
        headers=$(kernel_headers "$kernel")
        kernel_find "$kernel"
        source=$(driver_of "$driver")
        cache_entry "plain-$driver-$KV" "$(digest <<<"$headers $source 1")" plain_build_modules "$KV" "$headers" "$source"
}

plain_build_modules() {
        local dir=$1 kv=$2 headers=$3 source=$4
        # A copy: sources are read only for everybody, and NVIDIA's Makefile builds in place.
        cp -a -- "$source" "$dir/work"
        make -C "$dir/work" -j"$(nproc)" SYSSRC="$headers/lib/modules/$kv/source" SYSOUT="$headers/lib/modules/$kv/build" \
                KCFLAGS=-g0 nv-linux.o nv-modeset-linux.o
        mv -- "$dir/work"/*.ko "$dir/"
        rm -rf -- "$dir/work"
}

# The plain modules as an archive for the machine: /lib/modules/KV/extra and a depmod data base that knows them.
plain_layer() {
        local kernel=$1 driver=$2 guest modules
        [[ $driver != none ]] || driver=real
        guest=$(kernel_guest "$kernel")
        modules=$(plain_modules "$kernel" "$driver")
        kernel_find "$kernel"
        cache_entry "plain-layer-$driver-$KV" "$(digest <<<"$guest $modules 1")" plain_build_layer "$KV" "$guest" "$modules"
}

plain_build_layer() {
        local dir=$1 kv=$2 guest=$3 modules=$4 tree
        cp -a -- "$guest/root" "$dir/root"
        tree=$dir/root/usr/lib/modules/$kv
        mkdir -- "$tree/extra"
        cp -- "$modules"/*.ko "$tree/extra/"
        ln -s usr/lib "$dir/root/lib"
        depmod -b "$dir/root" "$kv"
        rm -rf -- "$dir/root/lib" "$tree/kernel" "$tree/updates"
        archive "$dir/root" "$dir/root.cpio"
        rm -rf -- "$dir/root"
}
