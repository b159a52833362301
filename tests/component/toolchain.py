#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Building in a toolchain root. The daemon's part with a fake in the place of nvidia-driverd-toolchain, whose inside is this
machine; of the real program, which mounts, only what it says before: it has no CAP_SYS_ADMIN here. Mounts are the lab's."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile

from harness import RELEASE, SOURCE, STORE, TREE, check, check_equal, check_sanitizers, main, story, wait_until
from kernelsource import BUILD, KERNEL, put_source

PROGRAM = os.path.join(os.path.dirname(os.environ["NVIDIA_WORKER"]), "nvidia-driverd-toolchain")
OK, INVALID, MISMATCH, USAGE = 0, 58, 59, 2
ROOT = "--set=Toolchain.Root=/srv/tools"


def asked(m, operation):
    """The arguments of the calls so far, without the operation."""
    if not m.exists("ctl/toolchain.log"):
        return []
    return [x.split()[1:] for x in m.get("ctl/toolchain.log").splitlines() if x.startswith(operation + " ")]


def keepers(m):
    return [pid for pid, words in m.processes() if words.startswith("tail ")]


def commands(m):
    return [" ".join(x[x.index("--") + 1:]) for x in asked(m, "run")]


def put(m):
    m.put("keeper", "")
    m.put("srv/tools/etc/os-release", "ID=fixture\n")


@story("a kernel tree of the host: compiled and linked inside, which sees what it needs and no more")
def build(m):
    put(m)
    d = m.start(ROOT)
    d.wait_ready()
    log = d.log()
    check("Building in /srv/tools (Fixture Linux 1)." in log and "a note of it." in log, log)
    check_equal(asked(m, "open"), [[m.root, m.path("srv/tools"), m.path(f"{STORE}/toolchain"), "any"]], "opened")
    programs = {x.split()[0] for x in commands(m)}
    check({"cp", "make", "ld"} <= programs, f"run inside: {programs}")
    for call in asked(m, "run"):
        shown, written = ([x[3:] for x in call if x.startswith(kind)] for kind in ("ro:", "rw:"))
        check_equal(len(written), 1, f"directories that can be written to in {call}")
        check(f"/{STORE}/staging/" in written[0], written[0])
        check(m.path(SOURCE) in shown and m.path(f"lib/modules/{RELEASE}/build") in shown, f"shown: {shown}")
    check_equal(m.compiled(), 1, "compiler runs")
    m.check_store(1)
    wait_until(lambda: not keepers(m), "the toolchain is closed once the build is there")
    d.stop()
    m.check_gone()


@story("the store has a build: the toolchain is not opened, nor by plan")
def not_needed(m):
    put(m)
    p = m.run("plan", "--json", ROOT)
    check_equal(p.returncode, 0, p.stderr)
    compiling = [x for x in json.loads(p.stdout)["plan"] if x["stage"] == "compiling"]
    check(compiling[0]["run"] and compiling[0]["reason"].endswith(", in /srv/tools"), compiling)
    check_equal(m.run("build").returncode, 0, "a build with the host's tools")
    d = m.start(ROOT)
    d.wait_ready()
    d.stop()
    check_equal(asked(m, "open") + asked(m, "run"), [], "calls")


@contextlib.contextmanager
def moved_inside(m, name):
    """The fake's inside is this machine: what is not in the fixture is only there."""
    with tempfile.TemporaryDirectory(prefix="driverd-inside-") as directory:
        tree = os.path.join(os.path.realpath(directory), "linux")
        shutil.copytree(m.path(name), tree, symlinks=True)
        shutil.rmtree(m.path(name))
        yield tree


def hash_of(tree):
    found = []
    for directory, names, files in os.walk(tree):
        for name in sorted(files + names):
            path = os.path.join(directory, name)
            st = os.lstat(path)
            found.append((path, st.st_mode, st.st_mtime_ns, st.st_ctime_ns, st.st_size))
    return sorted(found)


@story("a kernel tree that only the toolchain has")
def inside(m):
    put(m)
    with moved_inside(m, TREE) as tree:
        build_inside(m, tree)


def build_inside(m, tree):
    where = f"--set=Kernel.Tree={tree}"
    p = m.run("plan", "--json", ROOT, where)
    check_equal(p.returncode, 0, p.stderr)
    check("if a kernel tree in the toolchain root needs it; the host has none" in p.stdout, p.stdout)
    d = m.start(ROOT, where)
    d.wait_ready()
    make = [x for x in commands(m) if x.startswith("make ")]
    check(any(f"SYSOUT={tree}" in x for x in make), f"make: {make}")
    check(all(f"ro:{tree}" not in x for x in asked(m, "run")), "what is inside is not shown to it")
    manifest = json.loads(m.get(f"{STORE}/builds/{m.builds()[0]}/manifest.json"))
    check_equal(sorted(x for x in manifest["inputs"] if "/" not in x), [".config", "Module.symvers", "source"], "inputs")
    check_equal(m.get(f"{STORE}/builds/{m.builds()[0]}/module.lds"), m.get(f"{tree}/scripts/module.lds"), "linker script")
    check("Checked " in d.log(), d.log())
    d.stop()
    m.check_gone()


