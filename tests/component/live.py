#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The driver that is loaded already: adopted as it is, left when it has to stay, waited for when it is in use."""

import contextlib
import os
import re
import subprocess
import threading
import time

from harness import DRIVER, MODULES, SLACK, check, check_equal, main, note, put_driver, story

FOUR = [name.replace("-", "_") for name in MODULES]


def put_module(m, name, state="live", refcnt=0, version=DRIVER):
    """A module as the kernel shows it; without a state it is built in, without a count it can never go."""
    m.put(f"sys/module/{name}/version", f"{version}\n")
    if state:
        m.put(f"sys/module/{name}/initstate", f"{state}\n")
        m.put(f"sys/module/{name}/holders/.keep", "")
    if refcnt is not None:
        m.put(f"sys/module/{name}/refcnt", f"{refcnt}\n")


@story("adoption says how long it took")
def adopted(m):
    d = m.start()
    d.wait_ready()
    d.kill()
    d = m.start()
    d.wait_ready()
    # Written right after READY is told.
    d.wait_log(" ms of processor time")
    took = re.search(r"Adopted in ([0-9.]+) ms, with ([0-9.]+) ms of processor time", d.log())
    check(took, "the log tells how long the adoption took")
    note(f"{took[0]} with sanitizers")
    check(0 < float(took[1]) < 10000, took[0])
    d.stop()


@story("a driver that is built in, and one that this kernel cannot unload: adopted, and never touched")
def for_ever(m):
    for state, refcnt, text in ((None, None, "built into the kernel"), ("live", None, "cannot unload")):
        for name in FOUR[:3]:
            put_module(m, name, state, refcnt)
        put_driver(m.root)
        d = m.start()
        d.wait_ready()
        check(text in d.log(), text)
        code, status = m.status()
        check_equal((code, status["state"], status["foreign"]), (0, "ready", True), "status")
        d.stop()
        check("left as it was found" in d.log(), "that it is left is said")
        check_equal((m.loaded(), m.helper_log()), (sorted(FOUR[:3]), []), "modules, helper runs")


@story("a module that somebody else is loading: waited for, STUCK when its time is over, READY when it is there")
def coming(m):
    put_module(m, "nvidia", "coming")
    d = m.start("--set=Load.TimeoutSec=1s")
    d.wait_log("does not return. Module nvidia has been coming for")
    code, status = m.status()
    check_equal((code, status["state"], status["code"]), (41, "stuck", "stuck"), "status")
    check(status["detail"].startswith("Module nvidia has been coming for"), status["detail"])
    check(any(t.startswith("Stuck: ") for t in d.texts()), "STATUS= tells")
    m.put("sys/module/nvidia/initstate", "live\n")
    d.wait_ready()
    check_equal(d.log().count("has been coming for"), 1, "how often it was said")
    check_equal(m.helper_log(), ["insert nvidia", "insert nvidia_uvm", "insert nvidia_modeset"], "helper runs")
    d.stop()
    check_equal(m.loaded(), ["nvidia"], "modules: nvidia was not ours")


@story("a module that somebody else is loading when a stop comes: ends in time, nothing of ours is in the kernel")
def coming_stop(m):
    put_module(m, "nvidia", "coming")
    d = m.start("--set=Stop.TimeoutSec=500ms")
    d.wait_for(lambda: m.helper_log(), "the insert")
    d.send(15)
    check_equal(d.wait(10), 0, "exit status")
    check_equal(m.get("sys/module/nvidia/initstate"), "coming\n", "the module, which is not ours")


def put_rider(m, name, on, holders=()):
    """A module that somebody else loads on top of ours."""
    m.put_module(name, len(holders), holders)
    for used in on:
        os.symlink(f"../../{name}", m.path(f"sys/module/{used}/holders/{name}"))
        m.put(f"sys/module/{used}/refcnt", f"{int(m.get(f'sys/module/{used}/refcnt')) + 1}\n")


def open_node(m, pid, command, node, module, **more):
    m.put_process(pid, command, {3: node}, **more)
    m.put(f"sys/module/{module}/refcnt", f"{int(m.get(f'sys/module/{module}/refcnt')) + 1}\n")


def close_node(m, pid, module):
    m.end_process(pid)
    m.put(f"sys/module/{module}/refcnt", f"{int(m.get(f'sys/module/{module}/refcnt')) - 1}\n")


