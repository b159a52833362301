# SPDX-License-Identifier: Apache-2.0
"""A machine made of files, the real daemon on it, and a service manager that listens.

A Machine is a directory with /sys, /proc, /lib/modules, a kernel tree, a driver source and a store.
The driver source is real enough for the real make: its Makefile calls ROOT/ctl/compile, which prints
what kbuild prints and leaves small ELF modules made by the real compiler. ld, cp and the worker are the
real ones; only the helper, which would talk to the kernel, is a fake.

Stories are held at a point by gates. A gate is a FIFO: whoever passes writes ROOT/ctl/at-NAME and waits
until somebody opens the other end. So a test can say "while it compiles" without guessing how long that
takes, and nothing sleeps to give something time.

    NVIDIA_DRIVERD, NVIDIA_DRIVER, NVIDIA_WORKER, NVIDIA_KEEPER   the programs under test
    UMOCKDEV_PRELOAD                               LD_PRELOAD that shows a Machine's /sys to libudev
    KEEP=1                                         keep the directories of failed stories
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

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
PATIENCE = 120.0  # seconds that a loaded machine gets for anything that must happen
SLACK = 60.0  # what it may add to something that has a limit; how fast things are is measured elsewhere


class Failed(Exception):
    """The product did not do what the story says."""


class Skip(Exception):
    """This machine cannot tell the story."""


def check(condition, text):
    if not condition:
        raise Failed(text)


def check_equal(found, expected, what):
    check(found == expected, f"{what}: {found!r}, expected {expected!r}")


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
    # It may be opened, and thereby be gone, at this very moment.
    with contextlib.suppress(FileNotFoundError), open(fifo, "rb", buffering=0) as f:
        f.read(1)


def wait_until(condition, what, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Failed(f"still not after {patience:.0f} s: {what}")
        time.sleep(0.005)


def first_line(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()[0]


# --- small real ELF files ---------------------------------------------------------------------------------


def _info(name, depends, vermagic, srcversion):
    pairs = [f"name={name}", f"vermagic={vermagic} ", f"version={DRIVER}", f"srcversion={srcversion}",
             f"depends={depends}", "license=NVIDIA",
             "parmtype=NVreg_EnableMSI:int", "parmtype=NVreg_EnableGpuFirmware:int",
             "parm=NVreg_RegistryDwords:Words: and text", "parmtype=NVreg_RegistryDwords:charp"]
    text = "".join(f'"{p}\\0" ' for p in pairs)
    return f'static const char info[] __attribute__((used, section(".modinfo"))) = {text};\n' \
           f"int {name}_init(void) {{ return 0; }}\n"


def compile_objects(directory, vermagic=VERMAGIC):
    """What the driver's make leaves behind, and NVIDIA's two core objects."""
    parts = {
        "nv-linux.o": _info("nvidia", "video", vermagic, "A" * 23),
        "nv-modeset-linux.o": _info("nvidia_modeset", "nvidia,backlight", vermagic, "B" * 23),
        "nvidia-uvm.ko": _info("nvidia_uvm", "nvidia", vermagic, "C" * 23),
        "nvidia-drm.ko": _info("nvidia_drm", "nvidia,nvidia-modeset", vermagic, "D" * 23),
        "video.ko": _info("video", "", vermagic, "E" * 23),
        "nv-kernel.o_binary": "int rm_init(void) { return 1; }\n",
        "nv-modeset-kernel.o_binary": "int kms_init(void) { return 1; }\n",
    }
    os.makedirs(directory, exist_ok=True)
    for name, text in parts.items():
        subprocess.run(["gcc", "-x", "c", "-c", "-o", os.path.join(directory, name), "-"], input=text, text=True,
                       check=True)


_objects = None


def objects():
    global _objects
    if not _objects:
        _objects = tempfile.mkdtemp(prefix="driverd-objects-")
        compile_objects(_objects)
    return _objects


COMPILE = r"""#!/bin/sh
# Called by the fixture's Makefile in the staging copy of the driver source.
set -e
ctl=@CTL@
gate() {
        [ -p "$ctl/gate-$1" ] || return 0
        : >"$ctl/at-$1"
        read -r _ <"$ctl/gate-$1" || :
}
cd "$1"
echo "$1" >>"$ctl/compiled"
announce() { echo "  CC [M]  $PWD/$1"; }
announce nvidia/nv.o
[ ! -e "$ctl/compile-hook" ] || . "$ctl/compile-hook"
gate compile
for object in nvidia/nv-pci.o nvidia-modeset/nvidia-modeset-linux.o nvidia-uvm/uvm.o nvidia-uvm/uvm_gpu.o; do
        announce "$object"
