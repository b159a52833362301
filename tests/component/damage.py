#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A build that is not what was built, file by file: set aside, said, made again, never loaded."""

import os

from harness import OUR_FILES, RELEASE, STORE, TREE, check, check_equal, main, story, wait_until

DAMAGED = 25


def flip(path):
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 1]))


def truncate(path):
    os.truncate(path, os.path.getsize(path) - 1)


def grow(path):
    with open(path, "ab") as f:
        f.write(b"\n")


def damaged(m, harm, name, code="[build-damaged]"):
    d = m.start()
    d.wait_ready()
    d.stop()
    m.check_store(1)
    build = m.builds()[0]
    harm(m.path(f"{STORE}/builds/{build}/{name}"))
    p = m.run("builds", "verify")
    check_equal(p.returncode, DAMAGED, f"exit status of builds verify: {p.stdout}{p.stderr}")
    check(name in p.stderr, f"{name} in the words of builds verify: {p.stderr}")
    before = len(m.helper_log())
    d = m.start("--set=Retry.DelaySec=10ms")
    d.wait_ready()
    check_equal(m.compiled(), 2, "compiler runs: it is made again")
    check_equal(len([x for x in m.helper_log()[before:] if x.startswith("insert")]), 3, "insertions: only of the new one")
    check(code in d.log(), f"{code} in the log:\n{d.log()}")
    check(name in d.log(), f"{name} in the log:\n{d.log()}")
    m.check_store(1)
    wait_until(lambda: not m.staging(), f"staging is empty: {m.staging()}")
    kept = m.list(f"{STORE}/damaged")
    check_equal([k.partition("-")[2] for k in kept], [build] if code == "[build-damaged]" else [], "damaged builds that are kept")
    d.stop()
    m.check_gone()


def break_store(m):
    build = m.builds()[0]
    flip(m.path(f"{STORE}/builds/{build}/nvidia-uvm.ko"))
    return build


@story("damaged, and nothing to make another one from: kept, said first, and again at the next start")
def first_cause(m):
    d = m.start()
    d.wait_ready()
    d.stop()
    build = break_store(m)
    os.unlink(m.path(f"lib/modules/{RELEASE}/build"))
    os.rename(m.path(TREE), m.path("ctl/tree"))
    for _ in range(2):
        d = m.start("--set=Retry.DelaySec=10ms")
        check_equal(d.wait(), DAMAGED, f"exit status\n{d.log()}")
        status = m.status()[1]
        check_equal((status["state"], status["code"]), ("failed", "build-damaged"), "status")
        kept = m.list(f"{STORE}/damaged")
        check_equal([k.partition("-")[2] for k in kept], [build], "damaged builds")
        check(f"{STORE}/damaged/{kept[0]}" in status["detail"] and "kernel-tree-missing" in status["detail"], status["detail"])
    check(f"{kept[0]}  damaged" in m.run("builds", "list").stdout, "builds list")
    check_equal(m.run("builds", "list", "--json").stdout.strip(), "[]", "they are no builds")
    check_equal(m.loaded(), [], "modules")


@story("the newest two damaged builds are kept")
def bounded(m):
    for name in ("20260101T000000Z-old", "20260102T000000Z-older-than-the-last"):
        os.makedirs(m.path(f"{STORE}/damaged/{name}"))
    d = m.start()
    d.wait_ready()
    d.stop()
    break_store(m)
    d = m.start("--set=Retry.DelaySec=10ms")
    d.wait_ready()
    kept = m.list(f"{STORE}/damaged")
    check_equal((len(kept), kept[0]), (2, "20260102T000000Z-older-than-the-last"), "damaged builds")
    wait_until(lambda: not m.staging(), "the oldest is removed")
    d.stop()


for _i, _name in enumerate(OUR_FILES):
    _harm = (flip, truncate, os.unlink)[_i % 3]
    story(f"{_name}: {_harm.__name__}")(lambda m, h=_harm, n=_name: damaged(m, h, n))


@story("one byte more")
def longer(m):
    damaged(m, grow, "nvidia.ko")


@story("manifest gone")
def no_manifest(m):
    damaged(m, os.unlink, "manifest.json", "ignoring this build")


@story("manifest truncated")
def half_manifest(m):
    damaged(m, lambda p: os.truncate(p, os.path.getsize(p) // 2), "manifest.json", "ignoring this build")


@story("manifest with another digit in its date: still JSON, and found all the same")
def other_manifest(m):
    def harm(path):
        with open(path, "r+b") as f:
            at = f.read().index(b'"created": "2') + 14
            f.seek(at)
            f.write(b"9")
    damaged(m, harm, "manifest.json", "it is not as it was written, ignoring this build")


@story("a file that is a link, a directory, a FIFO")
def kinds(m):
    d = m.start()
    d.wait_ready()
    d.stop()
    n = 1
    for make in (lambda p: os.symlink("nvidia-uvm.ko", p), os.mkdir, os.mkfifo):
        base = m.path(f"{STORE}/builds/{m.builds()[0]}/nvidia.ko")
        os.unlink(base)
        make(base)
        d = m.start("--set=Retry.DelaySec=10ms")
        d.wait_ready()
        n += 1
        check_equal(m.compiled(), n, "compiler runs")
        check("[build-damaged]" in d.log(), d.log())
        m.check_store(1)
        d.stop()
    m.check_gone()


main()
