#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Power cuts and full disks. Whatever builds is killed at instants that nobody chose, spread over everything that
writes to the store: afterwards the store is whole, and the next start ends READY. The same with the disk full.

    TIMES=3     three times as many instants
    SEED=N      those of an earlier run
"""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

from harness import DRIVER, RELEASE, STORE, TREE, Skip, check, check_equal, main, note, story, wait_until

TIMES = int(os.environ.get("TIMES", "1"))
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1000000)))
NO_SPACE = 22
SIGNING = ["--set=Signing.Key=/etc/keys/k.pem", "--set=Signing.Certificate=/etc/keys/k.crt"]


def put_key(m):
    os.makedirs(m.path("etc/keys"))
    subprocess.run(["openssl", "req", "-new", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-subj", "/CN=Fixture Module Key", "-keyout", m.path("etc/keys/k.pem"),
                    "-out", m.path("etc/keys/k.crt")], check=True, capture_output=True)


def clean(m, builds=None):
    """As the product sees it, and as we do."""
    p = m.run("builds", "verify")
    check_equal(p.returncode, 0, f"builds verify: {p.stdout}{p.stderr}")
    m.check_store(builds)


def ends_ready(m, *arguments):
    d = m.start(*arguments)
    d.wait_ready()
    clean(m)
    wait_until(lambda: not m.staging(), f"what was left is removed: {m.staging()}", 10)
    d.stop()
    m.check_gone()


def empty(m):
    for name in m.builds():
        shutil.rmtree(m.path(f"{STORE}/builds/{name}"))


def worker_runs(m, operation):
    log = m.get("ctl/worker.log").splitlines() if m.exists("ctl/worker.log") else []
    return len([x for x in log if x.split()[:1] == [operation]])


def kill_all(m, rng):
    """The children of who is dead get their signal and go, or are gone with it. Not a helper: inside the kernel none is killed."""
    if rng.random() < 0.5:
        for pid, words in m.processes():
            if "fake-helper" in words:
                continue
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


# What begins the instant, how many of them, and over how many seconds from there they spread.
PHASES = [("compile", 4 * TIMES, 0.3), ("link", 3 * TIMES, 0.1), ("check", 3 * TIMES, 0.15), ("sign", 3 * TIMES, 0.1),
          ("publish", 4 * TIMES, 0.02)]


for _phase, _n, _spread in PHASES:
    @story(f"killed {_n} times from {_phase} on: the store is whole each time, and the next start ends READY")
    def cut(m, phase=_phase, n=_n, spread=_spread):
        rng = random.Random(f"{SEED} {phase}")
        note(f"SEED={SEED}")
        put_key(m)
        left = []
        for _ in range(n):
            empty(m)
            before = m.compiled(), worker_runs(m, phase)
            d = m.start(*SIGNING)
            if phase == "link":
                d.wait_status("Linking")
            else:
                d.wait_for(lambda old=before: (m.compiled() if phase == "compile" else worker_runs(m, phase)) >
                           old[phase != "compile"], f"{phase} has begun")
            time.sleep(rng.uniform(0, spread))
            d.kill()
            kill_all(m, rng)
            clean(m)
            left.append(len(m.builds()))
            ends_ready(m, *SIGNING)
            check_equal(len(m.builds()), 1, "builds")
        note(f"builds that were left: {left}")


def run_and_kill(m, rng, limit, *arguments):
    """Returns -9, or 0 if it was done before the instant came."""
    with subprocess.Popen([os.environ["NVIDIA_DRIVER"], f"--root={m.root}", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=m.environment()) as p:
        try:
            p.wait(rng.uniform(0, limit))
        except subprocess.TimeoutExpired:
            p.kill()
    kill_all(m, rng)
    check(p.returncode in (0, -signal.SIGKILL), f"exit status {p.returncode}")
    return p.returncode


def rounds(n, most=10):
    """Until @n were killed; whoever was done before does not count."""
    killed, i = [], 0
    while sum(1 for status in killed if status == -signal.SIGKILL) < n:
        check(i < n * most, f"{n} instants before the end: {killed}")
        i += 1
        yield killed


def time_of(m, *arguments):
    began = time.monotonic()
    p = m.run(*arguments)
    check_equal(p.returncode, 0, p.stderr)
    return time.monotonic() - began


@story("import killed 3 times: nothing or the whole build is there, and it can be imported")
def importing(m):
    rng = random.Random(f"{SEED} import")
    note(f"SEED={SEED}")
    time_of(m, "build")
    package = m.path("package")
    time_of(m, "builds", "export", m.builds()[0], package)
    empty(m)
    limit = time_of(m, "builds", "import", package)
    compiled = m.compiled()
    left = []
    for killed in rounds(3 * TIMES):
        empty(m)
        killed.append(run_and_kill(m, rng, limit, "builds", "import", package))
        left.append(len(m.builds()))
        clean(m)
        if not m.builds():
            time_of(m, "builds", "import", package)
        ends_ready(m)
        check_equal(m.compiled(), compiled, "compiler runs")
    note(f"exit status: {killed}, builds that were left: {left}")


@story("a copy from a shared store killed 3 times: nothing or the whole build is there, and the next start has it")
def copying(m):
    rng = random.Random(f"{SEED} take")
    note(f"SEED={SEED}")
    time_of(m, "build")
    os.makedirs(m.path("mnt"))
    os.rename(m.path(STORE), m.path("mnt/fleet"))
    shared = "--set=Store.Shared=/mnt/fleet"
    left = []
    for _ in range(6):
        before = worker_runs(m, "take")
        d = m.start(shared)
        d.wait_for(lambda n=before: worker_runs(m, "take") > n, "the copy has begun")
        time.sleep(rng.uniform(0, 0.15))
        d.kill()
        kill_all(m, rng)
        clean(m)
        left.append(len(m.builds()))
        ends_ready(m, shared)
        check_equal((len(m.builds()), m.compiled()), (1, 1), "builds, compiler runs")
        empty(m)
    note(f"builds that were left: {left}")


def copies(m, n):
    """Older builds of the same purpose, whole ones."""
    base = m.path(f"{STORE}/builds/{m.builds()[0]}")
    for i in range(n):
        copy = m.path(f"{STORE}/builds/old-{i}")
        shutil.copytree(base, copy)
        with open(f"{copy}/manifest.json", encoding="utf-8") as f:
            manifest = json.load(f)
        del manifest["xxh64"]
        manifest.update(format=1, id=f"old-{i}", created=f"2020-01-{i + 1:02}T00:00:00Z")
        with open(f"{copy}/manifest.json", "w", encoding="utf-8") as f:
            json.dump(manifest, f)


@story("gc killed 3 times: every build is there or gone, and the one in use stays")
def collecting(m):
    rng = random.Random(f"{SEED} gc")
    note(f"SEED={SEED}")
    time_of(m, "build")
    name = m.builds()[0]
    copies(m, 12)
    limit = time_of(m, "builds", "gc", "--set=Store.Keep=1")
    left = []
    for killed in rounds(3 * TIMES):
        check_equal(m.builds(), [name], "builds")
        copies(m, 12)
        killed.append(run_and_kill(m, rng, limit, "builds", "gc", "--set=Store.Keep=1"))
        check(name in m.builds(), "the newest is still there")
        left.append(len(m.builds()))
        clean(m)
        ends_ready(m, "--set=Store.Keep=1")
    note(f"exit status: {killed}, builds that were left: {left}")
    check_equal(m.compiled(), 1, "compiler runs")


# --- a disk of its own ------------------------------------------------------------------------------------


class Disk:
    """The store on a small file system, which a file fills to the last byte."""

    def __init__(self, m, size="48m"):
        self.path = m.path(STORE)
        os.makedirs(self.path, exist_ok=True)
        p = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "driverd-test", self.path],
                           capture_output=True, text=True, check=False)
        if p.returncode:
            raise Skip(f"nothing can be mounted here: {p.stderr.strip()}")
        m.daemons.append(self)

    def fill(self, spare=0):
        with open(f"{self.path}/filler", "wb", buffering=0) as f:
            block = bytes(65536)
            while len(block) > 0:
                try:
                    if f.write(block) < len(block):
                        raise OSError
                except OSError:
                    block = block[:len(block) // 2]
            f.truncate(max(0, f.tell() - spare))

    def free(self):
        os.unlink(f"{self.path}/filler")

    def end(self):
        subprocess.run(["umount", "-l", self.path], check=True)


def failed(m, d):
    d.wait()
    check_equal(d.code, NO_SPACE, f"exit status with a full disk:\n{d.log()[-3000:]}")
    check("[no-space]" in d.log(), d.log())
    clean(m, 0)


def after(m, disk, *arguments):
    disk.free()
    ends_ready(m, *arguments)
    m.check_store(1)


@story("the disk is full at the start")
def full(m):
    disk = Disk(m)
    disk.fill()
    failed(m, m.start("--set=Retry.Attempts=1"))
    after(m, disk)


@story("the disk becomes full while the kernel tree is prepared", tree=False)
def full_prepare(m):
    from kernelsource import put_source
    put_source(m)
    disk = Disk(m)
    m.close("modules_prepare")
    d = m.start("--set=Retry.Attempts=1")
    m.wait_at("modules_prepare")
    disk.fill()
    m.open("modules_prepare")
    failed(m, d)
    after(m, disk)


def full_at(m, gate, *arguments):
    disk = Disk(m)
    m.close(gate)
    d = m.start("--set=Retry.Attempts=1", *arguments)
    m.wait_at(gate)
    disk.fill()
    m.open(gate)
    failed(m, d)
    after(m, disk, *arguments)


@story("the disk is full, or has room for a part only, when the prepared tree is to be kept: READY without it", tree=False)
def full_keep(m):
    from kernelsource import put_source
    put_source(m)
    disk = Disk(m)
    m.close("keeptree")
    for spare in (0, 4096, 20480):
        empty(m)
        d = m.start()
        m.wait_at("keeptree")
        disk.fill(spare)
        m.open("keeptree")
        d.wait_ready()
        check("The prepared kernel tree is not kept, ignoring: " in d.log() and "No space left on device" in d.log(), d.log())
        check_equal(m.list(f"{STORE}/trees") if m.exists(f"{STORE}/trees") else [], [], f"kept trees, {spare} bytes of room")
        clean(m, 1)
        disk.free()
        d.stop()
        m.close("keeptree")
    m.open("keeptree")
    empty(m)
    ends_ready(m)
    check_equal(len(m.list(f"{STORE}/trees")), 1, "kept trees, when there is room")


@story("the disk becomes full while make runs")
def full_compile(m):
    full_at(m, "compile")


@story("the disk becomes full before modules are signed")
def full_sign(m):
    put_key(m)
    full_at(m, "sign", *SIGNING)


@story("the disk becomes full before the build is published")
def full_publish(m):
    full_at(m, "publish")


@story("the disk becomes full while ld runs")
def full_link(m):
    disk = Disk(m)
    script = m.get(f"{TREE}/scripts/module.lds")
    m.hold_linker()
    d = m.start("--set=Retry.Attempts=1")
    d.wait_for(lambda: any("ld -r" in words for _, words in m.processes()), "ld runs")
    disk.fill()
    m.put(f"{TREE}/scripts/module.lds", script)
    with open(m.path("ctl/lds"), "w", encoding="ascii"):
        pass
    failed(m, d)
    after(m, disk)


@story("the disk is full, or nearly, for a copy from a shared store: said, nothing left; then there is room")
def full_copy(m):
    time_of(m, "build")
    os.makedirs(m.path("mnt"))
    os.rename(m.path(STORE), m.path("mnt/fleet"))
    shared = "--set=Store.Shared=/mnt/fleet"
    disk = Disk(m)
    for spare in (0, 16384, 40000):
        disk.fill(spare)
        d = m.start("--set=Retry.Attempts=1", shared)
        failed(m, d)
        check("No space left on device, ignoring it" in d.log(), d.log())
        disk.free()
    ends_ready(m, shared)
    check_equal((len(m.builds()), m.compiled()), (1, 1), "builds, compiler runs")


@story("the disk has room for a part only, three sizes")
def room_for_a_part(m):
    rng = random.Random(f"{SEED} part")
    note(f"SEED={SEED}")
    disk = Disk(m)
    for _ in range(3):
        empty(m)
        spare = rng.randrange(4096, 60000, 4096)
        disk.fill(spare)
        d = m.start("--set=Retry.Attempts=1")
        note(f"{spare} bytes of room")
        failed(m, d)
        disk.free()
    ends_ready(m)
    m.check_store(1)


@story("the disk is full when the driver is ready: it is not noted as good, and READY all the same")
def full_good(m):
    disk = Disk(m)
    m.close("good")
    d = m.start()
    d.wait_ready()
    m.wait_at("good")
    # What is removed in the background would make room for the mark.
    wait_until(lambda: not m.list(f"{STORE}/staging"), "an empty staging area")
    disk.fill()
    m.open("good")
    d.wait_log("could not be recorded")
    check(not m.exists(f"{STORE}/good/{RELEASE}"), "the mark")
    clean(m, 1)
    d.stop()
    after(m, disk)
    check_equal(m.get(f"{STORE}/good/{RELEASE}").strip(), m.builds()[0], "the mark of the next start")
    check_equal(m.compiled(), 1, "compiler runs")


@story("the disk is full for an import: no-space, nothing left; gc on it works and makes room")
def full_import(m):
    disk = Disk(m)
    time_of(m, "build")
    package = m.path("package")
    time_of(m, "builds", "export", m.builds()[0], package)
    copies(m, 3)
    disk.fill()
    p = m.run("builds", "gc", "--set=Store.Keep=1")
    check_equal(p.returncode, 0, p.stderr)
    clean(m, 1)
    empty(m)
    disk.fill()
    p = m.run("builds", "import", package)
    check_equal(p.returncode, NO_SPACE, p.stderr)
    clean(m, 0)
    check_equal(m.staging(), [], "staging")
    disk.fill(16384)
    p = m.run("builds", "import", package)
    check_equal(p.returncode, NO_SPACE, p.stderr)
    clean(m, 0)
    disk.free()
    time_of(m, "builds", "import", package)
    ends_ready(m)
    check_equal(m.compiled(), 1, f"compiler runs: driver {DRIVER} was imported")


@story("an import with one more page of room each time, until it succeeds: no-space and nothing left at each of its writes")
def import_by_pages(m):
    put_key(m)
    disk = Disk(m)
    time_of(m, "build", "--set=Signing.Key=/etc/keys/k.pem", "--set=Signing.Certificate=/etc/keys/k.crt")
    package = m.path("package")
    time_of(m, "builds", "export", m.builds()[0], package)
    empty(m)
    said = set()
    for pages in range(256):
        disk.fill(pages * 4096)
        p = m.run("builds", "import", package)
        if p.returncode == 0:
            break
        check_equal(p.returncode, NO_SPACE, f"{pages} pages: {p.stderr}")
        said.add(re.sub(r"\S*staging/[^/ ]*/", "", p.stderr.splitlines()[-3]))
        m.check_store(0)
        check_equal(m.staging(), [], "staging")
    note(f"{pages} imports without room: {said}")
    check(pages > 5 and len(said) > 2, f"{pages} pages, {said}")
    clean(m, 1)


if "DRIVERD_TEST_MOUNTS" not in os.environ:
    os.environ["DRIVERD_TEST_MOUNTS"] = "private"
    with contextlib.suppress(FileNotFoundError):
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])
main()
