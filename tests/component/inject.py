#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One call of the system fails, once, anywhere in a daemon's life: warm start, READY, SIGTERM. However it goes, the
driver is never left half unloaded, the end is never one that nobody tries again, and there is an end.

The calls are a sample that changes with each run. INJECT_SEED= repeats one, INJECT_SEC= makes it longer."""

import collections
import contextlib
import os
import random
import re
import shutil
import tempfile
import time

from harness import PATIENCE, STORE, Failed, Skip, check, check_equal, main, note, story, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))

# Every one that fails in practice, and how.
FAULTS = {
    "clone,clone3,fork,vfork": "EAGAIN",
    "pipe2": "EMFILE",
    "pidfd_open": "EMFILE",
    "epoll_create1": "EMFILE",
    "epoll_ctl": "ENOMEM",
    "timerfd_create": "EMFILE",
    "signalfd4": "ENOMEM",
    "socket": "EMFILE",
    "openat": "EMFILE",
    "openat2": "EMFILE",
    "getdents64": "EIO",
    "read": "EIO",
    "mkdirat": "ENOSPC",
    "renameat,renameat2": "ENOSPC",
}

MODULES = ["nvidia", "nvidia_modeset", "nvidia_uvm"]

# Statuses of codes that are tried again, as far as they can come of this. "internal" (70) is none: all of this passes.
RESTARTED = (22, 26, 34, 35, 36, 40, 42, 55, 71)

QUICK = ("--set=Retry.DelaySec=100ms", "--set=Retry.MaxDelaySec=100ms", "--set=Retry.Attempts=3")


@contextlib.contextmanager
def injected(options):
    real = os.environ["NVIDIA_DRIVERD"]
    os.environ["NVIDIA_DRIVERD"] = os.path.join(HERE, "inject-strace")
    try:
        yield {"INJECT": options, "INJECT_PROGRAM": real, "ASAN_OPTIONS": "detect_leaks=0"}
    finally:
        os.environ["NVIDIA_DRIVERD"] = real


def start(m, options):
    with injected(options) as env:
        return m.start(*QUICK, env=env)


def live(m, options):
    """A whole life; returns how it ended: (exit status, whether it was ready)."""
    return finish(m, start(m, options), options)


def finish(m, d, options):
    ready = "Done, now waiting for signal"
    wait_until(lambda: not d.alive() or ready in d.log(), f"READY, or the end, with {options}", PATIENCE)
    was_ready = ready in d.log()
    if d.alive():
        d.send(15)
    d.wait(PATIENCE)
    return d, was_ready


def count_calls(m):
    """How often each is called after main() began, and how often before: the loader's calls are not ours."""
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as out:
        names = ",".join(FAULTS)
        d, ready = live(m, f"-o {out.name} -e trace={names},rt_sigprocmask")
        check_equal((d.code, ready), (0, True), "exit status and READY without a fault")
        wait_until(lambda: "exited with" in open(out.name, encoding="utf-8").read(), "strace has written all of it")
        before, after = collections.Counter(), collections.Counter()
        begun = False
        for line in out:
            begun = begun or ("rt_sigprocmask(SIG_BLOCK" in line and "TERM" in line and "HUP" in line)
            name = re.match(r"\w+", line)
            if name:
                (after if begun else before)[name.group()] += 1
    check(begun, "main() was seen to begin")
    return before, after


def check_end(m, d, was_ready, what):
    modules = sorted(m.loaded())
    check(modules in ([], MODULES), f"{what}: {modules} are left, exit status {d.code}\n{d.log()}")
    check(d.code == 0 or d.code in RESTARTED, f"{what}: exit status {d.code} is for ever\n{d.log()}")
    if d.code == 0:
        check(was_ready and modules == [], f"{what}: exit status 0, ready: {was_ready}, modules: {modules}\n{d.log()}")


def put_right(m):
    """What the service manager does: the next one adopts, or loads, and stops as ever."""
    d = m.start()
    d.wait_ready()
    d.stop()
    check_equal(m.loaded(), [], "modules after the next daemon's stop")


