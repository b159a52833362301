# shellcheck shell=bash
# Results are variables that others read.
# shellcheck disable=SC2034
# Our own programs and their packages of the driver, as the machine gets them.

# What a build of the programs depends on.
DAEMON_SOURCES=(daemon lib units conf meson.build meson_options.txt)

# Sets DAEMON_ROOT to an installed tree (DESTDIR), or to nothing where the project cannot be built yet.
daemon_root() {
        local key
        if [[ -n ${NVIDIA_DRIVERD_DESTDIR:-} ]]; then
                [[ -d $NVIDIA_DRIVERD_DESTDIR ]] || die "NVIDIA_DRIVERD_DESTDIR: no directory $NVIDIA_DRIVERD_DESTDIR"
                DAEMON_ROOT=$NVIDIA_DRIVERD_DESTDIR
                return 0
        fi
        DAEMON_ROOT=
        if [[ ! -e $TOP/meson.build || ${NVIDIA_DRIVERD_LAB_DAEMON:-yes} == no ]]; then
                return 0
        fi
        key=$(daemon_key "${DAEMON_SOURCES[@]}")
        DAEMON_ROOT=$(cache_entry daemon "$key" daemon_build "$TOP")
}

# Hash of the files as they are now, committed or not. Where this is no git checkout, of all files.
daemon_key() {
        local path
        (
                cd -- "$TOP" || exit
                { git ls-files -z --cached --others --exclude-standard -- "$@" 2>/dev/null || find "${DAEMON_SOURCES[@]}" -type f -print0; } | sort -zu |
                        while IFS= read -r -d '' path; do
                                # Git knows of deleted files until the deletion is committed.
                                [[ ! -f $path ]] || sha256sum -- "$path"
                        done
        ) | digest
}

# DIRECTORY TOP [BUILDTYPE]
daemon_build() {
        local dir=$1 top=$2 type=${3:-release} build
        build=$dir/.build
        # Warnings are judged where all compilers and levels are tried, not while a story waits.
        meson setup --buildtype="$type" -Dwerror=false -Dtests=false --prefix=/usr --sysconfdir=/etc --localstatedir=/var --wrap-mode=nodownload "$build" "$top"
        meson compile -C "$build"
        meson install -C "$build" --no-rebuild --destdir "$dir"
        rm -rf -- "$build"
}

# What a package's content depends on. Not all of the programs: a package takes minutes, and most changes are elsewhere. Patterns
# for git, quoted from the shell, which would match them against wherever it was started.
PACKAGE_SOURCES=(
        'daemon/build*' 'lib/policy/buildlog*' 'lib/policy/compiler*' 'lib/policy/driversource*' 'lib/policy/kconfig*' 'lib/policy/kerneltree*'
        'lib/policy/manifest*' 'lib/policy/objtool*' 'lib/policy/recipe*' 'lib/*/runfile*' 'lib/policy/vermagic*' 'lib/sys/digest*' 'lib/sys/driversource*' 'lib/sys/manifestjson*'
        'lib/sys/store*' 'lib/sys/treefacts*'
)

# KERNEL DRIVER: prints a directory with builds/<build-id>/ and root.cpio, which puts it into the machine's store. Prints nothing
# where the programs cannot build yet.
daemon_package() {
        local kernel=$1 driver=$2 headers source
        [[ -x $DAEMON_ROOT/usr/bin/nvidia-driver ]] || return 0
        headers=$(kernel_headers "$kernel")
        kernel_find "$kernel"
        source=$(driver_of "$driver")
        cache_entry "package-$driver-$KV" "$(digest <<<"$headers $source $(daemon_key "${PACKAGE_SOURCES[@]}") 1")" \
                daemon_build_package "$DAEMON_ROOT" "$KV" "$headers/lib/modules/$KV/build" "$source"
}

# KERNEL DRIVER: prints the directory of builds that were made before, if NVIDIA_DRIVERD_LAB_BUILDS has one: DRIVER-KERNEL/<build-id>/.
daemon_ready_builds() {
        local ready=${NVIDIA_DRIVERD_LAB_BUILDS:-/nonexistent}/$2-$1
        [[ -d $ready ]] && printf '%s\n' "$ready"
}

# KERNEL DRIVER: prints a directory with <build-id>/ in it.
daemon_builds() {
        local entry
        if daemon_ready_builds "$1" "$2"; then
                return 0
        fi
        entry=$(daemon_package "$1" "$2")
        [[ -n $entry ]] || die "there is no daemon to build a package with"
        printf '%s/builds\n' "$entry"
}

# PROGRAMS BUILDS FILE
daemon_export() {
        local programs=$1 builds=$2 file=$3 store=$SCRATCH/export id
        mkdir -p -- "$store"
        ln -sfn "$(readlink -f -- "$builds")" "$store/builds"
        for id in "$builds"/*/manifest.json; do
                id=$(basename -- "$(dirname -- "$id")")
                NVIDIA_DRIVERD_WORKER=$programs/usr/libexec/nvidia-driverd-worker \
                        "$programs/usr/bin/nvidia-driver" --root=/ "--set=Store.Directory=$store" builds export "$id" "$file" >&2
        done
        [[ -s $file ]] || die "no package came of $builds"
}

daemon_build_package() {
        local dir=$1 programs=$2 kv=$3 tree=$4 source=$5 store
        # The programs call each other by the absolute paths of an installation. This one is not installed here;
        # only with --root= is another path of the environment taken.
        export NVIDIA_DRIVERD_HELPER=$programs/usr/libexec/nvidia-driverd-helper NVIDIA_DRIVERD_DAEMON=$programs/usr/sbin/nvidia-driverd
        export NVIDIA_DRIVERD_WORKER=$programs/usr/libexec/nvidia-driverd-worker
        mkdir -- "$dir/builds"
        "$programs/usr/bin/nvidia-driver" --root=/ build --kernel "$kv" --kernel-tree "$tree" --driver-source "$source" --output "$dir/builds"
        # Only finished builds; work places and locks of the store are not part of a package.
        find "$dir/builds" -mindepth 1 -maxdepth 1 ! -exec test -e {}/manifest.json ';' -exec rm -rf -- {} +
        store=$dir/root/var/lib/nvidia-driverd
        mkdir -p -- "$store"
        cp -al -- "$dir/builds" "$store/builds"
        chmod -R u=rwX,go=rX -- "$dir/root"
        archive "$dir/root" "$dir/root.cpio"
        rm -rf -- "$dir/root"
}
