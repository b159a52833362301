#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM in every state: how soon, how clean. What can be called back is called back at once, what the
kernel does is waited for, and in the end nothing is left."""

import os
import signal
import time

from harness import MODULES, SLACK, STORE, check, check_equal, main, note, story
from kernelsource import put_source


def stop(m, d, loaded=(), number=signal.SIGTERM):
    children = len(m.processes()) - 1
    took = d.stop(number)
    note(f"stopped in {1000 * took:.0f} ms with {children} processes below it")
    check_equal(d.sent("READY"), [], "READY")
    check_equal(len(d.sent("STOPPING")), 1, "STOPPING=1")
    check_equal(m.loaded(), list(loaded), "modules")
    m.check_gone()


@story("SIGTERM while preparing", tree=False)
def prepare(m):
    put_source(m)
    m.close("modules_prepare")
    d = m.start()
    m.wait_at("modules_prepare")
    stop(m, d)
    m.check_store(0)


@story("SIGTERM while compiling, with compilers that ignore it")
def compiling(m):
    # Four stubborn compilers below make, and one that left the process group's parent behind.
    m.put("ctl/compile-hook", "for i in 1 2 3 4; do (trap '' TERM INT; exec sleep 1000) & done\n")
    m.close("compile")
    d = m.start()
    m.wait_at("compile")
    check(len(m.processes()) >= 6, "make and its compilers run")
    stop(m, d)
    m.check_store(0)


@story("SIGINT while compiling")
def interrupt(m):
    m.close("compile")
    d = m.start()
    m.wait_at("compile")
    stop(m, d, number=signal.SIGINT)


@story("SIGTERM twice")
def twice(m):
    m.close("compile")
    d = m.start()
    m.wait_at("compile")
    d.send(signal.SIGTERM)
    stop(m, d)


@story("SIGTERM while linking")
def linking(m):
    m.hold_linker()
    d = m.start()
    d.wait_status("Linking")
    d.wait_for(lambda: any("ld -r" in words for _, words in m.processes()), "ld runs")
    stop(m, d)
    m.check_store(0)


@story("SIGTERM while publishing")
def publishing(m):
    m.close("publish")
    d = m.start()
    m.wait_at("publish")
    stop(m, d)
    m.check_store(0)


@story("SIGTERM while the build is verified before the load")
def verifying(m):
    m.close("verify")
    d = m.start()
    m.wait_at("verify")
    d.send(signal.SIGTERM)
    d.wait_log("Stopping: signal 15")
    m.open("verify")
    d.wait()
    check_equal((d.code, m.helper_log(), m.loaded()), (0, [], []), "exit status, helper runs, modules")
    m.check_gone()
    m.check_store(1)


@story("SIGTERM while the build is verified, and the disk hangs: nothing is in the kernel, so nothing is waited for")
def verifying_hangs(m):
    m.close("verify")
    d = m.start("--set=Stop.TimeoutSec=2s")
    m.wait_at("verify")
    took = d.stop()
    check(took < 2 + SLACK, f"took {took:.2f} s, the limit was 2 s")
    check_equal((d.code, m.helper_log(), m.loaded()), (0, [], []), "exit status, helper runs, modules")
    m.check_gone()
    m.check_store(1)


def put_unremovable(m):
    m.put("ctl/fail-discard", "26")
    m.put(f"{STORE}/staging/immutable/file", "")


def check_left(m, d, most=1, name="immutable"):
    """What cannot be removed is tried once (in each state that does it) and named."""
    check_equal(d.wait(), 0, "exit status")
    tried = [line for line in m.get("ctl/worker.log").splitlines() if line.startswith("discard ") and name in line]
    check(1 <= len(tried) <= most, f"attempts to remove it: {tried}")
    check_equal(d.log().count(f"staging/{name} could not be removed"), 1, d.log())
    check_equal(m.loaded(), [], "modules")


@story("SIGTERM while compiling, with something in staging that cannot be removed")
def unremovable_compiling(m):
    m.close("compile")
    d = m.start("--set=Stop.TimeoutSec=2s")
    m.wait_at("compile")
    put_unremovable(m)
    d.send(signal.SIGTERM)
    check_left(m, d)


@story("SIGTERM when ready, with something in staging that cannot be removed: the driver is unloaded")
def unremovable_ready(m):
    d = m.start("--set=Stop.TimeoutSec=2s")
    d.wait_ready()
    put_unremovable(m)
    d.send(signal.SIGTERM)
    check_left(m, d, most=2)  # READY removes leftovers, too


@story("SIGTERM with a child that does not end, not even when killed: the driver is unloaded, the child named")
def unkillable(m):
    d = m.start("--set=Stop.TimeoutSec=2s")
    d.wait_ready()
    # The stop's own child, which no signal reaches: as in D state, on a file system that is dead.
    m.put(f"{STORE}/staging/left/file", "")
    m.close("discard")
    began = time.monotonic()
    d.send(signal.SIGTERM)
    m.wait_at("discard")
    check_equal(d.wait(), 0, "exit status")
    took = time.monotonic() - began
    check(took < 2 + SLACK, f"took {took:.2f} s, the limit was 2 s")
    check("Stopping without waiting for fake-worker (process " in d.log(), d.log())
    check_equal(m.loaded(), [], "modules")


@story("SIGTERM while loading: the module that is in the kernel is waited for, no other is begun, then unload")
def loading(m):
    m.close("insert-nvidia_uvm")
    d = m.start()
    m.wait_at("insert-nvidia_uvm")
    d.send(signal.SIGTERM)
    d.wait_log("Stopping: signal 15")
    for _ in range(20):
        code, status = m.status()
        check_equal((code, status["state"]), (5, "loading"), "status while the stop waits for the kernel")
    check(d.alive(), "the daemon waits for the kernel")
    m.open("insert-nvidia_uvm")
    d.wait()
    check_equal(d.code, 0, "exit status")
    check_equal(m.helper_log(), ["insert nvidia", "insert nvidia_uvm", "delete nvidia_uvm", "delete nvidia"], "helper")
    check_equal((m.loaded(), d.sent("READY")), ([], []), "modules, READY")
    m.check_gone()
    m.check_store(1)


@story("SIGTERM while the kernel hangs in a load: ends at the deadline and says stuck")
def stuck(m):
    m.close("insert-nvidia")
    d = m.start("--set=Stop.TimeoutSec=1s")
    m.wait_at("insert-nvidia")
    began = time.monotonic()
    d.send(signal.SIGTERM)
    check_equal(d.wait(), 41, "exit status")
    took = time.monotonic() - began
    check(0.9 < took < 1 + SLACK, f"took {took:.2f} s, the limit was 1 s")
    check("does not return. Module nvidia, helper process" in d.log(), "the log names the module")
    check("[stuck]" in m.run("status").stdout, "so does the status afterwards")
    m.open("insert-nvidia")


@story("SIGTERM while waiting for device nodes")
def awaiting(m):
    d = m.start(modules=" ".join(MODULES))
    d.wait_status("Waiting for device nodes")
    stop(m, d)
    check_equal(m.helper_log()[4:], ["delete nvidia_drm", "delete nvidia_modeset", "delete nvidia_uvm", "delete nvidia"],
                "deletions")


@story("SIGTERM in backoff")
def backoff(m):
    m.put("ctl/fail-insert-nvidia", "5")
    d = m.start("--set=Retry.DelaySec=1h", "--set=Retry.MaxDelaySec=1h")
    d.wait_status("Backoff")
    stop(m, d)


@story("SIGTERM while unloading changes nothing: once is enough")
def unloading(m):
    d = m.start()
    d.wait_ready()
    m.close("delete-nvidia")
    d.send(signal.SIGTERM)
    m.wait_at("delete-nvidia")
    d.send(signal.SIGTERM)
    d.wait_log("Stopping: signal 15", 2)
    m.open("delete-nvidia")
    check_equal(d.wait(), 0, "exit status")
    check_equal(m.loaded(), [], "modules")
    m.check_gone()


@story("the GPU operator's ready files: gone when modules are loaded, at a stop, and with a driver in use; left for who adopts")
def ready_files(m):
    ours = ["run/nvidia/validations/.driver-ctr-ready", "run/nvidia/validations/.driver-daemons-status"]

    def put():
        m.put("run/nvidia/validations/driver-ready", "of the validator\n")
        for name in ours:
            m.put(name, "Ready\n")

    def left():
        check(m.exists("run/nvidia/validations/driver-ready"), "the validator's own file stays")
        return [name for name in ours if m.exists(name)]
    put()
    m.close("insert-nvidia")
    d = m.start("--set=Stop.TimeoutSec=500ms")
    m.wait_at("insert-nvidia")
    check_equal(left(), [], "while modules are loaded")
    m.open("insert-nvidia")
    d.wait_ready()
    put()
    d.kill()
    d = m.start("--set=Stop.TimeoutSec=500ms")
    d.wait_ready()
    check_equal(left(), ours, "adopted")
    m.put("sys/module/nvidia_uvm/refcnt", "1\n")
    d.send(signal.SIGTERM)
    check_equal(d.wait(), 40, "exit status")
    check_equal(left(), [], "with the driver in use")
    m.put("sys/module/nvidia_uvm/refcnt", "0\n")
    d = m.start()
    d.wait_ready()
    put()
    os.unlink(m.path(ours[0]))
    os.mkdir(m.path(ours[0]))
    m.close("delete-nvidia")
    d.send(signal.SIGTERM)
    m.wait_at("delete-nvidia")
    check_equal(left(), ours[:1], "before modules are unloaded")
    check(f"/{ours[0]} cannot be removed: Is a directory, ignoring." in d.log(), d.log())
    m.open("delete-nvidia")
    check_equal(d.wait(), 0, "exit status")


@story("SIGTERM with a driver in use: busy at the deadline, named, still loaded")
def busy(m):
    d = m.start("--set=Stop.TimeoutSec=1s")
    d.wait_ready()
    m.put("sys/module/nvidia_uvm/refcnt", "1\n")
    began = time.monotonic()
    d.send(signal.SIGTERM)
    check_equal(d.wait(), 40, "exit status")
    took = time.monotonic() - began
    check(took < 1 + SLACK, f"took {took:.2f} s, the limit was 1 s")
    check("nvidia_uvm (1 open)" in d.log(), "the log names who holds it")
    check("nvidia" in m.loaded() and "nvidia_uvm" in m.loaded(), f"the driver stays: {m.loaded()}")
    check(not m.exists("run/nvidia/nvidia-driver.pid"), "no pid file is left")
    p = m.run("status")
    check("[busy]" in p.stdout and "nvidia_uvm (1 open)" in p.stdout, p.stdout)
    # Whoever starts again takes over what was left.
    m.put("sys/module/nvidia_uvm/refcnt", "0\n")
    d = m.start()
    d.wait_ready()
    d.stop()
    check_equal(m.loaded(), [], "modules")
    m.check_gone()


main()
