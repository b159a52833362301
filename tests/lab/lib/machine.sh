# shellcheck shell=bash
# Results are variables that others read.
# shellcheck disable=SC2034
# The virtual machine: from options to a running qemu, and back to an exit status.
#
# There is no boot loader, network or (by default) disk. The root file system is the initramfs: the kernel unpacks any number of
# concatenated archives one over the other, so the cached parts are joined with a small fresh one that holds this run's script.

# The simulated boards' device memory is RAM above what mem= leaves to the kernel. 768 MB hold 16 boards, and the ACPI tables
# at the very top of low memory stay clear of it. qemu allocates what is touched: the window costs nothing.
MACHINE_RAM=1792
MACHINE_WINDOW=768

machine_usage() {
        cat >&2 <<END
options:
  --kernel 6.1|6.12|strict|RELEASE  kernel to boot (6.1); strict: one of ours that loads only what is signed with /lab/strict/key.pem
  --gpus N                    simulated boards, 0 to 16 (1)
  --disk                      root on an ext4 disk instead of the initramfs
  --driver real|open|standin|none  whose package the daemon finds in its store: NVIDIA's, its open modules, the stand-in (real)
  --plain                     the driver's modules, linked by its own Makefile, in /lib/modules/KV/extra too
  --toolchain                 compiler, kernel headers and stand-in source inside the machine (implies --disk)
  --devcontainer              a stand-in for Flatcar's developer container in /lab/mirror/VERSION, and the stand-in driver's source (implies --disk)
  --nouveau                   let udev load nouveau when it sees a board
  --simgpu PARAM=VALUE        parameter of the simulation, e.g. boot0=0 for an unknown chip (repeatable)
  --package KERNEL[=DRIVER]   our package of the driver (real) for that kernel in /lab/packages/KERNEL.nvpkg, and what importing it takes: ld,
                              and the driver's source with its core objects in /usr/src (repeatable)
  --signing-key               a fresh key and its certificate in /lab/signing/{key,cert}.pem, which the kernel does not know
  --file HOSTPATH:GUESTPATH   file or directory to place in the machine (repeatable)
  --append ARGS               more kernel command line
  --memory MB                 RAM for the kernel ($MACHINE_RAM; at most 2048)
  --timeout S                 seconds until the machine is killed (300)
END
}

# Parses options; what is left over is in REST.
machine_options() {
        KERNEL=6.1 GPUS=1 DISK=no DRIVER=real PLAIN=no FLAVOUR=base NOUVEAU=no SIGNING=no DEVCONTAINER=no PACKAGES=() SIMGPU=() FILES=() APPEND='' TIMEOUT=300
        OPTIONS=()
        while [[ $# -gt 0 ]]; do
                case $1 in
                --kernel | --gpus | --driver | --package | --simgpu | --file | --append | --memory | --timeout)
                        [[ $# -ge 2 ]] || die "$1 needs a value"
                        OPTIONS+=("$1" "$2")
                        ;;
                --disk | --plain | --toolchain | --devcontainer | --nouveau | --signing-key) OPTIONS+=("$1") ;;
                esac
                case $1 in
                --kernel) KERNEL=$2 ;;
                --gpus) GPUS=$2 ;;
                --driver) DRIVER=$2 ;;
                --package) PACKAGES+=("$2") ;;
                --simgpu) SIMGPU+=("$2") ;;
                --file) FILES+=("$2") ;;
                --append) APPEND+=" $2" ;;
                --memory) MACHINE_RAM=$2 ;;
                --timeout) TIMEOUT=$2 ;;
                --disk) DISK=yes ;;
                --plain) PLAIN=yes ;;
                --toolchain) FLAVOUR=toolchain DISK=yes ;;
                --devcontainer) DEVCONTAINER=yes DISK=yes ;;
                --nouveau) NOUVEAU=yes ;;
                --signing-key) SIGNING=yes ;;
                --help | -h)
                        machine_usage
                        exit 0
                        ;;
                --)
                        shift
                        break
                        ;;
                -*)
                        machine_usage
                        die "unknown option $1"
                        ;;
                *) break ;;
                esac
                case $1 in
                --disk | --plain | --toolchain | --devcontainer | --nouveau | --signing-key) shift ;;
                *) shift 2 ;;
                esac
        done
        REST=("$@")
        [[ $GPUS =~ ^[0-9]+$ && $GPUS -le 16 ]] || die "--gpus: a number from 0 to 16, not $GPUS"
        [[ $TIMEOUT =~ ^[0-9]+$ ]] || die "--timeout: seconds, not $TIMEOUT"
        [[ $MACHINE_RAM =~ ^[0-9]+$ && $MACHINE_RAM -ge 512 && $MACHINE_RAM -le 2048 ]] || die "--memory: 512 to 2048, not $MACHINE_RAM"
        [[ $KERNEL != strict || $DISK == no ]] || die "the strict kernel has no disk: neither --disk nor --toolchain"
        [[ $DRIVER =~ ^(real|open|standin|none)$ ]] || die "--driver: real, open, standin or none, not $DRIVER"
}

