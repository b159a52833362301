# SPDX-License-Identifier: Apache-2.0
"""The names that a machine made of files has, and what stories and fakes both know of it."""

import os

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "../fixtures/component")
RELEASE = "6.1.192-fixture"
VERSION = "#1 SMP PREEMPT_DYNAMIC Fixture 6.1.192-1 (2026-11-16)"
VERMAGIC = f"{RELEASE} SMP mod_unload"
DRIVER = "535.999.01"
BOOT_ID = "11111111-2222-4333-8444-555555555555"
STORE = "var/lib/nvidia-driverd"
TREE = f"usr/src/linux-headers-{RELEASE}"
SOURCE = f"usr/src/nvidia-{DRIVER}"
MODULES = ["nvidia", "nvidia-uvm", "nvidia-modeset", "nvidia-drm"]
CORE_USES = {
    "nvidia_uvm": ["nvidia"],
    "nvidia_modeset": ["nvidia"],
    "nvidia_drm": ["nvidia", "nvidia_modeset"],
}
OUR_FILES = ["nvidia.ko", "nv-linux.o", "nvidia-uvm.ko", "nvidia-modeset.ko", "nv-modeset-linux.o", "module.lds", "build.log"]
FETCH = os.path.join(os.path.dirname(os.environ.get("NVIDIA_WORKER", "/")), "nvidia-driverd-fetch")


def module_name(file):
    return os.path.basename(file).removesuffix(".ko").replace("-", "_")


def control(root, name):
    """What ROOT/ctl/NAME says; None if it is not there."""
    try:
        with open(os.path.join(root, "ctl", name), encoding="utf-8") as f:
            return f.read().strip()
    except FileNotFoundError:
        return None


def gate(root, name):
    """Called by fakes: stops here while the gate is closed."""
    fifo = os.path.join(root, f"ctl/gate-{name}")
    if not os.path.exists(fifo):
        return
    with open(os.path.join(root, f"ctl/at-{name}"), "w", encoding="ascii"):
        pass
    try:
        with open(fifo, "rb", buffering=0) as f:
            f.read(1)
    except FileNotFoundError:
        pass  # it was opened, and thereby went, at this very moment


def remove_all(directory):
    """The tree, if it is there. Links in it are removed, not followed."""
    for place, names, files in os.walk(directory, topdown=False):
        for name in files:
            os.unlink(os.path.join(place, name))
        for name in names:
            path = os.path.join(place, name)
            (os.unlink if os.path.islink(path) else os.rmdir)(path)
    if os.path.isdir(directory):
        os.rmdir(directory)


def can_make_nodes():
    return os.geteuid() == 0


# The state that a start goes through for them.
AWAITING = ["awaiting-devices"] if can_make_nodes() else []


def gpus_of(root):
    return sorted(os.listdir(os.path.join(root, "sys/bus/pci/devices")))
