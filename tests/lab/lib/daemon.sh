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
                { git ls-files -z --cached --others --exclude-standard -- "$@" 2>/dev/null || find "$@" -type f -print0; } | sort -zu |
                        while IFS= read -r -d '' path; do
                                # Git knows of deleted files until the deletion is committed.
                                [[ ! -f $path ]] || sha256sum -- "$path"
                        done
        ) | digest
}

daemon_build() {
        local dir=$1 top=$2 build
        build=$dir/.build
        meson setup --buildtype=release --prefix=/usr --sysconfdir=/etc --localstatedir=/var --wrap-mode=nodownload "$build" "$top"
        meson compile -C "$build"
        meson install -C "$build" --no-rebuild --destdir "$dir"
        rm -rf -- "$build"
}

daemon_package() {
        :
}