# Assemble the machine in SCRATCH: vmlinuz, initrd, disk. MODE is what the agent inside does: script or shell.
machine_prepare() {
        local mode=$1 image guest layers=()
        scratch
        image=$(image_base "$FLAVOUR")
        guest=$(kernel_guest "$KERNEL")
        kernel_find "$KERNEL"
        ln -s "$guest/vmlinuz" "$SCRATCH/vmlinuz"

        if [[ $DISK == yes ]]; then
                DISK_IMAGE=$(disk_image "$FLAVOUR" "$KERNEL" "$image" "$guest")
                layers+=("$(disk_initrd "$KERNEL" "$guest")/root.cpio")
        else
                DISK_IMAGE=
                layers+=("$image/root.cpio" "$guest/root.cpio")
        fi
        machine_add_software
        layers+=("${SOFTWARE[@]}")

        machine_overlay "$mode" "$SCRATCH/overlay"
        archive "$SCRATCH/overlay" "$SCRATCH/overlay.cpio"
        cat -- "${layers[@]}" "$SCRATCH/overlay.cpio" >"$SCRATCH/initrd"
}

# Archives with our daemon, its packages and the plain modules, as far as this run has them, in SOFTWARE.
machine_add_software() {
        local entry
        SOFTWARE=()
        daemon_root
        if [[ -n $DAEMON_ROOT ]]; then
                merge_usr "$DAEMON_ROOT" "$SCRATCH/daemon"
                archive "$SCRATCH/daemon" "$SCRATCH/daemon.cpio"
                SOFTWARE+=("$SCRATCH/daemon.cpio")
                machine_add_builds
                machine_add_packages
        fi
        if [[ $DEVCONTAINER == yes ]]; then
                machine_add_devcontainer
        fi
        if [[ $PLAIN == yes ]]; then
                entry=$(plain_layer "$KERNEL" "$DRIVER")
                SOFTWARE+=("$entry/root.cpio")
        fi
}

machine_add_builds() {
        local builds entry
        [[ $DRIVER != none ]] || return 0
        if builds=$(daemon_ready_builds "$KERNEL" "$DRIVER"); then
                mkdir -p -- "$SCRATCH/builds/var/lib/nvidia-driverd"
                cp -aL -- "$builds" "$SCRATCH/builds/var/lib/nvidia-driverd/builds"
                archive "$SCRATCH/builds" "$SCRATCH/builds.cpio"
                SOFTWARE+=("$SCRATCH/builds.cpio")
                return 0
        fi
        entry=$(daemon_package "$KERNEL" "$DRIVER")
        [[ -z $entry ]] || SOFTWARE+=("$entry/root.cpio")
}

