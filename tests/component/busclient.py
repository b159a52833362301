# SPDX-License-Identifier: Apache-2.0
"""A client of the daemon's bus in the rawest form: it says what it likes, when it likes."""

import os
import select
import socket
import struct
import time

PATH = "/org/nvidia_driverd"
MANAGER = "org.nvidia_driverd.Manager1"
AUTH = b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n"
BEGIN = b"BEGIN\r\n"


def call(serial, interface, member):
    """A method call without arguments, as the D-Bus specification has it, little endian."""
    fields = b""
    for code, kind, value in ((1, b"o", PATH), (2, b"s", interface), (3, b"s", member)):
        fields += b"\0" * (-len(fields) % 8)
        fields += struct.pack("<B", code) + b"\1" + kind + b"\0" + struct.pack("<I", len(value)) + value.encode() + b"\0"
    head = struct.pack("<cBBBIII", b"l", 1, 0, 1, 0, serial, len(fields))
    return head + fields + b"\0" * (-len(fields) % 8)


class BusClient:
    def __init__(self, m):
        self.socket = socket.socket(socket.AF_UNIX)
        here = os.open(m.path("run/nvidia-driverd"), os.O_PATH)
        self.socket.connect(f"/proc/self/fd/{here}/bus")
        os.close(here)
        self.serial, self.data = 0, b""

    def say(self, data):
        self.socket.sendall(data)

    def begin(self):
        """In turns, as the specification has it."""
        self.say(AUTH)
        while not self.data.endswith(b"\r\n"):
            self.data += self.socket.recv(1000)
        self.data = b""
        self.say(BEGIN)

    def next_call(self, interface=MANAGER, member="Describe"):
        self.serial += 1
        return call(self.serial, interface, member)

    def answer(self, patience):
        """True if an answer to the last call comes in time; signals in between are left out."""
        until = time.monotonic() + patience
        while not self._take():
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return False
            more = self.socket.recv(65536)
            if not more:
                return False
            self.data += more
        return True

    def _take(self):
        while True:
            if self.data.startswith(b"OK "):
                _, line, self.data = self.data.partition(b"\r\n")
                if not line:
                    return False
            if len(self.data) < 16:
                return False
            kind, n_body, n_fields = struct.unpack("<xBxxI4xI", self.data[:16])
            size = 16 + n_fields + -n_fields % 8 + n_body
            if len(self.data) < size:
                return False
            self.data = self.data[size:]
            if kind in (2, 3):
                return kind == 2

    def ask(self, patience):
        """Seconds until the answer, or None."""
        began = time.monotonic()
        self.say(self.next_call())
        return time.monotonic() - began if self.answer(patience) else None

    def close(self):
        self.socket.close()
