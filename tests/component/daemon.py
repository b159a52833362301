# SPDX-License-Identifier: Apache-2.0
"""The real daemon on a machine made of files, and a service manager that listens to it."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time

from checks import PATIENCE, Failed, check, check_equal, check_sanitizers, wait_until
from fixture import can_make_nodes


class Daemon:
    """nvidia-driverd, its log, and every message it sent to the service manager."""

    count = 0

    def __init__(self, machine, arguments, modules, env):
        Daemon.count += 1
        self.machine = machine
        self.messages = []  # (monotonic time, {key: value}, keys in order)
        self.code = None
        self.log_name = f"ctl/daemon-{Daemon.count}.log"
        notify = machine.path(f"ctl/notify-{Daemon.count}")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(notify)
        self.socket.settimeout(0.1)
        self.over = threading.Event()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        argv = [os.environ["NVIDIA_DRIVERD"], f"--root={machine.root}", "--set=Driver.Prerequisites=",
                f"--set=Driver.Modules={modules}", *([] if can_make_nodes() else ["--set=Devices.CreateNodes=no"]),
                *machine.defaults, *arguments]
        with open(machine.path(self.log_name), "wb") as log:
            self.started = time.monotonic()
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                            env=machine.environment(NOTIFY_SOCKET=notify, **env))
        self.pid = self.process.pid

    def _listen(self):
        while True:
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                if self.over.is_set():
                    return
                continue
            except OSError:
                return
            pairs = [line.partition("=")[::2] for line in data.decode(errors="replace").splitlines()]
            self.messages.append((time.monotonic(), dict(pairs), [k for k, _ in pairs]))

    def log(self):
        return self.machine.get(self.log_name)

    def texts(self):
        """STATUS= in order, without repetitions."""
        out = []
        for _, m, _ in list(self.messages):
            if "STATUS" in m and out[-1:] != [m["STATUS"]]:
                out.append(m["STATUS"])
        return out

    def sent(self, key):
        return [(t, m[key]) for t, m, _ in list(self.messages) if key in m]

    def alive(self):
        return self.process.poll() is None

    def wait_for(self, condition, what, patience=PATIENCE):
        def look():
            result = condition()
            if not result and not self.alive():
                self.over.set()
                self.listener.join()
                if condition():
                    return True
                raise Failed(f"the daemon ended with {self.process.returncode} before: {what}")
            return result
        return wait_until(look, what, patience)

    def wait_status(self, beginning, patience=PATIENCE):
        self.wait_for(lambda: any(t.startswith(beginning) for t in self.texts()), f"STATUS={beginning}", patience)

    def wait_ready(self, n=1):
        self.wait_for(lambda: len(self.sent("READY")) >= n, "READY=1")

    def wait_log(self, text, n=1):
        self.wait_for(lambda: self.log().count(text) >= n, f"{text!r} in the log")

    def fds(self):
        found = []
        for n in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed since the listing
                found.append(os.readlink(f"/proc/{self.pid}/fd/{n}"))
        return sorted(found)

    def send(self, number):
        self.process.send_signal(number)

    def wait(self, patience=PATIENCE):
        """The exit status; negative for a signal. Sanitizers must have been silent."""
        try:
            self.code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise Failed(f"the daemon still runs after {patience:.0f} s") from None
        self.over.set()
        self.listener.join()
        check_sanitizers(self.log())
        return self.code

    def stop(self, number=signal.SIGTERM, limit=PATIENCE):
        """Ends it as a service manager does, and returns how long that took."""
        began = time.monotonic()
        self.send(number)
        code = self.wait()
        took = time.monotonic() - began
        check_equal(code, 0, "exit status after the signal")
        check(took < limit, f"it took {took:.2f} s to stop, allowed are {limit} s")
        return took

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        if self.alive():
            self.kill()
        self.over.set()
        self.listener.join()
        self.socket.close()
