# shellcheck shell=bash
# Results are variables that others read.
# shellcheck disable=SC2034
# The strict kernel, built here from Debian's source of 6.12: it loads nothing without a signature by the lab's own key and nothing without
# a vermagic. Debian's kernels allow both, so what our checks are worth shows only here.
#
# Configuration: strict/config. It is built once, in 10 to 40 minutes; the tree that modules are compiled against is the kernel's own
# selection for that purpose, as distributions package it.

STRICT_SOURCE=linux-source-6.12

# Sets KV, KIMAGE, KHEADERS as kernel_select does. Both name the source: the package's upstream version is the kernel's.
strict_select() {
        local version
        version=$(apt_version "$STRICT_SOURCE")
        KV=${version%%-*}-strict
        KIMAGE=$STRICT_SOURCE=$version
        KHEADERS=$KIMAGE
}

# Prints a directory: vmlinuz, full/ (lib/modules/KV, signed), headers/ (as kernel_headers has it), signing/ (key.pem, cert.pem), sign-file.
strict_kernel() {
        kernel_find strict
        cache_entry strict "$(digest <<<"$KIMAGE $(digest_tree "$LAB" strict lib/strict.sh)")" strict_build "$KV" "$KIMAGE"
}

strict_build() {
        local dir=$1 kv=$2 package=$3 source=$1/source headers=$1/headers/usr/src/linux-headers-$2
        mkdir -p -- "$source/certs" "$dir/signing" "$headers" "$dir/headers/lib/modules/$kv"
        apt_unpack "$dir/deb" "$package"
        tar -C "$source" --strip-components=1 -xf "$dir/deb/usr/src/$STRICT_SOURCE.tar.xz"
        rm -rf -- "$dir/deb"

        openssl req -new -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=Lab Strict Key' \
                -keyout "$dir/signing/key.pem" -out "$dir/signing/cert.pem" 2>/dev/null
        chmod 0600 "$dir/signing/key.pem"
        cat -- "$dir/signing"/{key,cert}.pem >"$source/certs/lab.pem"

        # Inside the source all paths are relative, wherever this is: to ccache, where there is one, a second build is the first one again.
        if [[ -d /usr/lib/ccache ]]; then
                # The kernel's compiler lists the files that it read: nothing has to be preprocessed to know them.
                export PATH=/usr/lib/ccache:$PATH CCACHE_DEPEND=1
        fi
        export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 2026' KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=lab KBUILD_BUILD_VERSION=1
        strict_make() {
                make -C "$source" -j"${NVIDIA_DRIVERD_LAB_JOBS:-$(nproc)}" "$@"
        }
        strict_make KCONFIG_ALLCONFIG="$LAB/strict/config" allnoconfig
        strict_check_config "$source/.config"
        strict_make bzImage modules
        [[ $(<"$source/include/config/kernel.release") == "$kv" ]] || die "this source makes $(<"$source/include/config/kernel.release"), not $kv"

        strict_make INSTALL_MOD_PATH="$dir/full" INSTALL_MOD_STRIP=1 modules_install
        rm -f -- "$dir/full/lib/modules/$kv"/{build,source}
        # make's own expression
        # shellcheck disable=SC2016
        strict_make run-command KBUILD_RUN_COMMAND='$(srctree)/scripts/package/install-extmod-build '"$headers"
        cp -- "$source/.config" "$headers/.config"
        ln -s "../../../usr/src/linux-headers-$kv" "$dir/headers/lib/modules/$kv/build"
        ln -s "../../../usr/src/linux-headers-$kv" "$dir/headers/lib/modules/$kv/source"
        cp -- "$source/arch/x86/boot/bzImage" "$dir/vmlinuz"
        cp -- "$source/scripts/sign-file" "$dir/sign-file"
        rm -rf -- "$source"
}

# kconfig drops what its dependencies do not allow, without a word.
strict_check_config() {
        local line lost=0
        while read -r line; do
                grep -qxF -- "$line" "$1" || { say "strict/config: $line did not come to be"; lost=1; }
        done < <(grep '^CONFIG_' "$LAB/strict/config")
        if grep -E '^CONFIG_(MODULE_FORCE_LOAD|MODVERSIONS)=' "$1"; then
                lost=1
        fi
        [[ $lost -eq 0 ]] || die "the configuration of the strict kernel is not what it should be"
}