@story("a call of the system fails, once: never a driver in part, never an end for ever")
def calls(m):
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    put_right(m)
    before, after = count_calls(m)
    points = [(names, error, name, before[name] + n) for names, error in FAULTS.items() for name in names.split(",")
              for n in range(1, after[name] + 1)]
    seed = int(os.environ.get("INJECT_SEED", random.randrange(1 << 32)))
    note(f"INJECT_SEED={seed}; {len(points)} calls: {dict(after)}")
    # A rare kind of call counts as much as one that is made thousands of times.
    rng = random.Random(seed)
    rng.shuffle(points)
    rank = collections.Counter()
    order = []
    for p in points:
        rank[p[2]] += 1
        order.append((rank[p[2]], rng.random(), p))
    deadline = time.monotonic() + float(os.environ.get("INJECT_SEC", "40"))
    ends = collections.Counter()
    failures = []
    for _, _, (_, error, name, n) in sorted(order):
        if time.monotonic() > deadline:
            break
        what = f"{name} #{n} {error}"
        d, was_ready = live(m, f"-o /dev/null -e trace={name} -e inject={name}:error={error}:when={n}")
        ends[(d.code, was_ready)] += 1
        try:
            check_end(m, d, was_ready, what)
        except Failed as e:
            failures.append(str(e))
        if d.code != 0 or m.loaded():
            put_right(m)
    note("exit status, was ready: how often: " + ", ".join(f"{k}: {v}" for k, v in sorted(ends.items())))
    check(not failures, "\n".join(failures))


@story("an allocation fails, once: never a driver in part, never an end for ever")
def allocations(m):
    if "NVIDIA_DRIVERD_INJECT" not in os.environ:
        raise Skip("NVIDIA_DRIVERD_INJECT is not set")
    put_right(m)
    real, os.environ["NVIDIA_DRIVERD"] = os.environ["NVIDIA_DRIVERD"], os.environ["NVIDIA_DRIVERD_INJECT"]
    count = m.path("ctl/allocations")

    def live_with(n):
        return finish(m, m.start(*QUICK, env={"INJECT_ALLOCATION": str(n), "INJECT_COUNT": count}), f"allocation {n}")
    try:
        d, ready = live_with(0)
        check_equal((d.code, ready), (0, True), "exit status and READY without a fault")
        total = int(m.get("ctl/allocations"))
        seed = int(os.environ.get("INJECT_SEED", random.randrange(1 << 32)))
        note(f"INJECT_SEED={seed}; {total} allocations")
        rng = random.Random(seed)
        deadline = time.monotonic() + float(os.environ.get("INJECT_SEC", "30"))
        ends = collections.Counter()
        failures = []
        while time.monotonic() < deadline:
            n = rng.randint(1, total)
            d, ready = live_with(n)
            ends[(d.code, ready)] += 1
            try:
                check_end(m, d, ready, f"allocation {n}")
            except Failed as e:
                failures.append(str(e))
            if d.code != 0 or m.loaded():
                os.environ["NVIDIA_DRIVERD"] = real
                put_right(m)
                os.environ["NVIDIA_DRIVERD"] = os.environ["NVIDIA_DRIVERD_INJECT"]
    finally:
        os.environ["NVIDIA_DRIVERD"] = real
    note("exit status, was ready: how often: " + ", ".join(f"{k}: {v}" for k, v in sorted(ends.items())))
    check(not failures, "\n".join(failures))


@story("a helper of the stop cannot be started at first: all of the driver is unloaded")
def at_the_stop(m):
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    put_right(m)
    before, after = count_calls(m)
    # The very last one only removes device nodes.
    for name, back in (("clone", 1), ("pipe2", 2), ("pidfd_open", 3)):
        n = before[name] + after[name] - back
        error = "EAGAIN" if name == "clone" else FAULTS[name]
        d, was_ready = live(m, f"-o /dev/null -e trace={name} -e inject={name}:error={error}:when={n}")
        check_equal((d.code, was_ready, m.loaded()), (0, True, []), f"{name} #{n}: exit status, READY, modules")
        check("trying again" in d.log(), f"{name} #{n}: the log says so\n{d.log()}")


@story("errors that a campaign found: each is one that passes")
def found(m):
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    put_right(m)
    manifest = m.path(f"{STORE}/builds/{m.builds()[0]}/manifest.json")
    # The root itself; the build's manifest, for the plan and again for the load; what the loop itself reads.
    points = [(m.root, "openat", "EMFILE", 1, 71), *[(manifest, "read", "EIO", n, 0) for n in range(1, 7)],
              *[(f"anon_inode:{loop}", "read", "EIO", n, 0) for loop in ("[timerfd]", "[signalfd]", "inotify") for n in range(1, 5)]]
    for path, name, error, n, code in points:
        what = f"{name} #{n} of {os.path.basename(path)} {error}"
        d, was_ready = live(m, f"-o /dev/null -P {path} -e trace={name} -e inject={name}:error={error}:when={n}")
        note(f"{what}: {d.code}")
        check_equal(d.code, code, f"{what}: exit status\n{d.log()}")
        check_end(m, d, was_ready, what)


@story("/run is mounted read-only: the start fails for now, not for ever")
def run_unusable(m):
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    d = start(m, "-o /dev/null -e trace=mkdirat -e inject=mkdirat:error=EROFS:when=1+")
    check_equal(d.wait(), 71, "exit status")


main()
