#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong and how it is said: code, first error line, next step, exit status; and what of it is
tried again without leaving anything behind."""

import contextlib
import os
import signal
import subprocess
import time

from failurechecks import failed
from harness import MODULES, RELEASE, STORE, TREE, Skip, check, check_equal, main, note, story, wait_until

RESOURCES = 71
ERROR = "  CC [M]  $PWD/nvidia/nv-pci.o\\n$PWD/nvidia/nv-pci.c:42:9: error: implicit declaration of function " \
        "'pci_gone'\\nmake[2]: *** [x.o] Error 1"


@story("a driver that is too old for the kernel: code, first error line, kept log, exit status 29")
def compile_error(m):
    m.put("ctl/compile-hook", f'printf "{ERROR}\\n"; exit 2\n')
    d = m.start()
    failed(m, d, "driver-too-old", 29, "nvidia/nv-pci.c:42:9: error: implicit declaration", "failed-build.log")
    check_equal((m.compiled(), m.builds(), m.helper_log()), (1, [], []), "compiler runs, builds, helper runs")
    log = m.get(f"{STORE}/failed-build.log")
    check(log.startswith("+ ") and "+ make -C" in log and "error: implicit" in log, "commands and output in the log")
    # The next start begins anew and forgets the failure.
    os.unlink(m.path("ctl/compile-hook"))
    d = m.start()
    d.wait_ready()
    check_equal(m.status()[1]["code"], "ok", "code in the status")
    d.stop()
    m.check_gone()


@story("a compiler of a probe that is not installed is not why the driver does not compile", tree=False)
def probe(m):
    put_old_compiler(m)
    m.put("ctl/compile-hook", f'printf "{ERROR}\\n"; exit 2\n')
    d = m.start("--set=Build.IgnoreCompilerMismatch=yes")
    failed(m, d, "driver-too-old", 29, "First error: ", "nvidia/nv-pci.c:42:9: error: implicit declaration")
    log = m.get(f"{STORE}/failed-build.log")
    check("cannot execute none-such-gcc-77" in log, f"the probe failed, and is in the log of the build:\n{log}")


def put_old_compiler(m):
    """The kernel's compiler is not here; the first candidate is asked for, in vain."""
    m.put_tree(TREE)
    os.symlink(f"../../../{TREE}", m.path(f"lib/modules/{RELEASE}/build"))
    config = [x for x in m.get(f"{TREE}/.config").splitlines() if "CC_VERSION_TEXT" not in x]
    m.put(f"{TREE}/.config", "\n".join(config + ['CONFIG_CC_VERSION_TEXT="none-such-gcc-77 (Fixture) 77.1.0"', ""]))


@story("an optional tool that conftest misses does not hide the real error")
def optional_tool(m):
    m.put("ctl/compile-hook", f'echo "sh: 1: pahole: not found"; printf "{ERROR}\\n"; exit 2\n')
    failed(m, m.start(), "driver-too-old", 29, "First error: ", ": error: implicit declaration of function 'pci_gone'")
    check("First error: sh: 1: pahole" not in m.run("status").stdout, "the tool is not the first error")


@story("link error: code and the linker's words")
def link_error(m):
    m.put(f"{TREE}/scripts/module.lds", "SECTIONS { this is no script\n")
    failed(m, m.start(), "link-failed", 23, "Last line: ld:", "module.lds:1: syntax error")


@story("modules for another kernel are found before they are loaded")
def mismatch(m):
    from harness import compile_objects
    os.unlink(m.path("ctl/objects"))
    compile_objects(m.path("ctl/objects"), "6.1.191-other SMP mod_unload")
    failed(m, m.start(), "build-mismatch", 24, "release is 6.1.191-other, not 6.1.192-fixture")
    check_equal((m.builds(), m.helper_log()), ([], []), "builds, helper runs")


@story("no kernel tree, no driver source: named at once")
def inputs(m):
    import shutil
    shutil.rmtree(m.path("usr/src"))
    failed(m, m.start(), "driver-source-missing", 11)
    m.put_driver_source()
    failed(m, m.start(), "kernel-tree-missing", 14, "6.1.192-fixture")
    check_equal(m.compiled(), 0, "compiler runs")