def source_inside(m, dirty):
    put(m)
    put_source(m, dirty=dirty)
    link = m.path(f"lib/modules/{RELEASE}/build")
    os.unlink(link)
    if not dirty:
        os.rename(m.path(BUILD), link)
    with moved_inside(m, KERNEL) as tree:
        before = hash_of(tree)
        d = m.start(ROOT, f"--set=Kernel.Tree={tree}")
        d.wait_ready()
        check_equal(hash_of(tree), before, "the source is as it was")
    if not dirty:
        check(f"has no Module.symvers, taking /lib/modules/{RELEASE}/build/Module.symvers" in d.log(), d.log())
    text = m.get(f"{STORE}/builds/{m.builds()[0]}/build.log")
    check("modules_prepare" in text and ("mrproper" in text) == dirty, text)
    d.stop()
    m.check_gone()


@story("a kernel source inside, configuration and symbols of the host: prepared", tree=False)
def source(m):
    source_inside(m, dirty=False)


@story("a dirty one", tree=False)
def dirty_source(m):
    source_inside(m, dirty=True)


@story("neither here nor there: the tree is what is missing", tree=False)
def nowhere(m):
    put(m)
    d = m.start(ROOT)
    check_equal(d.wait(), 14, f"exit status, after {d.log()}")
    check("[kernel-tree-missing]" in d.log(), d.log())
    check_equal(m.processes(), [], "processes that are left")


@story("it cannot be opened, with and without a reason")
def refused(m):
    put(m)
    m.put("ctl/toolchain-says", "59\ndetail=/srv/tools is of another release\n")
    d = m.start(ROOT)
    check_equal(d.wait(), MISMATCH, "exit status")
    check("[toolchain-mismatch]" in d.log() and "/srv/tools is of another release." in d.log(), d.log())
    m.put("ctl/toolchain-says", "0\nnoise\n")
    d = m.start(ROOT)
    check_equal(d.wait(), 70, "exit status")
    check("nvidia-driverd-toolchain ended with status 0." in d.log(), d.log())
    check_equal(m.builds() + m.staging() + m.processes(), [], "what is left")


@story("it does not open in the time that a build may take: said, nothing is left; what is open may stay for longer")
def slow(m):
    put(m)
    m.close("open")
    d = m.start(ROOT, "--set=Build.TimeoutSec=1s", "--set=Retry.Attempts=1")
    check_equal(d.wait(), 27, f"exit status, after {d.log()}")
    check("Opening /srv/tools took longer than 1s." in d.log(), d.log())
    check_equal(m.builds() + m.staging() + m.processes(), [], "what is left")
    p = m.run("build", ROOT, "--set=Build.TimeoutSec=1s")
    check_equal(p.returncode, 27, p.stderr)
    m.open("open")
    p = m.run("build", ROOT, "--set=Build.TimeoutSec=5min")
    check_equal(p.returncode, 0, p.stderr)


@story("it is lost in the middle of a build: said so, nothing half-made, the next start builds")
def lost(m):
    put(m)
    m.close("compile")
    d = m.start(ROOT)
    m.wait_at("compile")
    for pid in keepers(m):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not keepers(m), "it is gone")
    m.open("compile")
    d.wait_log("/srv/tools (Fixture Linux 1): the process that keeps it is gone.")
    check("[toolchain-invalid]" in d.log(), d.log())
    check_equal(d.wait(), INVALID, "exit status")
    check_equal(m.builds() + m.staging(), [], "builds and staging")
    d = m.start(ROOT)
    d.wait_ready()
    d.stop()
    m.check_gone()


@story("something that it must see cannot be shown: named")
def unshown(m):
    put(m)
    m.put("ctl/run-says", f"58\n{m.path(SOURCE)}: Operation not permitted\n")
    d = m.start(ROOT)
    check_equal(d.wait(), INVALID, f"exit status, after {d.log()}")
    check(f"/srv/tools (Fixture Linux 1): {m.path(SOURCE)}: Operation not permitted." in d.log(), d.log())
    check_equal(m.builds() + m.staging() + m.processes(), [], "what is left")


