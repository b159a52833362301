# shellcheck shell=bash
# All parts of the lab. Each file defines functions and runs nothing.
# shellcheck source=lib/cache.sh
. "$LAB/lib/cache.sh"
# shellcheck source=lib/archive.sh
. "$LAB/lib/archive.sh"
# shellcheck source=lib/apt.sh
. "$LAB/lib/apt.sh"
# shellcheck source=lib/kernel.sh
. "$LAB/lib/kernel.sh"
# shellcheck source=lib/strict.sh
. "$LAB/lib/strict.sh"
# shellcheck source=lib/driver.sh
. "$LAB/lib/driver.sh"
# shellcheck source=lib/image.sh
. "$LAB/lib/image.sh"
# shellcheck source=lib/disk.sh
. "$LAB/lib/disk.sh"
# shellcheck source=lib/devcontainer.sh
. "$LAB/lib/devcontainer.sh"
# shellcheck source=lib/daemon.sh
. "$LAB/lib/daemon.sh"
# shellcheck source=lib/machine.sh
. "$LAB/lib/machine.sh"