@story("make that ends by a signal")
def signalled(m):
    m.put("ctl/compile-hook", "kill -SEGV $$\n")
    failed(m, m.start(), "compile-failed", 20)


@story("a build that takes too long is stopped, with all its children")
def too_long(m):
    m.put("ctl/compile-hook", "(trap '' TERM; exec sleep 1000) & sleep 1000\n")
    d = m.start("--set=Build.TimeoutSec=1s", "--set=Retry.Attempts=1")
    failed(m, d, "build-timeout", 27, "It was stopped after 1s.")


@story("the time that a build may take is one for all that it runs")
def too_long_together(m):
    m.put("ctl/compile-hook", "sleep 2\n")
    m.close("check")
    d = m.start("--set=Build.TimeoutSec=4s", "--set=Retry.Attempts=1")
    m.wait_at("check")
    time.sleep(3)
    m.open("check")
    failed(m, d, "build-timeout", 27, "It was stopped after 4s.")
    check_equal((m.compiled(), m.builds()), (1, []), "compiler runs, builds")


@story("a worker that is killed, or does not start: how it ended is said")
def worker_ends(m):
    m.close("check")
    d = m.start("--set=Retry.Attempts=1")
    m.wait_at("check")
    for pid, words in m.processes():
        if "fake-worker check" in words:
            os.kill(pid, signal.SIGKILL)
    failed(m, d, "out-of-memory", 21, "The worker ended by signal 9 (Killed).")
    m.open("check")
    os.makedirs(m.path("ctl/worker"))
    with open(m.path("ctl/worker/w"), "w", encoding="ascii") as f:
        f.write("#!/bin/sh\n[ \"$1\" != check ] || exit 127\nexec \"$REAL_WORKER\" \"$@\"\n")
        os.fchmod(f.fileno(), 0o755)
    d = m.start("--set=Retry.Attempts=1", env={"NVIDIA_DRIVERD_WORKER": m.path("ctl/worker/w")})
    failed(m, d, "internal", 70, "/ctl/worker/w cannot be executed.")


@story("a module that the kernel refuses: rolled back, tried again, then FAILED")
def refused(m):
    m.put("ctl/fail-insert-nvidia_uvm", "5")
    d = m.start("--set=Retry.Attempts=3", "--set=Retry.DelaySec=10ms")
    failed(m, d, "load-failed", 34, "nvidia-uvm: Input/output error")
    check_equal(m.helper_log(), ["insert nvidia", "insert nvidia_uvm", "delete nvidia"] * 3, "helper runs")
    check_equal((m.loaded(), m.compiled()), ([], 1), "modules, compiler runs")
    # Stages that are entered again are no progress.
    first = next(t for t, m_, _ in d.messages if m_.get("STATUS", "").startswith("Backoff"))
    check(not [x for t, x, _ in d.messages if t > first and "EXTEND_TIMEOUT_USEC" in x and "Compiling" in x["STATUS"]],
          "no extension for stages that are entered again")


@story("device nodes that do not come: rolled back, named, tried again, then FAILED", gpus=2)
def nodes(m):
    d = m.start("--set=Retry.Attempts=2", "--set=Retry.DelaySec=10ms", "--set=Load.DeviceTimeoutSec=200ms",
                modules=" ".join(MODULES))
    failed(m, d, "devices-missing", 35, "After 200ms still missing: card node of 0000:00:04.0, render node of 0000:00:04.0, "
           "card node of 0000:00:05.0")
    check_equal((m.loaded(), m.compiled()), ([], 1), "modules, compiler runs")


def settled(look):
    """What the machine goes on showing for half a second: a worker that tidies up may still be on its way out."""
    while True:
        seen = [look()]
        for _ in range(10):
            time.sleep(0.05)
            seen.append(look())
        if len(set(seen)) == 1:
            return seen[0]


