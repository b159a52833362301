#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""After a stop that found the driver in use: nvidia-driver unload, and a status that looks at who uses it now."""

import os
import subprocess

from harness import STORE, check, check_equal, main, put_driver, story, wait_until

WISH = "--set=Driver.Modules=nvidia nvidia-uvm nvidia-modeset"


def hold(m, pid, node="/dev/nvidiactl", module="nvidia"):
    m.put_process(pid, f"trainer{pid}", {3: node})
    m.put(f"sys/module/{module}/refcnt", f"{int(m.get(f'sys/module/{module}/refcnt')) + 1}\n")


def let_go(m, pid, module="nvidia"):
    m.end_process(pid)
    m.put(f"sys/module/{module}/refcnt", f"{int(m.get(f'sys/module/{module}/refcnt')) - 1}\n")


def busy_stop(m):
    """A service that has ended, and a driver that is still loaded."""
    m.put_process(1, "systemd", {0: "/dev/null"}, cgroup="0::/init.scope\n")
    m.put("proc/self/cgroup", "0::/user.slice\n")
    d = m.start("--set=Stop.TimeoutSec=500ms")
    d.wait_ready()
    hold(m, 4711)
    d.send(15)
    check_equal(d.wait(), 40, "exit status of the stop")
    return d


class Unload:
    """nvidia-driver unload beside the story."""

    def __init__(self, m, *arguments):
        self.m = m
        with open(m.path("ctl/unload.log"), "wb") as log:
            self.process = subprocess.Popen([os.environ["NVIDIA_DRIVER"], f"--root={m.root}", "unload", *arguments], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, env=m.environment())
        m.daemons.append(self)

    def log(self):
        return self.m.get("ctl/unload.log")

    def end(self):
        self.process.kill()
        self.process.wait()


@story("status after a busy stop: when it was, who uses the driver now, and what to do next")
def status(m):
    busy_stop(m)
    let_go(m, 4711)
    code, found = m.status()
    check_equal((code, found["state"], found["code"], found["holders"], found["holdingProcesses"]), (3, "failed", "busy", [], 0), "status")
    check(found["sinceUSec"] > 0, "when it failed")
    check("nvidia (1 open)" in found["detail"], found["detail"])
    check("nvidia-driver unload --wait" in m.run("status").stdout, "the next step")
    hold(m, 4712, "/dev/nvidia-uvm", "nvidia_uvm")
    check_equal([(h["pid"], h["node"]) for h in m.status()[1]["holders"]], [(4712, "/dev/nvidia-uvm")], "holders now")


@story("unload: what the stop had to leave goes, with its record and the reason of the failure")
def unload(m):
    busy_stop(m)
    p = m.run("unload", "--set=Stop.TimeoutSec=500ms")
    check_equal(p.returncode, 40, f"exit status while it is in use: {p.stderr}")
    check("nvidia (1 open)" in p.stderr, p.stderr)
    check_equal(m.loaded(), ["nvidia", "nvidia_modeset", "nvidia_uvm"], "modules")
    let_go(m, 4711)
    p = m.run("unload")
    check_equal(p.returncode, 0, f"exit status: {p.stderr}")
    check_equal([x.split()[1] for x in m.helper_log() if x.startswith("delete")], ["nvidia_modeset", "nvidia_uvm", "nvidia"], "order")
    check_equal((m.loaded(), m.exists("run/nvidia/nvidia-driver.loaded")), ([], False), "modules and record")
    m.check_gone()
    check_equal(m.status()[1]["state"], "not-running", "state")
    check_equal(m.run("unload").returncode, 0, "exit status without a driver")


@story("unload --wait: until they have gone; Ctrl-C ends the waiting, not the driver")
def wait(m):
    busy_stop(m)
    u = Unload(m, "--wait")
    wait_until(lambda: "in use by trainer4711[4711]" in u.log(), "the holder is named")
    check_equal(m.run("unload").returncode, 1, "exit status of a second one: one at a time")
    u.process.send_signal(2)
    check_equal(u.process.wait(60), 40, f"exit status after the interrupt: {u.log()}")
    check_equal(m.loaded(), ["nvidia", "nvidia_modeset", "nvidia_uvm"], "modules")
    u = Unload(m, "--wait")
    wait_until(lambda: "in use by trainer4711[4711]" in u.log(), "the holder is named")
    let_go(m, 4711)
    check_equal(u.process.wait(60), 0, f"exit status: {u.log()}")
    check_equal(m.loaded(), [], "modules")


@story("unload --evict: those who hold it are asked to end")
def evict(m):
    busy_stop(m)
    let_go(m, 4711)
    with subprocess.Popen(["sleep", "600"]) as p:
        with open(f"/proc/{p.pid}/stat", encoding="utf-8") as f:
            start = int(f.read().rpartition(")")[2].split()[19])
        m.put_process(p.pid, "trainer", {3: "/dev/nvidiactl"}, start=start, cgroup="0::/elsewhere\n")
        m.put("sys/module/nvidia/refcnt", "3\n")
        u = Unload(m, "--evict", "--wait=10min")
        try:
            check_equal(p.wait(60), -15, "how the holder ended")
        finally:
            p.kill()
        let_go(m, p.pid)
    check_equal(u.process.wait(60), 0, f"exit status: {u.log()}")
    check_equal(m.loaded(), [], "modules")


@story("a service that runs, and a driver of somebody else: refused, nothing is touched")
def refused(m):
    d = m.start()
    d.wait_ready()
    p = m.run("unload")
    check_equal(p.returncode, 1, "exit status")
    check("systemctl stop" in p.stderr, p.stderr)
    check_equal(m.loaded(), ["nvidia", "nvidia_modeset", "nvidia_uvm"], "modules")
    d.stop()
    m.put_module("nvidia")
    put_driver(m.root)
    done = len(m.helper_log())
    p = m.run("unload")
    check_equal((p.returncode, m.loaded(), m.helper_log()[done:]), (43, ["nvidia"], []), "exit status, modules, what was done")
    check(not m.exists(f"{STORE}/staging") or m.staging() == [], "staging")


main()