def ready(m, *arguments):
    """READY, and nobody on the machine but init."""
    m.put_process(1, "systemd", {0: "/dev/null"}, cgroup="0::/init.scope\n")
    m.put("proc/self/cgroup", "0::/system.slice/nvidia-driverd.service\n")
    d = m.start(*arguments)
    d.wait_ready()
    return d


def stop(d, code, limit):
    """SIGTERM, and the decision within the limit, and what a busy machine may add. How long the process then
    takes to go is the sanitizers' affair."""
    began = time.monotonic()
    d.send(15)
    check_equal(d.wait(), code, "exit status")
    decided = d.messages[-1][0] - began
    note(f"decided in {1000 * decided:.0f} ms, gone in {1000 * (time.monotonic() - began):.0f} ms")
    check(decided < limit + SLACK, f"it took {decided:.2f} s to stop, the limit is {limit} s")


def deletions(m):
    return [line.split()[1] for line in m.helper_log() if line.startswith("delete")]


@story("stop with a driver in use: the holders are named, nvidia_drm goes, the rest stays whole")
def leave(m):
    d = ready(m, "--set=Stop.TimeoutSec=1500ms")
    put_rider(m, "nvidia_drm", ["nvidia", "nvidia_modeset"])
    open_node(m, 4711, "trainer", "/dev/nvidiactl", "nvidia", cgroup="0::/system.slice/docker-" + "a" * 64 + ".scope\n")
    stop(d, 40, 1.5)
    log = d.log()
    check("The driver is in use by trainer[4711] of uid 0 (container:aaaaaaaaaaaa, /dev/nvidiactl fd 3)." in log, "the holder is named")
    check("Could not unload NVIDIA driver kernel modules, driver is in use nvidia (1 open), in use by trainer[4711]" in log,
          "and in the reason")
    check_equal(deletions(m), ["nvidia_drm"], "deletions")
    check_equal(m.loaded(), ["nvidia", "nvidia_modeset", "nvidia_uvm"], "modules")
    check(not m.exists("run/nvidia/nvidia-driver.pid"), "the pid file is gone")
    check("trainer[4711]" in m.run("status").stdout, "the status tells it afterwards")
    # When the holder has gone the next start takes over what is there, and its stop is clean.
    close_node(m, 4711, "nvidia")
    d = m.start()
    d.wait_ready()
    check("Adopting" in d.log(), "adopted")
    d.stop()
    check_equal(m.loaded(), [], "modules")


@story("stop with a driver in use, and they let go in time")
def leave_in_time(m):
    d = ready(m)
    open_node(m, 4711, "trainer", "/dev/nvidia-uvm", "nvidia_uvm")
    d.send(15)
    d.wait_log("in use by trainer[4711]")
    d.wait_status("Waiting for trainer[4711] to let go of the driver")
    code, status = m.status()
    check_equal((code, status["state"], [(h["pid"], h["node"]) for h in status["holders"]], status["holdingProcesses"]),
                (5, "unloading", [(4711, "/dev/nvidia-uvm")], 1), "status")
    check("  Held by: trainer[4711] of uid 0 (/dev/nvidia-uvm fd 3)" in m.run("status").stdout, "text status")
    check_equal(deletions(m), [], "deletions: the driver is whole for those who use it")
    close_node(m, 4711, "nvidia_uvm")
    check_equal(d.wait(), 0, "exit status")
    check_equal(m.loaded(), [], "modules")
    m.check_gone()


@story("who holds it is not found out in time: the deadline holds")
def no_answer(m):
    d = ready(m, "--set=Stop.TimeoutSec=1s")
    open_node(m, 4711, "trainer", "/dev/nvidiactl", "nvidia")
    m.close("holders")
    stop(d, 40, 1.0)
    check("nvidia (1 open), by whom could not be found out" in d.log(), "that it is not known is said")
    m.open("holders")


@story("in use, and nobody can be seen")
def nobody(m):
    d = ready(m, "--set=Stop.TimeoutSec=6s")  # enough for a search on a busy machine
    m.put("sys/module/nvidia_uvm/refcnt", "2\n")
    stop(d, 40, 6.0)
    check("nvidia_uvm (2 open), but no process that can be seen from here has a node of it open" in d.log(), "it is said")