# Exported here, like on a machine that builds for others, from builds that nvidia-driver made for those kernels.
machine_add_packages() {
        local what kernel driver builds source entry
        [[ ${#PACKAGES[@]} -gt 0 ]] || return 0
        mkdir -p -- "$SCRATCH/packages/lab/packages" "$SCRATCH/packages/usr/src"
        for what in "${PACKAGES[@]}"; do
                kernel=${what%%=*} driver=real
                [[ $what != *=* ]] || driver=${what#*=}
                builds=$(daemon_builds "$kernel" "$driver")
                daemon_export "$DAEMON_ROOT" "$builds" "$SCRATCH/packages/lab/packages/$kernel.nvpkg"
                source=$(driver_of "$driver")
                # Named by what it says itself, as the search wants it.
                cp -aT -- "$source" "$SCRATCH/packages/usr/src/nvidia-$(sed -n 's/.*NV_VERSION_STRING=\\"\([0-9.]*\).*/\1/p' "$source/Kbuild" | head -n 1)"
        done
        archive "$SCRATCH/packages" "$SCRATCH/packages.cpio"
        entry=$(image_linker)
        SOFTWARE+=("$SCRATCH/packages.cpio" "$entry/root.cpio")
}

machine_add_devcontainer() {
        local mirror source
        mirror=$(devcontainer_mirror "$KERNEL")
        source=$(standin_source)
        mkdir -p -- "$SCRATCH/devcontainer/lab/mirror" "$SCRATCH/devcontainer/usr/src"
        cp -a -- "$mirror/." "$SCRATCH/devcontainer/lab/mirror/"
        cp -a -- "$source" "$SCRATCH/devcontainer/usr/src/nvidia-standin-535.999.01"
        archive "$SCRATCH/devcontainer" "$SCRATCH/devcontainer.cpio"
        SOFTWARE+=("$SCRATCH/devcontainer.cpio")
}

# Copy a tree for a machine with merged /usr: an archive that brings a directory /lib would replace the machine's link /lib.
merge_usr() {
        local from=$1 to=$2 name
        mkdir -p -- "$to/usr"
        for name in bin sbin lib lib64; do
                mkdir -p -- "$to/usr/$name"
                ln -sfn "usr/$name" "$to/$name"
        done
        tar -C "$from" --owner=0 --group=0 -cf - . | tar -C "$to" -xf - --keep-directory-symlink --no-overwrite-dir
        rm -- "$to"/{bin,sbin,lib,lib64}
        find "$to/usr" -mindepth 1 -maxdepth 1 -type d -empty -delete
}

# This run's own files.
machine_overlay() {
        local mode=$1 to=$2 pair host guest
        mkdir -p -- "$to"/{lab,etc/modules-load.d,etc/modprobe.d}
        printf '%s\n' "$mode" >"$to/lab/mode"
        printf '%s\n' "${TOKEN:-none}" >"$to/lab/token"
        printf '%s\n' "$GPUS" >"$to/lab/gpus"
        printf '%s\n' "$TIMEOUT" >"$to/lab/timeout"
        : >"$to/lab/arguments"
        # A serial line knows neither; without the size, editors draw for 80x24.
        printf '%s\n' "${TERM:-vt100}" >"$to/lab/term"
        { stty size 2>/dev/null || echo 24 80; } | awk '{ print "rows", $1, "cols", $2 }' >"$to/lab/size"
        if [[ ${#REST[@]} -gt 0 ]]; then
                install -m 0755 -- "${REST[0]}" "$to/lab/script"
                if [[ ${#REST[@]} -gt 1 ]]; then
                        printf '%s\0' "${REST[@]:1}" >"$to/lab/arguments"
                fi
        fi
        {
                printf 'options simgpu gpus=%d window=%d window_mb=%d%s\n' "$GPUS" $((MACHINE_RAM << 20)) "$MACHINE_WINDOW" "${SIMGPU[*]:+ ${SIMGPU[*]}}"
                [[ $NOUVEAU == yes ]] || printf 'blacklist nouveau\n'
                # udev would load a driver whose modules depmod knows as soon as it sees a board. That is the story's decision.
                # nvidia-drm and nvidia-modeset claim the same PCI ids as nvidia.
                [[ $PLAIN == no ]] || printf 'blacklist %s\n' nvidia nvidia_drm nvidia_modeset nvidia_uvm nvidia_peermem
        } >"$to/etc/modprobe.d/lab.conf"
        # Loaded by systemd-modules-load: early, and before udev goes through the devices.
        [[ $GPUS -eq 0 ]] || printf 'simgpu\n' >"$to/etc/modules-load.d/lab.conf"

        if [[ $SIGNING == yes ]]; then
                mkdir -- "$to/lab/signing"
                openssl req -new -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=Lab Module Key' \
                        -keyout "$to/lab/signing/key.pem" -out "$to/lab/signing/cert.pem" 2>/dev/null
                chmod 0600 "$to/lab/signing/key.pem"
        fi

        # The key that the strict kernel has built in.
        if [[ $KERNEL == strict ]]; then
                cp -a -- "$(strict_kernel)/signing" "$to/lab/strict"
        fi

        for pair in "${FILES[@]}"; do
                host=${pair%:*} guest=${pair##*:}
                [[ $pair == *:/* && -e $host ]] || die "--file $pair: HOSTPATH:GUESTPATH, and HOSTPATH must exist"
                mkdir -p -- "$(dirname -- "$SCRATCH/files$guest")"
                cp -a -- "$host" "$SCRATCH/files$guest"
        done
        if [[ -d $SCRATCH/files ]]; then
                mv -- "$to" "$to.own"
                merge_usr "$SCRATCH/files" "$to"
                cp -a -- "$to.own/." "$to/"
        fi
}

# Sets QEMU to the command that starts the prepared machine.
machine_command() {
        local accel drive=() args
        case ${NVIDIA_DRIVERD_LAB_ACCEL:-tcg} in
        # /dev/kvm may exist and still not work: somebody who knows has to ask for it.
        kvm) accel=(-accel kvm -cpu host) ;;
        *) accel=(-accel "tcg,thread=multi,tb-size=512") ;;
        esac

        # panic and oops end the machine at once, without a verdict: a story can never pass over one.
        args="rdinit=/init console=ttyS0,115200 mem=${MACHINE_RAM}M panic=-1 oops=panic mitigations=off nokaslr audit=0 apparmor=0 selinux=0"
        args+=" random.trust_cpu=on no_timer_check rcupdate.rcu_cpu_stall_suppress=1"
        args+=" systemd.show_status=${SHOW_STATUS:-no} loglevel=${LOGLEVEL:-6}$APPEND"

        if [[ -n $DISK_IMAGE ]]; then
                # The cached image is shared by all runs and never written to: changes go to a temporary file in TMPDIR.
                drive=(-drive "file=$DISK_IMAGE,format=raw,if=none,id=root,snapshot=on" -device "virtio-blk-pci,drive=root")
        fi
        QEMU=(
                env "TMPDIR=$SCRATCH" qemu-system-x86_64 -name nvidia-driverd-lab -machine "pc,usb=off" "${accel[@]}"
                -smp 2 -m $((MACHINE_RAM + MACHINE_WINDOW + 240)) -nodefaults -no-user-config -display none -vga none -nic none -no-reboot
                -kernel "$SCRATCH/vmlinuz" -initrd "$SCRATCH/initrd" -append "$args" "${drive[@]}"
        )
}

# Copies the second serial port to stdout, up to the verdict; the journal that follows goes to a file.
#
# An empty line is held back until the next one is known: the agent puts a newline before its verdict, in case the script's last
# line had none.
machine_relay() {
        local token=$1 status_file=$2 journal=$3 line held=no
        while IFS= read -r line || [[ -n $line ]]; do
                if [[ -e $status_file ]]; then
                        printf '%s\n' "$line" >&4
                        continue
                fi
                if [[ $line =~ ^"$token"\ ([0-9]+)$ ]]; then
                        printf '%s\n' "${BASH_REMATCH[1]}" >"$status_file"
                        exec 4>"$journal"
                        continue
                fi
                [[ $held == no ]] || printf '\n'
                held=no
                if [[ -z $line ]]; then
                        held=yes
                else
                        printf '%s\n' "$line"
                fi
        done
        [[ $held == no || -e $status_file ]] || printf '\n'
}

# What a person needs after a failure: the evidence, and a way in. STATUS
machine_report() {
        local kept quoted
        mkdir -p -- "$CACHE/failed"
        find "$CACHE/failed" -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf -- {} +
        kept=$(mktemp -d "${NVIDIA_DRIVERD_LAB_LOGS:-$CACHE/failed}/run.XXXXXXXX")
        cp -- "$SCRATCH"/*.log "$kept/"
        say "FAILED with status $1: ${REST[*]}"
        if [[ $1 -ge 124 && $1 -le 125 ]]; then
                say "last lines of the console:"
                # Without registers and stacks: those are in the log.
                grep -vE '^\[[ 0-9.]*\] ( |RIP|RSP|R[0-9A-D][0-9X]|R[SDB][IP]|Code|FS|CS|CR|DR|---|Call Trace)' "$kept/console.log" | tail -n 15 | sed 's/^/lab: | /' >&2 || true
                [[ ! -s $kept/qemu.log ]] || sed 's/^/lab: qemu: /' "$kept/qemu.log" >&2
        fi
        say "console: $kept/console.log"
        [[ ! -s $kept/journal.log ]] || say "journal: $kept/journal.log"
        printf -v quoted '%q ' "$LAB/shell" "${OPTIONS[@]}" "${REST[@]}"
        say "the same machine for a look (the script lies there as /lab/script): $quoted"
}
