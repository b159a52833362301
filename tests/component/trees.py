#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prepared kernel trees that are kept in the store: the next build takes neither the source nor the time. One that is not what it
was, or that was made of something else than what is there now, is found out before anything is compiled in it."""

import contextlib
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import time

from harness import RELEASE, STORE, check, check_equal, main, note, story, wait_until
from kernelsource import BUILD, KERNEL, put_source

SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))
TREES = f"{STORE}/trees"


def put(m, dirty=False):
    base = put_source(m, dirty=dirty)
    # What a build needs of a kernel beyond what the fixture's own rules look at.
    m.put(f"{KERNEL}/arch/x86/Makefile", "# arch\n")
    m.put(f"{KERNEL}/arch/x86/kernel/head.S", "/* not kept */\n")
    m.put(f"{KERNEL}/include/linux/deep/er/x.h", "/* x */\n")
    m.put(f"{KERNEL}/scripts/tool.sh", "#!/bin/sh\n", 0o755)
    os.symlink("tool.sh", m.path(f"{KERNEL}/scripts/link.sh"))
    m.put("etc/secret", "secret\n", 0o600)
    os.symlink(m.path("etc/secret"), m.path(f"{KERNEL}/scripts/secret"))
    os.symlink("../../init", m.path(f"{KERNEL}/scripts/directory"))
    return base


def build(m, *arguments, code=0):
    p = m.run("build", *arguments)
    check_equal(p.returncode, code, f"exit status, after {p.stderr}")
    return p.stderr


def kept(m):
    return m.list(TREES) if m.exists(TREES) else []


def one(m):
    check_equal(len(kept(m)), 1, f"kept trees: {kept(m)}")
    return f"{TREES}/{kept(m)[0]}"


def forget_builds(m):
    shutil.rmtree(m.path(f"{STORE}/builds"))


def forget_source(m):
    """No source, and none of the things that may stand beside a kernel."""
    shutil.rmtree(m.path(KERNEL))
    if m.exists(BUILD):
        shutil.rmtree(m.path(BUILD))
    os.unlink(m.path(f"lib/modules/{RELEASE}/build"))


def prepared(text):
    return "preparing: done" in text


@story("prepared once, then built without source: what is kept and what is not", tree=False)
def again(m):
    put(m)
    before = m.tree_hash(KERNEL)
    text = build(m)
    check(prepared(text) and "The prepared kernel tree is kept as " in text, text)
    check("scripts/secret leads out of the kernel source, it is not kept" in text, text)
    check_equal(m.tree_hash(KERNEL), before, "the source is as it was")
    tree = one(m) + "/tree"
    for name in (".config", "Module.symvers", "Makefile", "include/generated/autoconf.h", "include/linux/module.h",
                 "include/linux/deep/er/x.h", "scripts/Makefile.build", "scripts/module.lds", "scripts/mod/modpost",
                 "scripts/link.sh", "arch/x86/Makefile"):
        check(m.exists(f"{tree}/{name}"), f"{name} is kept: {m.list(tree)}")
        check(not os.path.islink(m.path(f"{tree}/{name}")), f"{name} is a file of its own")
    for name in ("init/main.c", "drivers", "scripts/secret", "scripts/directory", "arch/x86/kernel/head.S", "source"):
        check(not os.path.lexists(m.path(f"{tree}/{name}")), f"{name} is not kept")
    check(os.access(m.path(f"{tree}/scripts/mod/modpost"), os.X_OK), "programs can be run")
    check_equal(m.get(f"{tree}/Makefile"), m.get(f"{KERNEL}/Makefile"), "the Makefile is the source's")

    forget_source(m)
    forget_builds(m)
    d = m.start()
    d.wait_ready()
    check("Preparing" not in d.texts(), f"STATUS: {d.texts()}")
    check("\nchecktree " in m.get("ctl/worker.log"), "it was verified")
    m.check_store(1)
    d.stop()
    m.check_gone()
    one(m)


@story("a dirty source is kept from its cleaned copy", tree=False)
def dirty(m):
    put(m, dirty=True)
    m.put(f"{KERNEL}/include/generated/stale.h", "/* of another kernel */\n")
    build(m)
    check(not m.exists(one(m) + "/tree/include/generated/stale.h"), "nothing of the earlier build")
    check(m.exists(one(m) + "/tree/include/linux/deep/er/x.h"), "headers, that were links")
    shutil.rmtree(m.path(KERNEL))
    os.unlink(m.path(f"lib/modules/{RELEASE}/build"))
    forget_builds(m)
    check(not prepared(build(m)), "built in the kept one")


def flip(path):
    with open(path, "r+b") as f:
        byte = f.read(1)
        f.seek(0)
        f.write(bytes([byte[0] ^ 1]))


def cut(path):
    os.truncate(path, os.path.getsize(path) // 2)


def make_link(path):
    os.rename(path, path + "-x")
    os.symlink(os.path.basename(path) + "-x", path)


def make_fifo(path):
    os.unlink(path)
    os.mkfifo(path)


DAMAGES = {
    "tree/scripts/module.lds is not as it was kept": lambda t: flip(f"{t}/tree/scripts/module.lds"),
    "tree/Makefile is not as it was kept": lambda t: cut(f"{t}/tree/Makefile"),
    "tree/include/linux/deep/er/x.h is not as it was kept": lambda t: os.unlink(f"{t}/tree/include/linux/deep/er/x.h"),
    "tree/scripts/mod/modpost is not as it was kept": lambda t: os.chmod(f"{t}/tree/scripts/mod/modpost", 0o644),
    "tree/scripts/Makefile.build is not as it was kept": lambda t: make_fifo(f"{t}/tree/scripts/Makefile.build"),
    "tree/scripts/tool.sh is not as it was kept": lambda t: make_link(f"{t}/tree/scripts/tool.sh"),
    "it has ": lambda t: open(f"{t}/tree/include/linux/foreign.h", "w", encoding="ascii").close(),
    "the list of its files is damaged": lambda t: flip(f"{t}/files"),
    "the list of its files is damaged ": lambda t: os.unlink(f"{t}/files"),
    "what it was made of cannot be read": lambda t: cut(f"{t}/origin"),
    "what it was made of cannot be read ": lambda t: os.unlink(f"{t}/origin"),
}


@story("damaged, each file and each text: set aside before a compiler runs, prepared anew", tree=False)
def damaged(m):
    put(m)
    build(m)
    for sentence, damage in DAMAGES.items():
        damage(m.path(one(m)))
        compiled = m.compiled()
        text = build(m)
        words = sentence.strip().removeprefix("tree/")
        check("Kept kernel tree: " in text and words in text, f"{words!r} in {text}")
        check(prepared(text), f"prepared anew: {text}")
        check_equal(m.compiled(), compiled + 1, "compiler runs")
        one(m)
    check_equal(m.staging(), [], "staging")


@story("damaged, and there is no source any more: told, and the tree is what is missing", tree=False)
def damaged_alone(m):
    put(m)
    build(m)
    forget_source(m)
    forget_builds(m)
    flip(m.path(one(m) + "/tree/Makefile"))
    d = m.start()
    check_equal(d.wait(), 14, f"exit status, after {d.log()}")
    check("Makefile is not as it was kept, not building in it." in d.log() and "[kernel-tree-missing]" in d.log(), d.log())
    check_equal(kept(m), [], "kept trees")


@story("one bad tree does not hide a good one of another kernel, and what is no tree is left alone", tree=False)
def others(m):
    put(m)
    build(m)
    good = one(m)
    m.put(f"{TREES}/{RELEASE}-0000000000ab/origin", "nonsense\n")
    m.put(f"{TREES}/README", "hello\n")
    text = build(m)
    check(not prepared(text), text)
    check(m.exists(good) and m.exists(f"{TREES}/README"), f"{m.list(TREES)}")


def make_loop(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    os.symlink(os.path.basename(path), path)


def make_directory(path):
    if os.path.lexists(path):
        os.unlink(path)
    os.makedirs(path)


# What cannot even be looked at: the search itself stumbles over it, long before anybody verifies.
UNREADABLE = {"tree": make_loop, "tree/Makefile": make_loop, "tree/.config": make_loop, "tree/Makefile ": make_directory,
              "tree/include/generated/utsrelease.h": make_directory}


@story("one that cannot be read does not hide a good one", tree=False)
def unreadable_beside(m):
    put(m)
    build(m)
    good = one(m)
    for name, damage in UNREADABLE.items():
        other = f"{TREES}/{RELEASE}-0000000000ab"
        os.makedirs(os.path.dirname(m.path(f"{other}/{name.strip()}")))
        damage(m.path(f"{other}/{name.strip()}"))
        text = build(m)
        check(not prepared(text) and m.exists(good), f"{name}: {text}")
        shutil.rmtree(m.path(other))


@story("the only one cannot be read: set aside, told, prepared anew, and a daemon does so too", tree=False)
def unreadable_alone(m):
    put(m)
    build(m)
    for name, damage in UNREADABLE.items():
        damage(m.path(f"{one(m)}/{name.strip()}"))
        text = build(m)
        check("Kept kernel tree: " in text and "not building in it." in text and prepared(text), f"{name}: {text}")
        one(m)
    check_equal(m.staging(), [], "staging")
    make_loop(m.path(one(m) + "/tree/Makefile"))
    forget_builds(m)
    d = m.start()
    d.wait_ready()
    check("Makefile is not as it was kept, not building in it." in d.log(), d.log())
    d.stop()
    one(m)


@story("made of a configuration, symbols or a source that have changed: not built in, made anew", tree=False)
def changed(m):
    base = put(m)
    build(m)
    for name, change in ((f"{base}/.config", "CONFIG_EPSILON=y\n"), (f"{base}/Module.symvers", "0x2\ta\tvmlinux\tEXPORT_SYMBOL\t\n"),
                         (f"{KERNEL}/Makefile", "# patched\n")):
        first = one(m)
        m.put(name, m.get(name) + change)
        text = build(m)
        check(f"/{name} has changed since, not building in it." in text or "has changed since, not building in it." in text, text)
        check(prepared(text), text)
        check(one(m) != first, "another one is kept now")


def put_running(m, more=""):
    """The kernel that runs has its configuration with it, as one that was built anew under the same name has."""
    with open(m.path("proc/config.gz"), "wb") as f:
        f.write(gzip.compress((m.get("configuration") + more).encode(), mtime=0))


@story("made of the running kernel's own configuration: another kernel's says nothing of it", tree=False)
def running(m):
    put(m)
    os.rename(m.path(f"{BUILD}/.config"), m.path("configuration"))
    os.makedirs(m.path("boot"), exist_ok=True)
    with gzip.open(m.path(f"boot/symvers-{RELEASE}.gz"), "wb") as f:
        f.write(m.get(f"{BUILD}/Module.symvers").encode())
    shutil.rmtree(m.path(BUILD))
    os.unlink(m.path(f"lib/modules/{RELEASE}/build"))
    put_running(m)
    check(prepared(build(m)), "prepared")
    check(not prepared(build(m)), "the same kernel")
    put_running(m, "CONFIG_EPSILON=y\n")
    m.put("proc/sys/kernel/osrelease", "6.1.999-other\n")  # booted meanwhile
    text = build(m, f"--kernel={RELEASE}")
    check(not prepared(text), text)
    m.put("proc/sys/kernel/osrelease", f"{RELEASE}\n")
    text = build(m)
    check("/proc/config.gz has changed since, not building in it." in text and prepared(text), text)


@story("a tree that is asked for by name is not replaced by one that came of another", tree=False)
def named(m):
    put(m)
    build(m)
    shutil.copytree(m.path(KERNEL), m.path("srv/linux"), symlinks=True)
    check(prepared(build(m, "--set=Kernel.Tree=/srv/linux")), "prepared")
    check(not prepared(build(m, "--set=Kernel.Tree=/srv/linux")), "the kept one is of that")


@story("KeepTrees=no: none is made, none is used, and what is there goes", tree=False)
def unwanted(m):
    put(m)
    build(m, "--set=Store.KeepTrees=no")
    check_equal(kept(m), [], "kept trees")
    build(m)
    one(m)
    check(prepared(build(m, "--set=Store.KeepTrees=no")), "prepared")
    p = m.run("builds", "gc", "--dry-run", "--set=Store.KeepTrees=no")
    check("would be removed" in p.stdout, p.stdout)
    one(m)
    p = m.run("builds", "gc", "--set=Store.KeepTrees=no")
    check_equal((p.returncode, kept(m)), (0, []), p.stderr)


def listed(m):
    p = m.run("builds", "list")
    check_equal((p.returncode, p.stderr), (0, ""), "builds list")
    return [x.split("  ") for x in p.stdout.splitlines() if "  kernel tree  " in x]


@story("builds list: what it is of, whether anybody needs it, and one that is damaged; JSON has builds only", tree=False)
def in_list(m):
    put(m)
    check_equal(listed(m), [], "before the first")
    build(m)
    name = os.path.basename(one(m))
    row = [name, "kernel tree", f"kernel {RELEASE}", f"of /lib/modules/{RELEASE}/build", "0 MB"]
    check_equal(listed(m), [row], "kept trees")
    check_equal([x["id"] for x in json.loads(m.run("builds", "list", "--json").stdout)], m.builds(), "builds")
    forget_builds(m)
    check_equal(listed(m), [row + ["no longer needed"]], "without builds")
    cut(m.path(f"{TREES}/{name}/origin"))
    check_equal(listed(m), [[name, "kernel tree", "damaged", "no longer needed"]], "damaged")


@story("gc: it stays as long as a build for its kernel is there", tree=False)
def collected(m):
    put(m)
    build(m)
    check_equal(m.run("builds", "gc").returncode, 0, "gc")
    one(m)
    p = m.run("builds", "verify")
    check_equal(p.returncode, 0, p.stdout + p.stderr)
    forget_builds(m)
    p = m.run("builds", "gc")
    check("removed" in p.stdout, p.stdout)
    check_equal(kept(m) + m.staging(), [], "what is left")


@story("it is not removed while somebody builds in it", tree=False)
def in_use(m):
    put(m)
    build(m)
    m.close("compile")
    with subprocess.Popen([os.environ["NVIDIA_DRIVER"], f"--root={m.root}", "build"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=m.environment()) as p:
        deadline = time.monotonic() + 60
        while not m.exists("ctl/at-compile") and time.monotonic() < deadline:
            time.sleep(0.01)
        q = m.run("builds", "gc", "--set=Store.KeepTrees=no")
        check("in use" in q.stdout, q.stdout + q.stderr)
        one(m)
        m.open("compile")
        check_equal(p.wait(60), 0, "exit status of the build")
    check_equal(m.run("builds", "gc", "--set=Store.KeepTrees=no").returncode, 0, "gc")
    check_equal(kept(m), [], "kept trees")


@story("it cannot be kept: the build is good all the same", tree=False)
def not_kept(m):
    put(m)
    m.put(f"{KERNEL}/scripts/a name", "x\n")
    text = build(m)
    check("is not kept, ignoring: " in text and "the file 'scripts/a name' has a name that cannot be listed" in text, text)
    m.check_store(1)
    os.unlink(m.path(f"{KERNEL}/scripts/a name"))
    m.put(TREES, "a file\n")
    text = build(m)
    check("is not kept, ignoring: " in text, text)
    check_equal(m.staging() + kept_processes(m), [], "staging and processes")


def kept_processes(m):
    return m.processes()


def keep_runs(m):
    return m.get("ctl/worker.log").count("\nkeeptree ") if m.exists("ctl/worker.log") else 0


def kill_all(m, p):
    p.kill()
    p.wait()
    for _ in range(2):  # who was started by one that is killed now
        for pid, _words in m.processes():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not m.processes(), "all are gone")


def build_killed(m, delay):
    """A build that is killed @delay seconds after keeping began; without one, when it has been published. Returns how long
    keeping had."""
    runs = keep_runs(m)
    with subprocess.Popen([os.environ["NVIDIA_DRIVER"], f"--root={m.root}", "build"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=m.environment()) as p:
        wait_until(lambda: keep_runs(m) > runs, "it is being kept")
        began = time.monotonic()
        if delay is None:
            wait_until(lambda: kept(m), "it is kept")
        else:
            time.sleep(delay)
        took = time.monotonic() - began
        kill_all(m, p)
    return took


@story("killed 8 times while it is kept: no tree or a whole one, and the next build is good", tree=False)
def killed(m):
    rng = random.Random(SEED)
    note(f"SEED={SEED}")
    put(m)
    for i in range(300):
        m.put(f"{KERNEL}/include/linux/many/{i}.h", f"/* {i} */\n" * 200)
    left, took = [], None
    for i in range(8):
        for directory in (TREES, f"{STORE}/builds"):
            shutil.rmtree(m.path(directory), ignore_errors=True)
        # The first two see both ends: published just now, and hardly begun. The others see what is between.
        delay = None if i == 0 else 0 if i == 1 else rng.uniform(0, 1.3 * took)
        lasted = build_killed(m, delay)
        took = took or lasted
        left.append(len(kept(m)))
        text = build(m)
        check("Kept kernel tree: " not in text, f"no half one: {text}")
        check_equal(prepared(text), not left[-1], "prepared, if there was no tree")
        one(m)
        check_equal(m.staging(), [], "staging")
    note(f"keeping took {took:.2f} s, trees that were left: {left}")
    check(set(left) == {0, 1}, f"killed before and after the rename: {left}")


main()
