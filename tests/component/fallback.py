#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The wanted driver cannot be built or loaded: the last one that worked is loaded, if there is one, and if it is the
driver that failed."""

import json
import os
import shutil
import signal

from failurechecks import failed
from harness import DRIVER, RELEASE, SOURCE, STORE, check, check_equal, main, story, wait_until

NEW = "535.999.02"
WANT = f"--set=Driver.Version={NEW}"
BROKEN = 'echo "nvidia/nv.c:1:2: error: no such thing"; exit 2\n'


def good_build(m):
    """One that worked, and the source of the next version."""
    d = m.start()
    d.wait_ready()
    wait_until(lambda: m.exists(f"{STORE}/good/{RELEASE}"), "it is marked as good")
    d.stop()
    target = SOURCE.replace(DRIVER, NEW)
    shutil.copytree(m.path(SOURCE), m.path(target))
    m.put(f"{target}/Kbuild", m.get(f"{target}/Kbuild").replace(DRIVER, NEW))
    return m.builds()[0]


def degraded(m, d, good, *words):
    d.wait_ready()
    d.wait_for(lambda: m.status()[1]["state"] == "degraded", "DEGRADED")
    s = m.status()[1]
    check_equal((s["code"], s["build"], s["driverWanted"], s["driverVersion"]), ("driver-fallback", good, NEW, DRIVER),
                "code, build, wanted and loaded version")
    for word in (f"Wanted is driver {NEW}, loaded is {DRIVER}", *words):
        check(word in s["detail"], f"{word!r} in {s['detail']!r}")
    check_equal(sorted(m.loaded()), ["nvidia", "nvidia_modeset", "nvidia_uvm"], "modules")
    p = m.run("status")
    check(NEW in p.stdout and DRIVER in p.stdout and "driver-fallback" in p.stdout, p.stdout)


@story("it does not compile: the last good one is loaded, DEGRADED with the first error; the next start has it")
def compile_fails(m):
    good = good_build(m)
    wanted = [WANT, "--set=Driver.Modules=nvidia nvidia-uvm nvidia-modeset"]
    p = m.run("plan", *wanted)
    check(f" Fallback: {good}\n" in p.stdout, p.stdout)
    check_equal(json.loads(m.run("plan", "--json", *wanted).stdout)["fallbackBuild"], good, "fallback in the plan")
    m.put("ctl/compile-hook", BROKEN)
    d = m.start(WANT)
    degraded(m, d, good, "compile-failed", "nvidia/nv.c:1:2: error: no such thing")
    check_equal(m.compiled(), 2, "compiler runs: it is not tried again and again")
    check("failed (compile-failed), falling back to the last build that worked" in d.log(), d.log())
    d.stop()
    m.check_gone()
    check_equal(m.get(f"{STORE}/good/{RELEASE}").strip(), good, "the last good build")
    os.unlink(m.path("ctl/compile-hook"))
    d = m.start(WANT)
    d.wait_ready()
    s = m.status()[1]
    check_equal((s["state"], s["driverVersion"], s["code"]), ("ready", NEW, "ok"), "state, version, code")
    d.stop()
    m.check_store(2)


@story("it does not load: tried as often as configured, then the last good one")
def load_fails(m):
    good = good_build(m)
    m.put("ctl/fail-insert-nvidia_uvm", f"5 {NEW}")
    d = m.start(WANT, "--set=Retry.Attempts=2", "--set=Retry.DelaySec=10ms")
    degraded(m, d, good, "load-failed", "nvidia-uvm: Input/output error")
    check_equal(m.compiled(), 2, "compiler runs")
    check_equal(m.helper_log()[-9:], ["insert nvidia", "insert nvidia_uvm", "delete nvidia"] * 2 +
                ["insert nvidia", "insert nvidia_uvm", "insert nvidia_modeset"], "helper runs")
    d.stop()
    m.check_gone()


@story("it is nowhere to be had: no build, no source")
def nowhere(m):
    good = good_build(m)
    shutil.rmtree(m.path(SOURCE.replace(DRIVER, NEW)))
    d = m.start(WANT)
    degraded(m, d, good, "driver-source-")
    d.stop()


@story("no build that worked, one for another kernel, Fallback=no: FAILED as ever, nothing is loaded")
def none(m):
    good = good_build(m)
    m.put("ctl/compile-hook", BROKEN)
    before = len(m.helper_log())
    failed(m, m.start(WANT, "--set=Driver.Fallback=no"), "compile-failed", 20, "no such thing")
    os.rename(m.path(f"{STORE}/good/{RELEASE}"), m.path(f"{STORE}/good/6.1.191-other"))
    failed(m, m.start(WANT), "compile-failed", 20, "no such thing")
    m.put(f"{STORE}/good/{RELEASE}", f"{good}-gone\n")
    failed(m, m.start(WANT), "compile-failed", 20, "no such thing")
    check_equal(m.helper_log()[before:], [], "helper runs")


@story("the last good build is damaged: set aside, FAILED with what failed first")
def damaged(m):
    good = good_build(m)
    m.put("ctl/compile-hook", BROKEN)
    path = m.path(f"{STORE}/builds/{good}/nvidia.ko")
    os.truncate(path, os.path.getsize(path) - 1)
    before = len(m.helper_log())
    d = m.start(WANT, "--set=Retry.DelaySec=10ms")
    failed(m, d, "compile-failed", 20, "no such thing", "The last build that worked could not be used")
    check("[build-damaged]" in d.log(), d.log())
    check_equal((m.helper_log()[before:], m.builds()), ([], []), "helper runs, builds")


@story("the machine's own failures are no reason: no GPU, a driver that is in use")
def machine(m):
    good_build(m)
    m.put("ctl/compile-hook", BROKEN)
    d = m.start()
    d.wait_ready()
    d.kill()
    m.put("sys/module/nvidia_uvm/refcnt", "1\n")
    d = m.start(WANT)
    d.wait_for(lambda: m.status()[1]["state"] == "busy", "BUSY")
    check("falling back" not in d.log(), d.log())
    check_equal(m.compiled(), 1, "compiler runs")
    m.put("sys/module/nvidia_uvm/refcnt", "0\n")
    d.send(signal.SIGTERM)
    d.wait()
    for name in os.listdir(m.path("sys/bus/pci/devices")):
        os.unlink(m.path(f"sys/bus/pci/devices/{name}"))
    shutil.rmtree(m.path("sys/module"))
    os.mkdir(m.path("sys/module"))
    failed(m, m.start(WANT), "no-gpu", 10)


@story("a reload: nothing happens while nothing has changed; with another configuration it is tried again")
def reload(m):
    good = good_build(m)
    m.put("ctl/compile-hook", BROKEN)
    conf = m.path("driverd.conf")
    m.put("driverd.conf", f"[Driver]\nVersion={NEW}\n")
    d = m.start(f"--config={conf}")
    degraded(m, d, good)
    os.unlink(m.path("ctl/compile-hook"))
    d.send(signal.SIGHUP)
    d.wait_log("The configuration was read again")
    check_equal((m.status()[1]["state"], m.compiled()), ("degraded", 2), "state, compiler runs")
    m.put("driverd.conf", f"[Driver]\nVersion={NEW}\n[Store]\nKeep=5\n")
    d.send(signal.SIGHUP)
    d.wait_ready(3)
    d.wait_for(lambda: m.status()[1]["state"] == "ready", "READY")
    check_equal((m.status()[1]["driverVersion"], m.status()[1]["code"], m.compiled()), (NEW, "ok", 3), "version, code, compiler runs")
    d.stop()
    m.check_gone()


main()
