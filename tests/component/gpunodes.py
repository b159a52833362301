# SPDX-License-Identifier: Apache-2.0
"""What kernel, driver and udevd leave of GPUs and their nodes in a machine's /proc, /sys and /dev.

fake-helper imports this and fixture.py at each of its starts, thousands of them: only modules that load fast.
"""

import os
import stat

from fixture import control, gpus_of, remove_all


def put_driver(root):
    """What the driver says in /proc, and the bus of its GPUs, once nvidia or nvidia_uvm came or went."""
    def put(name, text):
        file = os.path.join(root, name)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file + ".new", "w", encoding="ascii") as f:
            f.write(text)
        os.rename(file + ".new", file)

    loaded = os.listdir(os.path.join(root, "sys/module"))
    majors = "226 drm\n"
    if "nvidia_uvm" in loaded:
        majors += f"{control(root, 'uvm-major') or 242} nvidia-uvm\n"
    if "nvidia" not in loaded:
        for name in ("nvidia", "nvidia-caps"):
            remove_all(os.path.join(root, f"proc/driver/{name}"))
    else:
        majors += "195 nvidia-frontend\n245 nvidia-caps\n"
        put("proc/driver/nvidia/params", control(root, "params") or
            "ModifyDeviceFiles: 1\nDeviceFileUID: 0\nDeviceFileGID: 0\nDeviceFileMode: 438\n")
        put("proc/driver/nvidia-caps/mig-minors", "config 1\nmonitor 2\n" + "".join(f"gpu0/gi{i}/access {i + 3}\n" for i in range(15)))
        put("proc/driver/nvidia/capabilities/mig/config", "DeviceFileMinor: 1\nDeviceFileMode: 256\nDeviceFileModify: 1\n")
        for minor, address in enumerate(gpus_of(root)):
            if address == control(root, "silent-gpu"):
                continue
            put(f"proc/driver/nvidia/gpus/{address}/information", f"Model: \t\t Fixture\nDevice Minor: \t {minor}\n")
    for address in gpus_of(root):
        device = os.path.join(root, f"sys/bus/pci/devices/{address}")
        link = os.path.join(device, "driver")
        override = "(null)"
        if os.path.exists(os.path.join(device, "driver_override")):
            with open(os.path.join(device, "driver_override"), encoding="ascii") as f:
                override = f.read().strip()
        if os.path.islink(link):
            if os.path.basename(os.readlink(link)) != "nvidia":
                continue
            os.unlink(link)
        if "nvidia" in loaded and override in ("(null)", "nvidia"):
            os.symlink("../../../bus/pci/drivers/nvidia", link)
    put("proc/devices", f"Character devices:\n  1 mem\n{majors}\nBlock devices:\n  7 loop\n")


def make_node(root, address, index, kind):
    """A DRM minor as kernel and udevd leave it."""
    minor = index if kind == "card" else 128 + index
    name = f"card{minor}" if kind == "card" else f"renderD{minor}"
    devpath = f"devices/pci0000:00/{address}/drm/{name}"
    directory = os.path.join(root, "sys", devpath)
    os.makedirs(directory)
    for attribute, text in (("dev", f"226:{minor}\n"), ("uevent", f"MAJOR=226\nMINOR={minor}\nDEVNAME=/dev/dri/{name}\n")):
        with open(os.path.join(directory, attribute), "w", encoding="ascii") as f:
            f.write(text)
    os.symlink("../../../../../class/drm", os.path.join(directory, "subsystem"))
    os.makedirs(os.path.join(root, "sys/class/drm"), exist_ok=True)
    os.symlink(f"../../{devpath}", os.path.join(root, "sys/class/drm", name))
    os.makedirs(os.path.join(root, "sys/dev/char"), exist_ok=True)
    os.symlink(f"../../{devpath}", os.path.join(root, f"sys/dev/char/226:{minor}"))
    if control(root, "bare-minors") is not None:
        return f"/{devpath}", name, minor
    os.makedirs(os.path.join(root, "dev/dri"), exist_ok=True)
    os.mknod(os.path.join(root, "dev/dri", name), stat.S_IFCHR | 0o660, os.makedev(226, minor))
    os.makedirs(os.path.join(root, "run/udev/data"), exist_ok=True)
    with open(os.path.join(root, f"run/udev/data/c226:{minor}"), "w", encoding="ascii") as f:
        f.write("I:1\n")
    return f"/{devpath}", name, minor


def make_nodes(root):
    return [make_node(root, address, i, kind)
            for i, address in enumerate(gpus_of(root)) for kind in ("card", "render")]


def remove_nodes(root, addresses=None):
    """As the kernel does when nvidia_drm goes, or one of its GPUs."""
    for address in addresses or gpus_of(root):
        directory = os.path.join(root, f"sys/devices/pci0000:00/{address}/drm")
        for name in os.listdir(directory) if os.path.isdir(directory) else []:
            with open(os.path.join(directory, name, "dev"), encoding="ascii") as f:
                number = f.read().strip()
            for path in (f"sys/class/drm/{name}", f"sys/dev/char/{number}", f"run/udev/data/c{number}", f"dev/dri/{name}"):
                # Without udevd the nodes are ours.
                if os.path.lexists(os.path.join(root, path)) and not (
                        path.startswith("dev/") and control(root, "bare-minors") is not None):
                    os.unlink(os.path.join(root, path))
        remove_all(directory)