@story("Policy=wait: for as long as they take, without asking the service manager for time")
def wait(m):
    d = ready(m, "--set=Stop.TimeoutSec=500ms", "--set=Stop.Policy=wait")
    open_node(m, 4711, "trainer", "/dev/nvidiactl", "nvidia")
    d.send(15)
    d.wait_status("Waiting for trainer[4711]")
    began = len(d.messages)
    time.sleep(1.5)  # three times the limit that does not count
    check(d.alive(), "it waits")
    check_equal([x for x in d.messages[began:] if "EXTEND_TIMEOUT_USEC" in x[1]], [], "extensions")
    code, status = m.status()
    check_equal((code, status["state"]), (5, "unloading"), "status")
    close_node(m, 4711, "nvidia")
    check_equal(d.wait(), 0, "exit status")
    check_equal(m.loaded(), [], "modules")


@contextlib.contextmanager
def program(m, script, start=None, cgroup="0::/user.slice\n"):
    """A process that can be signalled, in the machine's /proc as a holder of nvidiactl until it ends."""
    with subprocess.Popen(["sh", "-c", script + "; echo ready; exec 1>&-; while :; do sleep 0.05; done"], stdout=subprocess.PIPE) as p:
        p.stdout.read(6)
        with open(f"/proc/{p.pid}/stat", encoding="utf-8") as f:
            real = int(f.read().rpartition(")")[2].split()[19])
        open_node(m, p.pid, "trainer", "/dev/nvidiactl", "nvidia", start=start or real, cgroup=cgroup)

        def reap():
            p.wait()
            close_node(m, p.pid, "nvidia")
        threading.Thread(target=reap, daemon=True).start()
        try:
            yield p
        finally:
            p.kill()


@story("Policy=evict: asked to end, and the driver goes")
def evict(m):
    d = ready(m, "--set=Stop.Policy=evict")
    with program(m, "trap 'exit 7' TERM") as p:
        stop(d, 0, 4.0)
        check_equal(p.wait(), 7, "exit status of the holder: it was asked, not killed")
    check(f"trainer[{p.pid}] holds the driver: asked it to end." in d.log(), "it is said")
    check_equal(m.loaded(), [], "modules")


@story("Policy=evict: one that does not end is named after its grace, and lives")
def evict_stubborn(m):
    d = ready(m, "--set=Stop.Policy=evict", "--set=Stop.GraceSec=1s")
    with program(m, "trap '' TERM") as p:
        stop(d, 40, 4.0)
        check_equal(p.poll(), None, "the holder lives")
        check(f"in use by trainer[{p.pid}]" in d.log(), "it is named")


@story("Policy=evict, Kill=yes: one that does not end is killed")
def evict_kill(m):
    d = ready(m, "--set=Stop.Policy=evict", "--set=Stop.GraceSec=500ms", "--set=Stop.Kill=yes")
    with program(m, "trap '' TERM") as p:
        stop(d, 0, 5.0)
        check_equal(p.wait(), -9, "exit status of the holder")
        check(f"trainer[{p.pid}] holds the driver and did not end: killed." in d.log(), "it is said")
    check_equal(m.loaded(), [], "modules")


@story("Policy=evict: whoever has the pid of a holder by now, or belongs to us, is not signalled")
def evict_nobody_else(m):
    options = ("--set=Stop.Policy=evict", "--set=Stop.GraceSec=300ms", "--set=Stop.Kill=yes", "--set=Stop.TimeoutSec=2s")
    d = ready(m, *options)
    with program(m, ":", start=1) as innocent, program(m, ":", cgroup="0::/system.slice/nvidia-driverd.service\n") as ours:
        stop(d, 40, 2.0)
        check_equal((innocent.poll(), ours.poll()), (None, None), "both live")
        check(f"trainer[{ours.pid}] is left alone: it belongs to this service." in d.log(), "one is spared")


