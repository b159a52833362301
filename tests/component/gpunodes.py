# SPDX-License-Identifier: Apache-2.0
"""What kernel, driver and udevd leave of GPUs and their nodes in a machine's /proc, /sys, /dev and on its sockets."""

import os
import re
import shutil
import socket
import stat
import struct

from checks import check
from fixture import control, gpus_of


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
        shutil.rmtree(os.path.join(root, "proc/driver/nvidia"), ignore_errors=True)
    else:
        majors += "195 nvidia-frontend\n245 nvidia-caps\n"
        put("proc/driver/nvidia/params", control(root, "params") or
            "ModifyDeviceFiles: 1\nDeviceFileUID: 0\nDeviceFileGID: 0\nDeviceFileMode: 438\n")
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
        shutil.rmtree(directory, ignore_errors=True)


def _murmur2(text):
    """The hash by which libudev's socket filter knows a subsystem."""
    data, m, mask = text.encode(), 0x5BD1E995, 0xFFFFFFFF
    h = len(data)
    while len(data) >= 4:
        k = struct.unpack("<I", data[:4])[0] * m & mask
        h = (h * m & mask) ^ ((k ^ k >> 24) * m & mask)
        data = data[4:]
    if data:
        h = (h ^ int.from_bytes(data, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def multicast(root, subsystem, properties):
    """What udevd multicasts after its rules, to the sockets that umockdev put in netlink's place."""
    text = "".join(f"{k}={v}\0" for k, v in {**properties, "SUBSYSTEM": subsystem, "SEQNUM": 4711}.items()).encode()
    header = struct.pack("=8sI", b"libudev\0", socket.htonl(0xFEEDCAFE)) + \
        struct.pack("=IIIIIII", 40, 40, len(text), socket.htonl(_murmur2(subsystem)), 0, 0, 0)
    n = 0
    for entry in os.listdir(root):
        if re.fullmatch(r"event\d+", entry):
            with socket.socket(socket.AF_UNIX, socket.SOCK_RAW) as s:
                s.connect(os.path.join(root, entry))
                s.sendmsg([header, text])
                n += 1
    check(n > 0, "the daemon has a udev monitor")


def send_uevent(root, action, devpath, name, minor):
    multicast(root, "drm", {"ACTION": action, "DEVPATH": devpath, "DEVNAME": f"/dev/dri/{name}", "DEVTYPE": "drm_minor",
                            "MAJOR": 226, "MINOR": minor})


def send_module_uevent(root, action, name):
    """Of a module's directory in /sys, which the kernel has made or removed before."""
    multicast(root, "module", {"ACTION": action, "DEVPATH": f"/module/{name}"})
