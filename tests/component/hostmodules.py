#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the kernel's own modules are: on a host in /lib/modules, in a container where somebody mounted them, or below process 1's root."""

import os
import shutil
import subprocess

from harness import RELEASE, VERMAGIC, check, check_equal, main, story
from failurechecks import failed

ENOENT = 2
LIB = f"lib/modules/{RELEASE}"
PLACES = [f"usr/lib/modules/{RELEASE}", f"usr/lib64/modules/{RELEASE}", f"proc/1/root/lib/modules/{RELEASE}",
          f"proc/1/root/usr/lib/modules/{RELEASE}"]


def clear(m):
    """What Docker leaves in the container: the directory of a mount that the host has nothing for."""
    os.unlink(m.path(f"{LIB}/modules.dep"))
    shutil.rmtree(m.path(f"{LIB}/kernel"))


def module(path, vermagic):
    text = f'static const char i[] __attribute__((section(".modinfo"), used)) = "name=video\\0vermagic={vermagic} ";'
    subprocess.run(["gcc", "-w", "-x", "c", "-c", "-o", path, "-"], input=text, text=True, check=True)


def plan(m):
    p = m.run("plan")
    return p.stdout + p.stderr


@story("a symbol is missing and no module of the kernel is to be found: the failure names the places and what helps")
def no_tree(m):
    clear(m)
    m.put("ctl/fail-insert-nvidia", str(ENOENT))
    failed(m, m.start("--set=Retry.Attempts=1"), "load-symbols", 33, "/usr/lib64/modules", "/proc/1/root", "--pid=host")


@story("a symbol is missing although the kernel's modules are in one of the places: nothing is said about them")
def tree(m):
    clear(m)
    m.put(f"{PLACES[1]}/modules.dep", "kernel/video.ko:\n")
    m.copy(m.path("ctl/objects/video.ko"), f"{PLACES[1]}/kernel/video.ko")
    m.put("ctl/fail-insert-nvidia", str(ENOENT))
    d = m.start("--set=Retry.Attempts=1")
    failed(m, d, "load-symbols", 33)
    check("--pid=host" not in d.log(), d.log())


@story("the vermagic that this kernel wants is read from its modules wherever they are")
def vermagic(m):
    m.start().wait_ready()
    m.daemons[-1].stop()
    clear(m)
    before = plan(m)
    for place in PLACES:
        m.put(f"{place}/modules.dep", "kernel/video.ko:\n")
        os.makedirs(m.path(f"{place}/kernel"))
        module(m.path(f"{place}/kernel/video.ko"), f"{VERMAGIC} modversions")
        check(plan(m) != before and "vermagic" in plan(m), f"{place}: the build is for another vermagic:\n{plan(m)}")
        module(m.path(f"{place}/kernel/video.ko"), "5.0.0-other SMP")
        check_equal(plan(m), before, f"{place} with modules of another kernel")
        shutil.rmtree(m.path(place))


@story("a damaged module of the host ends no program: the others tell what this kernel wants")
def damaged(m):
    whole = m.path("ctl/objects/video.ko")
    for cut in (0, 3, 20):
        m.copy(whole, f"{LIB}/kernel/video.ko")
        os.truncate(m.path(f"{LIB}/kernel/video.ko"), cut)
        p = m.run("plan")
        check(p.returncode >= 0 and "Plan:" in p.stdout, f"cut to {cut} bytes: {p.returncode}, {p.stderr}")
    d = m.start()
    d.wait_ready()
    d.stop()


@story("the worker that loads the host's modules does not claim that the kernel lacks one that it could not look for")
def worker(m):
    p = subprocess.run([os.environ["NVIDIA_WORKER"], "probe", "5.0.0-nowhere", "no_such_module"], capture_output=True,
                       text=True, check=False)
    check_equal(p.returncode, 0, p.stderr)
    detail = [x for x in p.stdout.splitlines() if x.startswith("detail=")]
    check_equal(len(detail), 1, "details")
    for text in ("no_such_module", "5.0.0-nowhere", "/usr/lib64/modules", "/proc/1/root", "--pid=host"):
        check(text in detail[0], detail[0])
    check("module=no_such_module" in p.stdout, p.stdout)


main()
