# SPDX-License-Identifier: Apache-2.0
"""A machine made of files: a directory with /sys, /proc, /lib/modules, a kernel tree, a driver source and a store.

The driver source is real enough for the real make: its Makefile calls ROOT/ctl/compile, which prints
what kbuild prints and leaves small ELF modules made by the real compiler. ld, cp and the worker are the
real ones; only the helper, which would talk to the kernel, is a fake.

Stories are held at a point by gates. A gate is a FIFO: whoever passes writes ROOT/ctl/at-NAME and waits
until somebody opens the other end. So a test can say "while it compiles" without guessing how long that
takes, and nothing sleeps to give something time.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time

from checks import PATIENCE, Failed, Skip, check, check_equal, check_sanitizers, first_line, wait_until
from daemon import Daemon
from fixture import BOOT_ID, FETCH, FIXTURES, HERE, RELEASE, SOURCE, STORE, TREE, VERSION, can_make_nodes
from objects import COMPILE, objects

NOBODY = 65534


def remove_tree(directory):
    """shutil.rmtree goes through mounts, and a bind mount may be all of this machine."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        inside = [x for x in (line.split()[4] for line in f) if f"{x}/".startswith(f"{directory}/")]
    if inside:
        raise Failed(f"{directory} is left, something is mounted there: {inside}")
    shutil.rmtree(directory, ignore_errors=True)


