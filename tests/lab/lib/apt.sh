# shellcheck shell=bash
# Debian packages, without touching the user's apt.
#
# The lab needs sections (contrib, non-free) and a suite (backports) that a machine usually does not have configured, and it
# needs packages unpacked, not installed. So it keeps an apt state of its own in the cache. Where the mirrors are is the
# machine's business: their addresses are taken from apt's own index targets, never written down here.

# How old package lists may get. New kernels are what users have too, but a story must not change under one's hands all day.
APT_MAX_AGE_DAYS=${NVIDIA_DRIVERD_LAB_APT_DAYS:-3}

apt_options() {
        local state=$CACHE/apt
        # The sandbox user could not write below the cache.
        APT=(
                -o "Dir::Etc::SourceList=$state/sources.list"
                -o "Dir::Etc::SourceParts=/dev/null"
                -o "Dir::State::Lists=$state/lists"
                -o "Dir::State::status=$state/status"
                -o "Dir::Cache=$state/cache"
                -o "APT::Sandbox::User=root"
                -o "APT::Architecture=amd64"
                -o "Acquire::Retries=3"
                -qq
        )
}

# Base address of a Debian suite as the machine's own apt knows it. Third-party repositories have another origin.
apt_uri_of() {
        # apt expands $(...) itself.
        # shellcheck disable=SC2016
        apt-get indextargets --format '$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
                awk -F'|' -v suite="$1" '$1 == "Debian" && $2 == suite && $3 == "main" { print $4; exit }'
}

apt_write_sources() {
        local to=$1 main security parts="main contrib non-free non-free-firmware" keyring=/usr/share/keyrings/debian-archive-keyring.gpg opt=
        main=$(apt_uri_of bookworm)
        if [[ -z $main ]]; then
                # Fresh containers come with their lists deleted.
                say "apt has no package lists yet, updating them"
                apt-get -o DPkg::Lock::Timeout=300 -qq update >&2
                main=$(apt_uri_of bookworm)
        fi
        [[ -n $main ]] || die "apt knows no Debian bookworm mirror (apt-get indextargets lists none): the lab needs a Debian 12 machine"
        security=$(apt_uri_of bookworm-security)
        [[ ! -e $keyring ]] || opt="[signed-by=$keyring] "
        {
                printf 'deb %s%s bookworm %s\n' "$opt" "$main" "$parts"
                printf 'deb %s%s bookworm-updates %s\n' "$opt" "$main" "$parts"
                printf 'deb %s%s bookworm-backports %s\n' "$opt" "$main" "$parts"
                [[ -z $security ]] || printf 'deb %s%s bookworm-security %s\n' "$opt" "$security" "$parts"
        } >"$to"
}

# Make sure that package lists exist and are not too old; sets APT to the options of the lab's own state.
apt_ready() {
        local state lock
        cache_open
        state=$CACHE/apt
        apt_options
        if [[ -z $(find "$state/updated" -mtime "-$APT_MAX_AGE_DAYS" 2>/dev/null) ]]; then
                exec {lock}>"$CACHE/locks/apt"
                flock "$lock"
                # Somebody else may have done it while we waited.
                if [[ -z $(find "$state/updated" -mtime "-$APT_MAX_AGE_DAYS" 2>/dev/null) ]]; then
                        apt_update
                fi
                exec {lock}>&-
        fi
}

apt_update() {
        local state=$CACHE/apt
        say "apt: reading package lists"
        mkdir -p -- "$state/lists/partial" "$state/cache/archives/partial"
        : >"$state/status"
        apt_write_sources "$state/sources.list.new"
        mv -- "$state/sources.list.new" "$state/sources.list"
        if ! apt-get "${APT[@]}" update >&2; then
                [[ -e $state/updated ]] || die "apt: cannot read the package lists"
                say "apt: cannot refresh the package lists, going on with the old ones"
        fi
        touch -- "$state/updated"
}

# Highest version of a package, optionally only of those that begin with a prefix.
apt_version() {
        local package=$1 prefix=${2:-} best='' version
        apt_ready
        while read -r version; do
                [[ $version == "$prefix"* ]] || continue
                if [[ -z $best ]] || dpkg --compare-versions "$version" gt "$best"; then
                        best=$version
                fi
        done < <(apt-cache "${APT[@]}" madison "$package" | awk -F' *[|] *' '$3 ~ /Packages/ { print $2 }')
        [[ -n $best ]] || die "apt: no package $package${prefix:+ $prefix*} in Debian 12 or its backports"
        printf '%s\n' "$best"
}

# apt_depends PACKAGE=VERSION REGEX: names of direct dependencies that match, one per line.
apt_depends() {
        apt_ready
        apt-cache "${APT[@]}" show "$1" | sed -n 's/^Depends: //p' | tr '|' , | tr , '\n' | sed 's/^ *//; s/ .*//' | grep -Ex -- "$2" | sort -u
}

# apt_unpack DIR PACKAGE=VERSION...: download and unpack packages into DIR. The files are kept for a month: entries are rebuilt
# much more often than Debian's packages change.
apt_unpack() {
        local dir=$1 debs=$CACHE/debs package version file lock
        shift
        apt_ready
        mkdir -p -- "$debs"
        exec {lock}>"$CACHE/locks/debs"
        flock "$lock"
        find "$debs" -name '*.deb' -mtime +30 -delete
        for package in "$@"; do
                say "apt: fetching $package"
                # What is there already, whole, is not fetched again: apt checks its hash.
                if ! (cd -- "$debs" && apt-get "${APT[@]}" download "$package" >&2); then
                        # Mirrors drop old versions: the lists may name one that is gone.
                        rm -f -- "$CACHE/apt/updated"
                        die "apt: cannot fetch $package; the next run will refresh the package lists"
                fi
                # Names have the version with its colon encoded.
                version=${package#*=}
                for file in "$debs/${package%%=*}_${version//:/%3a}"_*.deb; do
                        touch -- "$file"
                        dpkg-deb -x "$file" "$dir"
                done
        done
        exec {lock}>&-
}
