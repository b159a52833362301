# SPDX-License-Identifier: Apache-2.0
"""What udevd multicasts when nodes and modules come and go, to the sockets that umockdev put in netlink's place."""

import os
import re
import socket
import struct

from checks import check


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
    """As udevd sends it after its rules."""
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