done
cp "$ctl/objects/nv-linux.o" "$ctl/objects/nv-modeset-linux.o" "$ctl/objects/nvidia-uvm.ko" "$ctl/objects/nvidia-drm.ko" .
"""


# --- device nodes -----------------------------------------------------------------------------------------


def can_make_nodes():
    return os.geteuid() == 0


# The state that a start goes through for them.
AWAITING = ["awaiting-devices"] if can_make_nodes() else []


def gpus_of(root):
    return sorted(os.listdir(os.path.join(root, "sys/bus/pci/devices")))


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


def send_uevent(root, action, devpath, name, minor):
    """What udevd multicasts after its rules, to the sockets that umockdev put in netlink's place."""
    properties = "".join(f"{k}={v}\0" for k, v in (
        ("ACTION", action), ("DEVPATH", devpath), ("SUBSYSTEM", "drm"), ("DEVNAME", f"/dev/dri/{name}"),
        ("DEVTYPE", "drm_minor"), ("MAJOR", 226), ("MINOR", minor), ("SEQNUM", 4711))).encode()
    header = struct.pack("=8sI", b"libudev\0", socket.htonl(0xFEEDCAFE)) + \
        struct.pack("=IIIIIII", 40, 40, len(properties), socket.htonl(_murmur2("drm")), 0, 0, 0)
    n = 0
    for entry in os.listdir(root):
        if re.fullmatch(r"event\d+", entry):
            with socket.socket(socket.AF_UNIX, socket.SOCK_RAW) as s:
                s.connect(os.path.join(root, entry))
                s.sendmsg([header, properties])
                n += 1
    check(n > 0, "the daemon has a udev monitor")


# --- the machine ------------------------------------------------------------------------------------------


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


def check_sanitizers(text):
    for mark in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
        check(mark not in text, f"a sanitizer complains:\n{text}")


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


# --- stories ----------------------------------------------------------------------------------------------

_stories = []


def story(text, **machine):
    """Decorates a function that takes a Machine."""
    def add(function):
        _stories.append((text, function, machine))
        return function
    return add


def note(text):
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def _tell(function, options):
    for name in ("NVIDIA_DRIVERD", "NVIDIA_DRIVER", "NVIDIA_WORKER"):
        check(name in os.environ, f"{name} must name the program under test")
    machine = Machine(**options)
    failed = True
    try:
        function(machine)
        failed = False
    except (Failed, subprocess.SubprocessError, OSError, ValueError, KeyError, IndexError):
        for d in machine.daemons:
            if isinstance(d, Daemon):
                note(f"--- log of daemon {d.pid}, exit status {d.process.poll()}\n{d.log()[-6000:]}")
                note("--- messages\n" + "\n".join(f"{t - d.started:7.3f} {m}" for t, m, _ in d.messages[-40:]))
        raise
    finally:
        machine.end(failed)


def main():
    """Tells the stories whose text contains an argument, or all; TAP."""
    chosen = [s for s in _stories if not sys.argv[1:] or any(a in s[0] for a in sys.argv[1:])]
    bad = 0
    print(f"1..{len(chosen)}", flush=True)
    for i, (text, function, options) in enumerate(chosen, 1):
        began = time.monotonic()
        try:
            _tell(function, options)
            print(f"ok {i} - {text}", flush=True)
        except Skip as e:
            print(f"ok {i} - {text} # SKIP {e}", flush=True)
        except Exception:  # pylint: disable=broad-except
            bad += 1
            note(traceback.format_exc())
            print(f"not ok {i} - {text}", flush=True)
        note(f"{time.monotonic() - began:.2f} s")
    if _objects:
        shutil.rmtree(_objects, ignore_errors=True)
    sys.exit(1 if bad else 0)