@story("no file descriptor, process or staging directory is left by failed attempts")
def leaks(m):
    m.put("ctl/compile-hook", 'gate attempt; printf "cannot write: No space left on device\\n" >&2; exit 1\n')
    m.close("attempt")
    d = m.start("--set=Retry.Attempts=0", "--set=Retry.DelaySec=100ms", "--set=Retry.MaxDelaySec=100ms")
    counts, processes = [], []
    for n in range(6):
        d.wait_log("-> backoff", n)
        # All of them stand at the same place; what the last one used is given back soon.
        m.wait_at("attempt")
        wait_until(lambda: not counts or len(d.fds()) == counts[0], f"{counts} file descriptors, now {d.fds()}")
        wait_until(lambda: not processes or len(m.processes()) == processes[0], f"{processes} processes, now {m.processes()}")
        check_equal(len(m.staging()), 1, "staging directories")
        counts.append(settled(lambda: len(d.fds())))
        processes.append(settled(lambda: len(m.processes())))
        m.open("attempt")
        m.close("attempt")
    note(f"file descriptors in each attempt: {counts}, processes: {processes}")
    d.stop()
    m.check_gone()


@contextlib.contextmanager
def small_disk(m, name, size):
    os.makedirs(m.path(name))
    p = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", m.path(name)], capture_output=True,
                       text=True, check=False)
    if p.returncode:
        raise Skip(f"no tmpfs can be mounted: {p.stderr.strip()}")
    try:
        yield
    finally:
        for x in m.daemons:
            x.end()
        m.daemons = []
        subprocess.run(["umount", "-l", m.path(name)], check=True)


@story("full disk: no-space, backoff, nothing half made; READY when there is space")
def full(m):
    with small_disk(m, STORE, "1M"):
        m.put("ctl/compile-hook", "[ -e $ctl/enough ] || dd if=/dev/zero of=big bs=64k count=100\n")
        d = m.start("--set=Retry.DelaySec=300ms", "--set=Retry.MaxDelaySec=300ms", "--set=Retry.Attempts=0")
        d.wait_log("-> backoff", 3)
        check("[no-space]" in d.log() and "No space left on device" in d.log(), d.log())
        code, status = m.status()
        check(code in (5, 22), f"exit status {code}")
        check(status["state"] in ("backoff", "compiling", "checking"), status["state"])
        check_equal(m.builds(), [], "builds")
        m.put("ctl/enough", "")
        d.wait_ready()
        m.check_store(1)
        d.stop()
        m.check_gone()


@story("full disk from the first byte")
def full_first(m):
    with small_disk(m, STORE, "64k"):
        with contextlib.suppress(OSError):
            with open(m.path(f"{STORE}/filler"), "wb") as f:
                while True:
                    f.write(b"x" * 4096)
        d = m.start("--set=Retry.DelaySec=100ms", "--set=Retry.MaxDelaySec=100ms", "--set=Retry.Attempts=0")
        d.wait_log("-> backoff", 2)
        check("[no-space]" in d.log(), d.log())
        os.unlink(m.path(f"{STORE}/filler"))
        subprocess.run(["mount", "-o", "remount,size=4M", m.path(STORE)], check=True)
        d.wait_ready()
        d.stop()
        m.check_gone()


@story("/run is full at the start: an end that the service manager starts again, and then READY")
def run_full(m):
    with small_disk(m, "run/nvidia", "4k"):
        with contextlib.suppress(OSError), open(m.path("run/nvidia/filler"), "wb") as f:
            f.write(b"x" * 65536)
        d = m.start()
        check_equal(d.wait(), RESOURCES, f"exit status\n{d.log()}")
        check("No space left on device" in d.log(), d.log())
        subprocess.run(["mount", "-o", "remount,size=1M", m.path("run/nvidia")], check=True)
        d = m.start()
        d.wait_ready()
        d.stop()


@story("a store that cannot be written: store-failed")
def readonly(m):
    with small_disk(m, STORE, "1M"):
        subprocess.run(["mount", "-o", "remount,ro", m.path(STORE)], check=True)
        d = m.start("--set=Retry.DelaySec=10ms", "--set=Retry.Attempts=2")
        check_equal(d.wait(), 26, "exit status")
        check("[store-failed]" in d.log() and "Read-only file system" in d.log(), d.log())


main()