@story("SIGTERM while it is opened, SIGKILL while it is used: it goes with the daemon")
def ended(m):
    put(m)
    m.close("open")
    d = m.start(ROOT)
    m.wait_at("open")
    d.stop()
    m.check_gone()
    os.unlink(m.path("ctl/gate-open"))
    m.close("compile")
    d = m.start(ROOT)
    m.wait_at("compile")
    check_equal(len(keepers(m)), 1, "it is open")
    d.kill()
    wait_until(lambda: not keepers(m), "it ended with the daemon")


@story("nvidia-driver build: opened, built, closed; refused")
def command(m):
    put(m)
    p = m.run("build", ROOT)
    check_equal(p.returncode, OK, p.stderr)
    check("Building in /srv/tools (Fixture Linux 1).\n" in p.stderr and "compiling 1/10, nvidia" in p.stderr, p.stderr)
    check_equal(p.stdout.strip(), m.path(f"{STORE}/builds/{m.builds()[0]}"), "stdout")
    check_equal(m.processes(), [], "processes that are left")
    m.put("ctl/toolchain-says", "58\ndetail=/srv/tools is no system\n")
    p = m.run("build", ROOT)
    check_equal(p.returncode, INVALID, p.stderr)
    check("/srv/tools is no system." in p.stderr, p.stderr)


@story("nvidia-driver build, interrupted while it is opened")
def interrupted(m):
    put(m)
    m.close("open")
    p = subprocess.Popen([os.environ["NVIDIA_DRIVER"], f"--root={m.root}", "build", ROOT], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, env=m.environment())
    wait_until(lambda: m.exists("ctl/at-open"), "it is being opened")
    p.send_signal(signal.SIGINT)
    _, err = p.communicate(timeout=60)
    check_sanitizers(err)
    check("interrupted, nothing was changed" in err and p.returncode != 0, (p.returncode, err))
    wait_until(lambda: not m.processes(), "nothing is left")


# --- the real program -------------------------------------------------------------------------------------


def real(*arguments):
    """It may not mount: a source that it takes ends at that."""
    p = subprocess.run(["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", PROGRAM, *arguments],
                       capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL)
    check_sanitizers(p.stderr)
    return p


def check_open(m, source, code, text, kind="any"):
    os.makedirs(m.path("mnt"), exist_ok=True)
    p = real("open", m.root, m.path(source), m.path("mnt"), kind)
    check_equal((p.returncode, p.stderr), (code, ""), f"{source}: {p.stdout}")
    check(text in p.stdout, f"{text!r} in {p.stdout!r}")
    check_equal(m.list("mnt"), [], "nothing was made")


TAKEN = "a mount namespace: Operation not permitted (a unit needs the drop-in toolchain.conf, see nvidia-driverd(8))"


@story("directories: which are systems")
def directories(m):
    m.put("srv/file", "")
    os.mkfifo(m.path("srv/fifo"))
    m.put("srv/none/usr/bin/gcc", "")
    m.put("srv/a/etc/os-release", "PRETTY_NAME='A'\n")
    m.put("srv/b/usr/lib/os-release", "")
    m.put("srv/huge/etc/os-release", "x" * 70000)
    os.makedirs(m.path("srv/c/etc"))
    # A link in the system counts within the system.
    os.symlink("/usr/lib/os-release", m.path("srv/c/etc/os-release"))
    check_open(m, "srv/nothing", INVALID, "srv/nothing: it cannot be opened: No such file or directory")
    check_open(m, "srv/fifo", INVALID, "srv/fifo is neither a directory nor a disk image")
    check_open(m, "srv/none", INVALID, "srv/none has no etc/os-release: it is no system")
    check_open(m, "srv/c", INVALID, "srv/c has no etc/os-release: it is no system")
    check_open(m, "srv/huge", INVALID, "srv/huge has no etc/os-release: it is no system")
    check_open(m, "srv/a", INVALID, TAKEN)
    check_open(m, "srv/b", INVALID, TAKEN)


def mbr(*partitions):
    """A partition table: (type, first sector, sectors) each."""
    entries = b"".join(bytes([0, 0, 0, 0, kind, 0, 0, 0]) + first.to_bytes(4, "little") + n.to_bytes(4, "little")
                       for kind, first, n in partitions)
    return bytes(440) + b"\1\2\3\4\0\0" + entries.ljust(64, b"\0") + b"\x55\xaa"


