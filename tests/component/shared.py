#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shared stores: a build that another machine made is copied, checked and loaded; whatever is wrong with it or with its
mount is said, and the start goes on without."""

import json
import itertools
import os
import shutil
import subprocess
import time

from harness import OUR_FILES, RELEASE, SOURCE, STORE, TREE, check, check_equal, main, story, wait_until

FLEET, OTHER = "mnt/fleet", "mnt/other"
SHARED = f"--set=Store.Shared=/{FLEET} /{OTHER}"


def share(m, *places, bare=False):
    """What a builder leaves: a store, or only the builds, as --output has them. The own store is empty afterwards."""
    p = m.run("build")
    check_equal(p.returncode, 0, p.stderr)
    name = m.builds()[0]
    for place in places:
        shutil.copytree(m.path(f"{STORE}/builds" if bare else STORE), m.path(place))
    shutil.rmtree(m.path(STORE))
    return name


def without_sources(m):
    os.rename(m.path(SOURCE), m.path("ctl/source"))
    os.rename(m.path(TREE), m.path("ctl/tree"))


def flip(path):
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 1]))


def ready(m, *arguments, compiled=1):
    d = m.start(*arguments)
    d.wait_ready()
    check_equal(m.compiled(), compiled, f"compiler runs:\n{d.log()}")
    m.check_store(1)
    wait_until(lambda: not m.staging(), f"staging is empty: {m.staging()}")
    return d


@story("no source, no tree: the build is copied and loaded, the share untouched; the next start needs no share")
def taken(m):
    name = share(m, FLEET)
    without_sources(m)
    before = m.tree_hash(FLEET)
    d = ready(m, SHARED)
    check_equal(m.builds(), [name], "the same id")
    check(f"Build /{FLEET}/{name} is copied into the store." in d.log(), d.log())
    check(f"Shared store: {m.path(OTHER)} is not there" in d.log() or f"/{OTHER} cannot be read" in d.log(), d.log())
    check_equal(m.tree_hash(FLEET), before, "the share, with all its times")
    d.stop()
    m.check_gone()
    os.rename(m.path(FLEET), m.path("ctl/gone"))
    d = ready(m, SHARED)
    check("hared" not in d.log(), f"no shared store is looked at:\n{d.log()}")
    d.stop()
    m.check_gone()


@story("a directory that build --output filled is a shared store, too")
def output(m):
    name = share(m, OTHER, bare=True)
    without_sources(m)
    d = ready(m, SHARED)
    check_equal(m.builds(), [name], "builds")
    d.stop()
    m.check_gone()


@story("plan and builds list tell of it, and change nothing")
def told(m):
    name = share(m, FLEET)
    without_sources(m)
    p = m.run("plan", SHARED)
    check_equal(p.returncode, 0, p.stdout + p.stderr)
    check(f"a copy of /{FLEET}/{name}" in p.stdout and "is in a shared store" in p.stdout, p.stdout)
    check_equal(json.loads(m.run("plan", "--json", SHARED).stdout)["build"], name, "build of the plan")
    p = m.run("builds", SHARED)
    check_equal(p.returncode, 0, p.stderr)
    check(name in p.stdout and f"shared, in /{FLEET}" in p.stdout, p.stdout)
    check(f"/{OTHER}" in p.stderr, p.stderr)
    rows = json.loads(m.run("builds", "list", "--json", SHARED).stdout)
    check_equal([(r["id"], r["shared"], r["inUse"]) for r in rows], [(name, f"/{FLEET}", False)], "rows")
    check(m.run("plan").returncode != 0, "without Shared= there is no way")
    check_equal(m.builds(), [], "builds in the store")


@story("every file damaged, one after the other: store and file are named, the next store serves; or a build does")
def damaged(m):
    name = share(m, FLEET, OTHER)
    without_sources(m)
    harms = (flip, os.unlink, lambda p: os.truncate(p, os.path.getsize(p) - 1))
    for file, harm in [*zip(OUR_FILES, itertools.cycle(harms)), *(("manifest.json", harm) for harm in harms)]:
        path = m.path(f"{FLEET}/builds/{name}/{file}")
        shutil.copy(path, m.path("ctl/whole"))
        harm(path)
        d = ready(m, SHARED)
        gone = file == "manifest.json" and not os.path.exists(path)
        check(gone or (f"/{FLEET}/{name}: {file}" in d.log() and "ignoring" in d.log()), f"{file}:\n{d.log()}")
        check(f"Build /{OTHER}/{name} is copied" in d.log(), d.log())
        d.stop()
        shutil.copy(m.path("ctl/whole"), path)
        shutil.rmtree(m.path(f"{STORE}/builds"))
    flip(m.path(f"{FLEET}/builds/{name}/nvidia.ko"))
    flip(m.path(f"{OTHER}/builds/{name}/nv-linux.o"))
    os.rename(m.path("ctl/source"), m.path(SOURCE))
    os.rename(m.path("ctl/tree"), m.path(TREE))
    d = ready(m, SHARED, compiled=2)
    check(f"/{FLEET}/{name}: nvidia.ko" in d.log() and f"/{OTHER}/{name}: nv-linux.o" in d.log(), d.log())
    d.stop()
    m.check_gone()


@story("links, FIFOs, a manifest of another build, one that is endless: refused, nothing followed or waited for")
def hostile(m):
    name = share(m, FLEET)
    base = m.path(f"{FLEET}/builds/{name}")
    whole = m.path("ctl/whole")
    shutil.copytree(base, whole)

    def link(file):
        os.rename(f"{base}/{file}", m.path("ctl/elsewhere"))
        os.symlink(m.path("ctl/elsewhere"), f"{base}/{file}")

    def fifo(file):
        os.unlink(f"{base}/{file}")
        os.mkfifo(f"{base}/{file}")

    def edit(**fields):
        with open(f"{base}/manifest.json", encoding="utf-8") as f:
            manifest = json.load(f)
        del manifest["xxh64"]
        manifest.update(format=1, **fields)
        with open(f"{base}/manifest.json", "w", encoding="utf-8") as f:
            json.dump(manifest, f)

    def huge():
        with open(f"{base}/manifest.json", "a", encoding="ascii") as f:
            f.write(" " * (1024 * 1024))

    cases = [
        (lambda: link("nvidia.ko"), "nvidia.ko: it is a link"),
        (lambda: link("manifest.json"), "manifest.json: it is a link"),
        (lambda: fifo("nvidia.ko"), "nvidia.ko: it is no regular file"),
        (lambda: fifo("manifest.json"), "manifest.json: it is no regular file"),
        (lambda: edit(driverVersion="536.1"), "manifest.json: it describes build 536.1"),
        (lambda: edit(kernelRelease=f"../../{RELEASE}"), "it describes build of no name"),
        (lambda: edit(files=[{"name": "../../evil"}]), "not a plain file name"),
        (huge, "it is larger than 1048576 bytes"),
    ]
    for n, (harm, why) in enumerate(cases):
        harm()
        d = ready(m, SHARED, compiled=n + 2)
        check(why in d.log(), f"{why!r}:\n{d.log()}")
        d.stop()
        m.check_gone()
        shutil.rmtree(m.path(f"{STORE}/builds"))
        shutil.rmtree(base)
        shutil.copytree(whole, base)
    os.rename(base, f"{base}-elsewhere")
    os.symlink(f"{base}-elsewhere", base)
    d = ready(m, SHARED, compiled=len(cases) + 2)
    d.stop()


@story("a mount that hangs while it is listed, or copied: given up in time, the daemon answers all the while, and builds")
def hangs(m):
    share(m, FLEET)
    for n, operation in enumerate(("shared", "take")):
        m.close(operation)
        d = m.start(f"--set=Store.Shared=/{FLEET}", "--set=Store.SharedTimeoutSec=3s", "--set=Store.LockTimeoutSec=1s")
        m.wait_at(operation)
        check_equal(m.status()[1]["state"], "checking", "state by the bus")
        d.wait_log("does not answer, ignoring" if operation == "shared" else "copying it takes too long, ignoring it")
        d.wait_ready()
        check_equal(m.compiled(), n + 2, "compiler runs")
        d.stop()
        wait_until(lambda: not m.processes(), "nothing is left")
        m.open(operation)
        shutil.rmtree(m.path(f"{STORE}/builds"))


@story("stopped while a mount hangs: at once")
def stopped(m):
    share(m, FLEET)
    for operation in ("shared", "take"):
        m.close(operation)
        d = m.start(f"--set=Store.Shared=/{FLEET}", "--set=Store.SharedTimeoutSec=10min")
        m.wait_at(operation)
        d.stop()
        wait_until(lambda: not m.processes(), "nothing is left")
        m.check_gone()
        m.open(operation)
    check_equal((m.builds(), m.compiled()), ([], 1), "builds, compiler runs")


@story("the source of another version is on this machine: that one is wanted, whatever the fleet has")
def other_version(m):
    share(m, FLEET)
    text = m.get(f"{SOURCE}/Kbuild")
    m.put(f"{SOURCE}/Kbuild", text.replace("535.999.01", "535.999.77"))
    d = ready(m, f"--set=Store.Shared=/{FLEET}", compiled=2)
    check("535.999.77" in m.builds()[0], m.builds())
    d.stop()


@story("a key: the copy of an unsigned build is signed here; a build that this key signed is taken as it is")
def signed(m):
    os.makedirs(m.path("etc/keys"))
    subprocess.run(["openssl", "req", "-new", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-subj", "/CN=Fixture Module Key", "-keyout", m.path("etc/keys/k.pem"),
                    "-out", m.path("etc/keys/k.crt")], check=True, capture_output=True)
    keys = ["--set=Signing.Key=/etc/keys/k.pem", "--set=Signing.Certificate=/etc/keys/k.crt"]
    name = share(m, FLEET)
    without_sources(m)
    d = m.start(SHARED, *keys)
    d.wait_ready()
    check(f"Build /{FLEET}/{name} is copied" in d.log(), d.log())
    check_equal((len(m.builds()), m.compiled()), (2, 1), "builds: the copy and the signed one; compiler runs")
    d.stop()
    signed_one = next(b for b in m.builds() if b != name)
    shutil.rmtree(m.path(f"{FLEET}/builds"))
    os.makedirs(m.path(f"{FLEET}/builds"))
    os.rename(m.path(f"{STORE}/builds/{signed_one}"), m.path(f"{FLEET}/builds/{signed_one}"))
    shutil.rmtree(m.path(f"{STORE}/builds"))
    d = ready(m, SHARED, *keys)
    check_equal(m.builds(), [signed_one], "builds")
    d.stop()
    m.check_gone()


@story("the worker is killed in the middle, the daemon is: no half of a build, and the next start has it")
def killed(m):
    share(m, FLEET)
    without_sources(m)
    for _ in range(4):
        m.close("take")
        d = m.start(SHARED)
        m.wait_at("take")
        m.open("take")
        time.sleep(0.02)
        d.kill()
        m.check_store()
        shutil.rmtree(m.path(f"{STORE}/builds"), ignore_errors=True)
    d = ready(m, SHARED)
    d.stop()
    m.check_gone()


main()