@story("modules of others on top of ours: known ones go with the driver, unknown ones are named and left")
def riders(m):
    d = ready(m, "--set=Stop.TimeoutSec=1s")
    put_rider(m, "nvidia_peermem", ["nvidia"])
    put_rider(m, "gdrdrv", ["nvidia"])
    put_rider(m, "stranger", ["nvidia_uvm"])
    stop(d, 40, 1.0)
    check("nvidia_uvm (held by module stranger)" in d.log(), "the stranger is named")
    check_equal(deletions(m), [], "deletions")
    os.unlink(m.path("sys/module/nvidia_uvm/holders/stranger"))
    m.put("sys/module/nvidia_uvm/refcnt", "0\n")
    d = m.start()
    d.wait_ready()
    check_equal(m.status()[1]["foreign"], False, "foreign")
    stop(d, 0, 4.0)
    check_equal(m.loaded(), ["stranger"], "modules")
    check_equal(deletions(m), ["nvidia_peermem", "gdrdrv", "nvidia_modeset", "nvidia_uvm", "nvidia"], "deletions")
    check("Module gdrdrv goes with the driver, whoever loaded it." in d.log(), "it is said")


@story("a kernel that refuses what looks free, and a module that is on its way for ever: both end at the deadline")
def bounded(m):
    d = ready(m, "--set=Stop.TimeoutSec=1s")
    m.put("ctl/fail-delete-nvidia_modeset", "11")
    stop(d, 40, 1.0)
    os.unlink(m.path("ctl/fail-delete-nvidia_modeset"))
    d = m.start("--set=Stop.TimeoutSec=1s")
    d.wait_ready()
    m.put("sys/module/nvidia_uvm/initstate", "going\n")
    stop(d, 41, 1.3)
    check("Module nvidia_uvm has been going for" in d.log(), "it is named")


def another_version(m):
    """A driver of ours that is not the wanted one."""
    d = ready(m)
    d.kill()
    m.put("sys/module/nvidia/version", "470.256.02\n")


@story("another version of ours is loaded and in use: BUSY, named; replaced by itself when they have gone")
def replace(m):
    another_version(m)
    open_node(m, 4711, "trainer", "/dev/nvidiactl", "nvidia")
    d = m.start("--set=Retry.DelaySec=1h", "--set=Retry.MaxDelaySec=1h")
    d.wait_status("Busy: the driver has to go and is in use by trainer[4711]")
    code, status = m.status()
    check_equal((code, status["state"], status["code"], len(status["holders"])), (40, "busy", "busy", 1), "status")
    check("nvidia (1 open), in use by trainer[4711]" in status["detail"], status["detail"])
    check_equal(deletions(m), [], "deletions")
    close_node(m, 4711, "nvidia")
    began = time.monotonic()
    d.wait_ready()
    note(f"READY {time.monotonic() - began:.1f} s after the last one left")
    check_equal(deletions(m), ["nvidia_modeset", "nvidia_uvm", "nvidia"], "deletions")
    check_equal(m.status()[1]["holders"], [], "holders when ready")
    check(m.get("sys/module/nvidia/version").strip() == DRIVER, "the wanted version is loaded")
    d.stop()


@story("another version of ours is loaded, and idle: replaced at once")
def replace_idle(m):
    another_version(m)
    d = m.start()
    d.wait_ready()
    check("busy" not in d.log(), "nobody is waited for")
    check_equal(m.get("sys/module/nvidia/version").strip(), DRIVER, "version")
    d.stop()


@story("stop in BUSY, and stop while it is found out who holds it")
def stop_busy(m):
    another_version(m)
    open_node(m, 4711, "trainer", "/dev/nvidiactl", "nvidia")
    d = m.start("--set=Stop.TimeoutSec=1s")
    d.wait_status("Busy: ")
    stop(d, 40, 1.0)
    m.close("holders")
    d = m.start("--set=Stop.TimeoutSec=1s")
    m.wait_at("holders")
    check_equal(m.status()[1]["state"], "clearing", "state")
    stop(d, 40, 2.0)
    m.open("holders")
    check_equal(deletions(m), [], "deletions")


@story("killed while it waits for a holder: the next one waits on")
def killed(m):
    d = ready(m)
    open_node(m, 4711, "trainer", "/dev/nvidiactl", "nvidia")
    d.send(15)
    d.wait_log("in use by trainer[4711]")
    d.kill()
    close_node(m, 4711, "nvidia")
    d = m.start()
    d.wait_ready()
    d.stop()
    check_equal(m.loaded(), [], "modules: they were ours all along")
    m.check_gone()


main()