def put_image(m, name, table, size, systems=(), swaps=()):
    path = m.path(name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.truncate(size)
    for program, options, where in [("mkfs.ext4", ["-q", "-F", "-O", "^has_journal"], systems), ("mkswap", ["-q"], swaps)]:
        for first, n in where:
            part = m.path("ctl/part")
            with open(part, "wb") as f:
                f.truncate(n * 512)
            subprocess.run([shutil.which(program, path="/usr/sbin:/sbin:/usr/bin"), *options, part], check=True, capture_output=True)
            with open(part, "rb") as f, open(path, "r+b") as g:
                g.seek(first * 512)
                g.write(f.read())
            os.unlink(part)
    if table:
        with open(path, "r+b") as f:
            f.write(table)


@story("images: a file system, a table with one, and what is neither")
def images(m):
    n = 4096  # sectors: 2 MB
    m.put("srv/empty", "")
    m.put("srv/noise", "\1\2\3noise" * 5000)
    put_image(m, "srv/plain", None, n * 512, systems=[(0, n)])
    put_image(m, "srv/swap", None, n * 512, swaps=[(0, n)])
    put_image(m, "srv/table", mbr((0x82, 2048, n), (0x83, 2048 + n, n)), (2048 + 2 * n) * 512,
              systems=[(2048 + n, n)], swaps=[(2048, n)])
    put_image(m, "srv/swaps", mbr((0x82, 2048, n), (0x83, 2048 + n, n)), (2048 + 2 * n) * 512, swaps=[(2048, n)])
    put_image(m, "srv/cut", mbr((0x83, 2048, n)), (2048 + n) * 512, systems=[(2048, n)])
    os.truncate(m.path("srv/cut"), (2048 + n // 2) * 512)
    check_open(m, "srv/empty", INVALID, "srv/empty is no disk image with a system\n")
    check_open(m, "srv/noise", INVALID, "srv/noise is no disk image with a system\n")
    check_open(m, "srv/swap", INVALID, "srv/swap is no disk image with a system (swap)")
    check_open(m, "srv/swaps", INVALID,
               "srv/swaps is no disk image with a system (partition 1: swap, partition 2: no file system)")
    check_open(m, "srv/cut", INVALID, "srv/cut is no disk image with a system (partition 1: not all of it is in the image)")
    check_open(m, "srv/plain", INVALID, TAKEN)
    check_open(m, "srv/table", INVALID, TAKEN)


@story("the developer container: of this host's version and board, or refused")
def container(m):
    flatcar = "ID=flatcar\nVERSION={}\nFLATCAR_BOARD={}\n"
    m.put("srv/same/etc/os-release", flatcar.format("4230.2.3", "amd64-usr"))
    m.put("srv/boardless/etc/os-release", "ID=flatcar\nVERSION=4230.2.3\n")
    m.put("srv/older/etc/os-release", flatcar.format("4230.2.2", "amd64-usr"))
    m.put("srv/arm/etc/os-release", flatcar.format("4230.2.3", "arm64-usr"))
    m.put("srv/debian/etc/os-release", "ID=debian\n")
    check_open(m, "srv/same", INVALID, "Which developer container this host needs is not known", "developer-container")
    m.put("etc/os-release", flatcar.format("4230.2.3", "amd64-usr"))
    check_open(m, "srv/same", INVALID, TAKEN, "developer-container")
    check_open(m, "srv/boardless", INVALID, TAKEN, "developer-container")
    check_open(m, "srv/older", MISMATCH, "srv/older is not the developer container of this host: it is of version 4230.2.2 for "
               "amd64-usr, this host of 4230.2.3 for amd64-usr", "developer-container")
    check_open(m, "srv/arm", MISMATCH, "it is of version 4230.2.3 for arm64-usr, this host", "developer-container")
    check_open(m, "srv/debian", MISMATCH, "it is of version unknown for an unknown board, this host", "developer-container")


@story("run: what is not there, what nobody may ask for")
def run(m):
    gone = "4194303"
    for arguments, code, text in (
            ((gone, "/x", "make"), USAGE, ""), ((gone, "/x", "--"), USAGE, ""),
            ((gone, "/x", "--", "true"), INVALID, "the toolchain: No such file or directory"),
            (("0", "/x", "--", "true"), INVALID, "the toolchain: Invalid argument"),
            (("1x", "/x", "--", "true"), INVALID, "the toolchain: Invalid argument"),
            ((gone, "/x", "ro:relative", "--", "true"), INVALID, "ro:relative: Invalid argument"),
            ((gone, "/x", "xx:/", "--", "true"), INVALID, "xx:/: Invalid argument"),
            ((gone, "/x", "rw:" + m.path("nothing"), "--", "true"), INVALID, "nothing: "),
            ((gone, "/x", *["ro:/"] * 0, *[f"xx:{i}" for i in range(3)], "--", "true"), INVALID, "xx:0: Invalid argument")):
        p = real("run", *arguments)
        check_equal(p.returncode, code, f"{arguments}: {p.stderr}")
        check(text in p.stderr, f"{text!r} in {p.stderr!r}")


main()
