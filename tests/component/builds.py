#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nvidia-driver builds: what is in the store, and packages: good ones, hostile ones, damaged ones."""

import fcntl
import io
import json
import os
import signal
import subprocess
import tarfile

from harness import DRIVER, RELEASE, SOURCE, STORE, check, check_equal, main, story, wait_until

CORE = f"{SOURCE}/nvidia/nv-kernel.o_binary"
LINKED = ["nvidia-modeset.ko", "nvidia.ko"]
INVALID, DAMAGED, LOCKED, UNKNOWN, MISMATCH, STORE_FAILED = 54, 25, 55, 56, 24, 26
LATER = "6.99.0-later"


def build(m):
    p = m.run("build")
    check_equal(p.returncode, 0, p.stderr)
    return m.builds()[0]


def builds(m, *arguments, code=0, says=""):
    p = m.run("builds", *arguments)
    check_equal(p.returncode, code, f"builds {arguments}: {p.stderr}")
    check(says in p.stderr + p.stdout, f"{says!r} in {p.stderr}{p.stdout}")
    return p


def export(m):
    build(m)
    package = m.path("package")
    builds(m, "export", m.builds()[0], package)
    return package


def members(package):
    raw = subprocess.run(["zstd", "-dc", package], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return [(i, tar.extractfile(i).read()) for i in tar.getmembers()]


def pack(package, entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    with open(package, "wb") as f:
        f.write(subprocess.run(["zstd", "-c"], input=out.getvalue(), check=True, capture_output=True).stdout)


def empty(m):
    builds(m, "gc")
    for name in m.builds():
        os.rename(m.path(f"{STORE}/builds/{name}"), m.path(f"ctl/{name}"))


@story("list, show, verify: plain and JSON, IDs may be abbreviated")
def looking(m):
    builds(m, "list")
    name = build(m)
    check("other kernel" not in builds(m, says=name).stdout, "it is for this kernel")
    row = json.loads(builds(m, "list", "--json").stdout)[0]
    check_equal((row["id"], row["kernelRelease"], row["inUse"], row["lastGood"]), (name, RELEASE, False, False), "row")
    digest = name.rsplit("-", 1)[1]
    builds(m, "show", digest[:4], says=f"Build:     {name}")
    check_equal(json.loads(builds(m, "show", name, "--json").stdout)["id"], name, "the manifest")
    builds(m, "show", "nothing", code=UNKNOWN, says="build-unknown")
    builds(m, "verify", says="ok")
    d = m.start()
    d.wait_ready()
    wait_until(lambda: m.exists(f"{STORE}/good/{RELEASE}"), "it is marked as good")
    row = json.loads(builds(m, "list", "--json").stdout)[0]
    check_equal((row["inUse"], row["lastGood"]), (True, True), "in use, last good")
    d.stop()


@story("gc: a worker that says more than anybody reads is no reason to wait for ever")
def flood(m):
    m.put(f"{STORE}/staging/left/file", "")
    m.put("ctl/flood-discard", "")
    builds(m, "gc")
    check_equal(m.staging(), [], "staging")


@story("every file of a build flipped, cut off, removed: verify names it")
def damage(m):
    name = build(m)
    base = m.path(f"{STORE}/builds/{name}")
    for file in [f for f in os.listdir(base) if f != "manifest.json"]:
        path = os.path.join(base, file)
        with open(path, "rb") as f:
            good = f.read()
        for bad in (good[:-1] + bytes([good[-1] ^ 1]), good[:-1], None):
            os.unlink(path)
            if bad is not None:
                with open(path, "wb") as f:
                    f.write(bad)
            builds(m, "verify", name, code=DAMAGED, says=f"{file}: it is")
        with open(path, "wb") as f:
            f.write(good)
    builds(m, "verify", says="ok")


@story("export: no linked module in it, the same bytes twice; import: the same build, nothing compiled")
def package(m):
    first = export(m)
    name = m.builds()[0]
    old = os.umask(0o027)
    builds(m, "export", name, first + "2")
    os.umask(old)
    check_equal(os.stat(first + "2").st_mode & 0o7777, 0o640, "mode")
    directory, base = os.path.split(first)
    check_equal(sorted(f for f in os.listdir(directory) if f.startswith(base)), [base, base + "2"], "files")
    with open(first, "rb") as a, open(first + "2", "rb") as b:
        check(a.read() == b.read(), "the same build gives the same package")
    names = [i.name for i, _ in members(first)]
    check_equal(names[0], "manifest.json", "the first member")
    check("nv-linux.o" in names and "module.lds" in names and "nvidia-uvm.ko" in names, names)
    check(not set(names) & set(LINKED) and not any("binary" in n for n in names), f"what may not be passed on: {names}")
    empty(m)
    builds(m, "import", first, says=name)
    m.check_store(1)
    check_equal(m.builds(), [name], "the same id")
    check_equal(m.staging(), [], "staging")
    for file in LINKED:
        with open(m.path(f"{STORE}/builds/{name}/{file}"), "rb") as a, open(m.path(f"ctl/{name}/{file}"), "rb") as b:
            check(a.read() == b.read(), f"{file} is what it was")
    d = m.start()
    d.wait_ready()
    check_equal(m.compiled(), 1, "compiler runs: none since the first")
    d.stop()
    m.check_gone()


@story("import: other core objects, no source, no ld: each with its code, nothing left")
def needs(m):
    first = export(m)
    empty(m)
    good = open(m.path(CORE), "rb").read()
    with open(m.path(CORE), "ab") as f:
        f.write(b"\0")
    builds(m, "import", first, code=13, says="the package was linked with")
    with open(m.path(CORE), "wb") as f:
        f.write(good)
    os.rename(m.path(SOURCE), m.path("ctl/source"))
    builds(m, "import", first, code=11, says="535.999.01")
    os.rename(m.path("ctl/source"), m.path(SOURCE))
    check_equal((m.builds(), m.staging()), ([], []), "what is left")
    builds(m, "import", first)


@story("a package for another kernel: refused with both named, unless that one is meant; a start says so, too")
def other_kernel(m):
    first = export(m)
    name = m.builds()[0]
    empty(m)
    m.put("proc/sys/kernel/osrelease", LATER + "\n")
    p = builds(m, "import", first, code=MISMATCH, says=f"it is for kernel {RELEASE}, not {LATER}")
    check(f"--kernel={RELEASE}" in p.stderr, "the way to say that it is meant")
    p = builds(m, "import", first, f"--kernel={LATER}", code=MISMATCH, says=f"it is for kernel {RELEASE}, not {LATER}")
    check_equal((m.builds(), m.staging()), ([], []), "what is left")
    builds(m, "import", "-k", RELEASE, first, says=name)
    d = m.start()
    check(d.wait() != 0, "a start on another kernel fails")
    check(f"Build {name} of the store cannot be used: it is for kernel {RELEASE}, not {LATER}" in d.log(), d.log())
    check_equal((m.loaded(), m.compiled()), ([], 1), "modules, compiler runs")
    m.put("proc/sys/kernel/osrelease", RELEASE + "\n")
    m.put("proc/sys/kernel/version", "#2 SMP fixture, rebuilt\n")
    builds(m, "gc")
    os.rename(m.path(f"{STORE}/builds/{name}"), m.path("ctl/kept"))
    builds(m, "import", first, code=MISMATCH, says="#2 SMP fixture, rebuilt")


def unsealed(text):
    """A manifest to be changed: without its own digest, as the oldest format has it."""
    manifest = json.loads(text)
    del manifest["xxh64"]
    return dict(manifest, format=1)


def entry(name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


@story("hostile packages: refused with their reason, nothing imported, nothing outside touched")
def hostile(m):
    first = export(m)
    empty(m)
    good = members(first)
    evil = m.path("ctl/evil")
    manifest = unsealed(good[0][1])
    longer = dict(manifest, files=[dict(f, size=1) if f["name"] == "nv-linux.o" else f for f in manifest["files"]])
    other = dict(manifest, id=manifest["id"].replace("535", "536"))
    leaving = dict(manifest, files=manifest["files"] + [{"name": "../../x"}])

    def with_manifest(text):
        data = json.dumps(text).encode()
        return [entry("manifest.json", data)] + good[1:]

    flipped = [(i, d[:-1] + bytes([d[-1] ^ 1]) if i.name == "nvidia-uvm.ko" else d) for i, d in good]
    cases = [
        (good + [entry(evil, b"x")], "not a plain file name"),
        (good + [entry("../../evil", b"x")], "not a plain file name"),
        (good + [entry("link", type=tarfile.SYMTYPE, linkname="/etc/passwd")], "not a regular file"),
        (good + [entry("hard", type=tarfile.LNKTYPE, linkname="nv-linux.o")], "not a regular file"),
        (good + [entry("device", type=tarfile.CHRTYPE, devmajor=1, devminor=3)], "not a regular file"),
        (good + [entry("fifo", type=tarfile.FIFOTYPE)], "not a regular file"),
        (good + [entry("directory", type=tarfile.DIRTYPE)], "not a regular file"),
        (good + [entry("stranger", b"x")], "has no business in it"),
        (good + [entry("nvidia.ko", b"x")], "has no business in it"),
        (good + [good[1]], "is in it twice"),
        (good[1:], "does not begin with manifest.json"),
        (good[:1] + good[2:], "it is gone"),
        (with_manifest(longer), "larger than its manifest says"),
        (with_manifest(other), "Its manifest calls the build"),
        (with_manifest(leaving), "not a plain file name"),
        ([entry("manifest.json", b"{}")], "manifest.json: field"),
        ([entry("manifest.json", good[0][1].replace(b"fixture", b"fiXture", 1))] + good[1:], "manifest.json: it is not as it was written"),
        (flipped, "it is not what was built"),
    ]
    for entries, why in cases:
        pack(m.path("bad"), entries)
        p = builds(m, "import", m.path("bad"), code=INVALID, says=why)
        check_equal(p.stdout, "", "stdout")
        check(not m.exists("ctl/evil"), "written outside")
        check_equal((m.builds(), m.staging()), ([], []), f"what is left after: {why}")
    for data in (b"", b"text", open(first, "rb").read()[:-40]):
        with open(m.path("bad"), "wb") as f:
            f.write(data)
        builds(m, "import", m.path("bad"), code=INVALID)
    check_equal((m.builds(), m.staging()), ([], []), "what is left")


@story("one writer at a time: named, or waited for; its end by SIGKILL frees the store")
def lock(m):
    first = export(m)
    writer = subprocess.Popen(["sleep", "60"])
    with open(m.path(f"{STORE}/lock"), "w", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        f.write(f"{writer.pid}\n")
        f.flush()
        builds(m, "import", first, code=LOCKED, says=f"process {writer.pid}")
        builds(m, "gc", code=LOCKED, says="store-locked")
        builds(m, "verify", says="ok")
        other = unsealed(m.get(f"{STORE}/builds/{m.builds()[0]}/manifest.json"))
        for i in range(4):
            other.update(id=f"old-{i}", created=f"2020-01-0{i + 1}T00:00:00Z", files=[])
            m.put(f"{STORE}/builds/old-{i}/manifest.json", json.dumps(other))
        argv = [os.environ["NVIDIA_DRIVER"], f"--root={m.root}", "builds", "gc", "--wait"]
        waiting = subprocess.Popen(argv, env=m.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        check_equal(waiting.stderr.readline(), f"nvidia-driver: waiting for process {writer.pid}, which writes to the store\n",
                    "who is waited for")
        # What becomes good meanwhile is not removed.
        m.put(f"{STORE}/good/{RELEASE}", "old-0\n")
    check_equal((waiting.communicate()[1], waiting.returncode), ("", 0), "messages and exit status after waiting")
    check_equal(sorted(x for x in m.builds() if x.startswith("old")), ["old-0", "old-2", "old-3"], "what stays")
    writer.send_signal(signal.SIGKILL)
    writer.wait()


@story("a build that is finished waits for the writer: named in the log, the daemon answers all the while, then READY")
def publish_waits(m):
    with open(m.path("ctl/other"), "w", encoding="ascii") as f:
        f.write("4711\n")
    os.makedirs(m.path(STORE))
    os.rename(m.path("ctl/other"), m.path(f"{STORE}/lock"))
    with open(m.path(f"{STORE}/lock"), encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        d = m.start()
        d.wait_log("Waiting for process 4711, which writes to the store")
        check_equal(m.status()[1]["state"], "publishing", "state by the bus")
        check_equal(m.builds(), [], "builds")
    d.wait_ready()
    m.check_store(1)
    check_equal(m.compiled(), 1, "compiler runs")
    d.stop()
    m.check_gone()


@story("a writer that does not end: store-locked, tried again; on the command line the code with its pid")
def publish_refused(m):
    os.makedirs(m.path(STORE))
    m.put(f"{STORE}/lock", "4711\n")
    limit = "--set=Store.LockTimeoutSec=200ms"
    with open(m.path(f"{STORE}/lock"), encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        p = m.run("build", limit)
        check_equal(p.returncode, LOCKED, p.stderr)
        check("process 4711" in p.stderr and "store-locked" in p.stderr, p.stderr)
        d = m.start(limit, "--set=Retry.DelaySec=1ms", "--set=Retry.MaxDelaySec=1ms", "--set=Retry.Attempts=0")
        d.wait_log("[store-locked]", 2)
        check_equal(m.builds(), [], "builds")
    d.wait_ready()
    m.check_store(1)
    d.stop()
    m.check_gone()


@story("gc: the newest stay, and what is in use or was good; --dry-run only tells")
def collect(m):
    name = build(m)
    for i in range(4):
        other = unsealed(m.get(f"{STORE}/builds/{name}/manifest.json"))
        other.update(id=f"old-{i}", created=f"2020-01-0{i + 1}T00:00:00Z", files=[])
        m.put(f"{STORE}/builds/old-{i}/manifest.json", json.dumps(other))
    m.put(f"{STORE}/good/{RELEASE}", "old-0\n")
    builds(m, "gc", "--dry-run", "--set=Store.Keep=2", says="old-1: would be removed")
    check_equal(len(m.builds()), 5, "builds")
    builds(m, "gc", "--set=Store.Keep=2", says="old-2: removed")
    check_equal(m.builds(), sorted([name, "old-0", "old-3"]), "what stays")


@story("KeepKernels: builds of kernels that are long gone are removed by gc and by the daemon, even those that worked")
def kernels(m):
    name = build(m)
    def fill():
        for i in range(4):
            other = unsealed(m.get(f"{STORE}/builds/{name}/manifest.json"))
            other.update(id=f"old-{i}", kernelRelease=f"6.1.{i}-old", created=f"2020-01-0{i + 1}T00:00:00Z", files=[])
            m.put(f"{STORE}/builds/old-{i}/manifest.json", json.dumps(other))
            m.put(f"{STORE}/good/6.1.{i}-old", f"old-{i}\n")
    fill()
    builds(m, "gc")
    check_equal(len(m.builds()), 5, "builds")
    builds(m, "gc", "--set=Store.KeepKernels=3", says="old-1: removed")
    check_equal(m.builds(), sorted([name, "old-2", "old-3"]), "what stays")
    fill()
    d = m.start("--set=Store.KeepKernels=2")
    d.wait_log("Build old-2 is retired")
    d.wait_ready()
    check_equal(m.builds(), sorted([name, "old-3"]), "what stays")
    d.stop()


@story("a name that may be any of several; packages that cannot be made: each is said, no file is left")
def export_refused(m):
    name = build(m)
    sealed = m.get(f"{STORE}/builds/{name}/manifest.json")
    other = unsealed(sealed)
    for file in other["files"]:
        file.pop("core", None)
    m.put(f"{STORE}/builds/{name[:-1]}x/manifest.json", json.dumps(dict(other, id=f"{name[:-1]}x")))
    builds(m, "show", DRIVER, code=UNKNOWN, says=f'"{DRIVER}" may be any of 2 builds.')
    package = m.path("package")
    builds(m, "export", f"{name[:-1]}x", package, code=INVALID, says="it does not say what nvidia.ko is linked from")
    manifest = unsealed(sealed)
    for change, words in (({"inputs": {}}, "it lacks what nvidia"), ({"files": []}, "its manifest lists 0 files")):
        m.put(f"{STORE}/builds/{name}/manifest.json", json.dumps(dict(manifest, **change)))
        builds(m, "export", name, package, code=INVALID, says=words)
    m.put(f"{STORE}/builds/{name}/manifest.json", sealed)
    builds(m, "export", name, m.path("none/package"), code=STORE_FAILED, says="none/package: No such file or directory")
    os.truncate(m.path(f"{STORE}/builds/{name}/nv-linux.o"), 100)
    builds(m, "export", name, package, code=DAMAGED, says="nv-linux.o: it is not what was built")
    check_equal([x for x in m.list("") if x.startswith("package")], [], "what is left")


@story("the daemon: once it is ready, old builds of this kernel go, unless somebody writes to the store")
def retired(m):
    name = build(m)
    for i in range(4):
        other = unsealed(m.get(f"{STORE}/builds/{name}/manifest.json"))
        other.update(id=f"old-{i}", driverVersion="500.1", created=f"2020-01-0{i + 1}T00:00:00Z", files=[])
        m.put(f"{STORE}/builds/old-{i}/manifest.json", json.dumps(other))
    with open(m.path(f"{STORE}/lock"), "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        d = m.start("--set=Store.Keep=2", "--verbose")
        d.wait_log("old builds are removed another time")
        d.wait_ready()
        d.stop()
    check_equal(len(m.builds()), 5, "builds")
    d = m.start("--set=Store.Keep=2")
    d.wait_log("Build old-2 is retired, newer ones are there.")
    d.wait_ready()
    check_equal(m.builds(), sorted([name, "old-3"]), "what stays")
    wait_until(lambda: not m.staging(), "what is retired is removed")
    d.stop()
    m.check_gone()


@story("gc: what can never be loaded goes, what a newer program wrote stays; one that cannot be moved stops nothing")
def collect_broken(m):
    name = build(m)
    for other, text in (("cut", '{"format": 2, "id'), ("newer", '{"format": 9}')):
        m.put(f"{STORE}/builds/{other}/manifest.json", text)
    os.mkdir(m.path(f"{STORE}/builds/empty"))
    builds(m, "list", says="builds/cut/manifest.json: line 1: ")
    builds(m, "gc", "--dry-run", says="builds/cut: would be removed")
    check_equal(m.builds(), sorted([name, "cut", "empty", "newer"]), "builds")
    os.rename(m.path(f"{STORE}/staging"), m.path("away"))
    m.put(f"{STORE}/staging", "in the way")
    p = builds(m, "gc", code=STORE_FAILED, says="builds/cut: Not a directory")
    check("builds/empty: Not a directory" in p.stderr, p.stderr)
    os.unlink(m.path(f"{STORE}/staging"))
    os.rename(m.path("away"), m.path(f"{STORE}/staging"))
    p = builds(m, "gc", says="builds/cut: removed")
    check("builds/empty: removed" in p.stdout, p.stdout)
    check("newer" in p.stderr, p.stderr)
    check_equal(m.builds(), sorted([name, "newer"]), "what stays")
    check_equal(m.staging(), [], "staging")
    check_equal(m.staging(), [], "staging")


main()