class Machine:
    def __init__(self, gpus=1, tree=True):
        # Short, because unix sockets live in it; physical, because the product prints physical paths.
        self.root = os.path.realpath(tempfile.mkdtemp(prefix="driverd-"))
        self.daemons = []
        self.defaults = ["--set=Stop.TimeoutSec=10min"]  # a slow machine is no reason to give up; stories about the limit set one
        self.ctl = self.path("ctl")
        os.mkdir(self.ctl)
        os.symlink(objects(), self.path("ctl/objects"))
        for i in range(gpus):
            self._put_gpu(i + 4)
        self.put("proc/sys/kernel/osrelease", RELEASE + "\n")
        self.put("proc/sys/kernel/version", VERSION + "\n")
        self.put("proc/sys/kernel/random/boot_id", BOOT_ID + "\n")
        self.put(f"lib/modules/{RELEASE}/modules.dep", "kernel/video.ko:\n")
        self.copy(os.path.join(objects(), "video.ko"), f"lib/modules/{RELEASE}/kernel/video.ko")
        # make, ld and cp know nothing of the root: the absolute names that they leave mean the same in it.
        os.makedirs(os.path.dirname(self.path(self.root[1:])), exist_ok=True)
        os.symlink("/", self.path(self.root[1:]))
        for directory in ("sys/module", "sys/bus/pci/devices", "dev", "run", "tmp"):
            os.makedirs(self.path(directory), exist_ok=True)
        self.put("run/udev/control", "")
        if tree:
            self.put_tree(TREE)
            # Relative: make and ld are not confined to the root.
            os.symlink(f"../../../{TREE}", self.path(f"lib/modules/{RELEASE}/build"))
        self.put_driver_source()
        self.put("ctl/compile", COMPILE.replace("@CTL@", self.ctl), 0o755)

    def path(self, name):
        return os.path.join(self.root, name)

    def put(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        # In one step: sysfs and procfs are never seen half written.
        part = self.path(f"{name}.part")
        with open(part, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(part, mode)
        os.rename(part, self.path(name))

    def get(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as f:
            return f.read()

    def copy(self, source, name):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        shutil.copy(source, self.path(name))

    def exists(self, name):
        return os.path.lexists(self.path(name))

    def list(self, name):
        return sorted(os.listdir(self.path(name))) if self.exists(name) else []

    def _put_gpu(self, slot):
        address = f"0000:00:{slot:02x}.0"
        base = f"sys/devices/pci0000:00/{address}"
        for attribute, text in (("vendor", "0x10de"), ("device", "0x1eb8"), ("class", "0x030200"),
                                ("uevent", f"PCI_SLOT_NAME={address}")):
            self.put(f"{base}/{attribute}", text + "\n")
        os.makedirs(self.path("sys/bus/pci/devices"), exist_ok=True)
        os.symlink("../../../bus/pci", self.path(f"{base}/subsystem"))
        os.symlink(f"../../../devices/pci0000:00/{address}", self.path(f"sys/bus/pci/devices/{address}"))

    def put_config(self, base, extra=""):
        text = first_line("gcc", "--version")
        self.put(f"{base}/.config", f'CONFIG_CC_VERSION_TEXT="{text}"\nCONFIG_SMP=y\nCONFIG_MODULE_UNLOAD=y\n{extra}')
        self.put(f"{base}/Module.symvers", "0x00000001\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n")

    def put_tree(self, base, release=RELEASE, version=VERSION):
        """A header package in one piece, as Fedora and Flatcar have it: ready for modules."""
        self.put_config(base)
        self.put(f"{base}/Makefile", "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\n")
        self.put(f"{base}/include/generated/utsrelease.h", f'#define UTS_RELEASE "{release}"\n')
        self.put(f"{base}/include/generated/utsversion.h", f'#define UTS_VERSION "{version}"\n')
        for name in ("include/generated/autoconf.h", "include/config/auto.conf", "include/linux/module.h",
                     "scripts/Makefile.build"):
            self.put(f"{base}/{name}", "")
        self.put(f"{base}/scripts/module.lds", "SECTIONS { }\n")
        for name in ("scripts/mod/modpost", "scripts/basic/fixdep"):
            self.put(f"{base}/{name}", "#!/bin/sh\n", 0o755)

    def put_driver_source(self):
        shutil.copytree(os.path.join(FIXTURES, "driver"), self.path(SOURCE))
        os.makedirs(self.path(f"{SOURCE}/common/inc"))
        self.put(f"{SOURCE}/Makefile", self.get(f"{SOURCE}/Makefile").replace("@CTL@", self.ctl))
        self.copy(os.path.join(objects(), "nv-kernel.o_binary"), f"{SOURCE}/nvidia/nv-kernel.o_binary")
        self.copy(os.path.join(objects(), "nv-modeset-kernel.o_binary"),
                  f"{SOURCE}/nvidia-modeset/nv-modeset-kernel.o_binary")

    def put_process(self, pid, command, fds=None, maps=(), cgroup="0::/\n", uid=0, start=4711):
        """A process in the machine's /proc: {descriptor: path}, [mapped path]."""
        base = f"proc/{pid}"
        os.makedirs(self.path(f"{base}/fd"))
        for fd, target in (fds or {}).items():
            os.symlink(target, self.path(f"{base}/fd/{fd}"))
        self.put(f"{base}/maps", "".join(f"{i}000-{i}fff rw-s 00000000 00:05 {i}{' ' * 20}{path}\n"
                                         for i, path in enumerate(maps, 1)))
        self.put(f"{base}/status", f"Name:\t{command}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
        self.put(f"{base}/cgroup", cgroup)
        self.put(f"{base}/stat", f"{pid} ({command}) S{' 1' * 18} {start} 0\n")

    def end_process(self, pid):
        shutil.rmtree(self.path(f"proc/{pid}"))

    def put_module(self, name, refcnt=0, holders=()):
        """A live module in the machine's /sys/module."""
        base = f"sys/module/{name}"
        os.makedirs(self.path(f"{base}/holders"), exist_ok=True)
        for holder in holders:
            os.symlink(f"../../{holder}", self.path(f"{base}/holders/{holder}"))
        self.put(f"{base}/initstate", "live\n")
        self.put(f"{base}/refcnt", f"{refcnt}\n")

    # gates

    def close(self, name):
        if self.exists(f"ctl/at-{name}"):
            os.unlink(self.path(f"ctl/at-{name}"))
        os.mkfifo(self.path(f"ctl/gate-{name}"))

    def wait_at(self, name):
        def look():
            # In this order: who passed the gate and died passed it.
            alive = any(d.alive() for d in self.daemons if isinstance(d, Daemon))
            there = self.exists(f"ctl/at-{name}")
            check(there or alive, f"no daemon is left that could come to gate {name}")
            return there
        wait_until(look, f"somebody stands at gate {name}")

    def open(self, name):
        """Lets pass who waits, and all who come later."""
        fifo = self.path(f"ctl/gate-{name}")
        os.rename(fifo, fifo + "-open")
        fd = os.open(fifo + "-open", os.O_RDWR | os.O_NONBLOCK)  # O_RDWR: never ENXIO on Linux
        with contextlib.suppress(BrokenPipeError):
            os.write(fd, b"\n" * 8)
        # Readers that are about to open find a writer as long as we have it; give it back when they are through.
        self.daemons.append(_Fd(fd))
        os.unlink(fifo + "-open")

    def hold_linker(self):
        """The linker reads its script until somebody opens ROOT/ctl/lds."""
        os.mkfifo(self.path("ctl/lds"))
        self.put(f"{TREE}/scripts/module.lds", f"INCLUDE {self.path('ctl/lds')}\nSECTIONS {{ }}\n")

    # the state of things

    def compiled(self):
        return len(self.get("ctl/compiled").splitlines()) if self.exists("ctl/compiled") else 0

    def helper_log(self):
        return self.get("ctl/helper.log").splitlines() if self.exists("ctl/helper.log") else []

    def builds(self):
        return self.list(f"{STORE}/builds")

    def staging(self):
        return self.list(f"{STORE}/staging")

    def loaded(self):
        return self.list("sys/module")

    def check_store(self, n=None):
        """Every build in the store is whole: all files of the manifest, with their digests."""
        for name in self.builds():
            base = f"{STORE}/builds/{name}"
            manifest = json.loads(self.get(f"{base}/manifest.json"))
            for f in manifest["files"]:
                with open(self.path(f"{base}/{f['name']}"), "rb") as content:
                    digest = hashlib.sha256(content.read()).hexdigest()
                check_equal(digest, f["sha256"], f"SHA-256 of {name}/{f['name']}")
            check_equal(sorted(self.list(base)), sorted([f["name"] for f in manifest["files"]] + ["manifest.json"]),
                        f"files in {name}")
        if n is not None:
            check_equal(len(self.builds()), n, "builds in the store")

    def processes(self):
        """Everything that has to do with this machine: by command line, directory or open files."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if int(pid) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().replace(b"\0", b" ").decode(errors="replace")
                places = [words]
                for link in ["cwd"] + [f"fd/{n}" for n in os.listdir(f"/proc/{pid}/fd")]:
                    with contextlib.suppress(OSError):
                        places.append(os.readlink(f"/proc/{pid}/{link}"))
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                    zombie = f.read().rpartition(")")[2].split()[0] == "Z"
                if not zombie and any(self.root in p for p in places):
                    found.append((int(pid), words.strip()))
        return found

    def check_gone(self, children=True):
        """Nothing is left of a daemon that ended well."""
        check(not self.exists("run/nvidia/nvidia-driver.pid"), "no pid file is left")
        check(not self.exists("run/nvidia-driverd"), "no runtime directory is left: "
              f"{self.list('run/nvidia-driverd')}")
        check_equal(self.staging(), [], "staging directories that are left")
        if children:
            check_equal(self.processes(), [], "processes that are left")

    def tree_hash(self, name):
        """Names, types, modes, times and contents of a whole tree."""
        h = hashlib.sha256()
        for directory, names, files in os.walk(self.path(name)):
            names.sort()
            for entry in sorted(names + files):
                p = os.path.join(directory, entry)
                st = os.lstat(p)
                h.update(f"{os.path.relpath(p, self.root)} {st.st_mode} {st.st_mtime_ns} {st.st_size}\n".encode())
                if stat.S_ISLNK(st.st_mode):
                    h.update(os.readlink(p).encode())
                elif stat.S_ISREG(st.st_mode):
                    with open(p, "rb") as f:
                        h.update(f.read())
        return h.hexdigest()

    # programs

    def environment(self, **more):
        keep = ("HOME", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TMPDIR")
        env = {k: os.environ[k] for k in keep if k in os.environ}
        env.update(PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", FIXTURE_ROOT=self.root,
                   PYTHONDONTWRITEBYTECODE="1", REAL_WORKER=os.environ["NVIDIA_WORKER"],
                   REAL_HELPER=os.environ["NVIDIA_HELPER"],
                   NVIDIA_DRIVERD_HELPER=os.path.join(HERE, "fake-helper"),
                   NVIDIA_DRIVERD_WORKER=os.path.join(HERE, "fake-worker"),
                   NVIDIA_DRIVERD_FETCH=FETCH,
                   NVIDIA_DRIVERD_TOOLCHAIN=os.path.join(HERE, "fake-toolchain"),  # never the real one: it mounts
                   NVIDIA_DRIVERD_KEEPER=os.environ["NVIDIA_KEEPER"],
                   NVIDIA_DRIVERD_UDEVADM=os.path.join(HERE, "fake-udevadm"),  # never the real one: it tells the host's udevd
                   NVIDIA_DRIVERD_DAEMON=os.environ["NVIDIA_DRIVERD"])
        env.update(more)
        return env

    def umockdev(self):
        """Environment that makes libudev see this machine. Every child has the preload, so no leak checks."""
        if "UMOCKDEV_PRELOAD" not in os.environ:
            raise Skip("UMOCKDEV_PRELOAD is not set")
        if not can_make_nodes():
            raise Skip("device nodes are made by root only")
        return {"LD_PRELOAD": os.environ["UMOCKDEV_PRELOAD"], "UMOCKDEV_DIR": self.root, "ASAN_OPTIONS": "detect_leaks=0"}

    def start(self, *arguments, modules="nvidia nvidia-uvm nvidia-modeset", env=None):
        d = Daemon(self, arguments, modules, env or {})
        self.daemons.append(d)
        return d

    def run(self, *arguments, env=None, timeout=PATIENCE):
        """nvidia-driver, to its end."""
        p = subprocess.run([os.environ["NVIDIA_DRIVER"], f"--root={self.root}", *arguments], capture_output=True,
                           text=True, errors="replace", env=self.environment(**(env or {})), timeout=timeout, check=False)
        check_sanitizers(p.stderr)
        return p

    def admit(self):
        """Lets every user into the machine, as into a real one."""
        if not can_make_nodes():
            raise Skip("only root can become nobody")
        os.chmod(self.root, 0o755)

    def run_as_nobody(self, program, *arguments):
        """What the variable @program names, to its end, as nobody. It is a copy: the build directory may be closed to others."""
        self.admit()
        if not self.exists(program):
            shutil.copy(os.environ[program], self.path(program))
        p = subprocess.run([self.path(program), f"--root={self.root}", *arguments], capture_output=True, text=True, errors="replace",
                           env=self.environment(ASAN_OPTIONS="detect_leaks=0"), timeout=PATIENCE, check=False, user=NOBODY,
                           group=NOBODY, extra_groups=[])
        check_sanitizers(p.stderr)
        return p

    def terminal(self, *arguments, env=None):
        """nvidia-driver as somebody sees it who sits in front of it: everything it writes, and its exit status."""
        mine, theirs = os.openpty()
        with subprocess.Popen([os.environ["NVIDIA_DRIVER"], f"--root={self.root}", *arguments], stdin=theirs, stdout=theirs,
                              stderr=theirs, env=self.environment(**{"TERM": "xterm", **(env or {})})) as p:
            os.close(theirs)
            text = b""
            with contextlib.suppress(OSError):  # EIO: the last one closed it
                while part := os.read(mine, 65536):
                    text += part
            os.close(mine)
            status = p.wait(PATIENCE)
        text = text.decode(errors="replace")
        check_sanitizers(text)
        return text, status

    def status(self, env=None):
        p = self.run("status", "--json", env=env)
        check(p.stdout.startswith("{"), f"status --json: exit status {p.returncode}, {p.stdout!r} {p.stderr!r}")
        return p.returncode, json.loads(p.stdout)

    def end(self, keep):
        for d in reversed(self.daemons):
            d.end()
        deadline = time.monotonic() + 5
        while self.processes() and time.monotonic() < deadline:
            for pid, _ in self.processes():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        if keep and "KEEP" in os.environ:
            print(f"# kept: {self.root}")
        else:
            remove_tree(self.root)


class _Fd:
    def __init__(self, fd):
        self.fd = fd

    def end(self):
        os.close(self.fd)
