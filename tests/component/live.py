#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The driver that is loaded already: adopted as it is, left when it has to stay, waited for when it is in use."""

import re

from harness import DRIVER, MODULES, check, check_equal, main, note, story

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
    took = re.search(r"Adopted in ([0-9.]+) ms\.", d.log())
    check(took, "the log tells how long the adoption took")
    note(f"{took[0]} with sanitizers")
    check(0 < float(took[1]) < 10000, took[0])
    d.stop()


@story("a driver that is built in, and one that this kernel cannot unload: adopted, and never touched")
def for_ever(m):
    for state, refcnt, text in ((None, None, "built into the kernel"), ("live", None, "cannot unload")):
        for name in FOUR[:3]:
            put_module(m, name, state, refcnt)
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
    d = m.start("--set=Load.TimeoutSec=300ms")
    d.wait_log("does not return. Module nvidia has been coming for")
    code, status = m.status()
    check_equal((code, status["state"], status["code"]), (41, "stuck", "stuck"), "status")
    check(status["detail"].startswith("Module nvidia has been coming for"), status["detail"])
    check(any(t.startswith("Stuck: ") for t in d.texts()), "STATUS= tells")
    m.put("sys/module/nvidia/initstate", "live\n")
    d.wait_ready()
    check_equal(d.log().count("does not return"), 1, "how often it was said")
    check_equal(m.helper_log(), ["insert nvidia", "insert nvidia_uvm", "insert nvidia_modeset"], "helper runs")
    d.stop()
    check_equal(m.loaded(), ["nvidia"], "modules: nvidia was not ours")


@story("a module that somebody else is loading when a stop comes: ends in time, as stuck")
def coming_stop(m):
    put_module(m, "nvidia", "coming")
    d = m.start("--set=Stop.TimeoutSec=500ms")
    d.wait_for(lambda: m.helper_log(), "the insert")
    d.send(15)
    check_equal(d.wait(10), 41, "exit status")
    check("Module nvidia has been coming for" in d.log(), "the module is named")


main()
