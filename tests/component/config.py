#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mistakes in the configuration, said as FILE:LINE, and reloading it."""

import json
import os
import signal

from harness import SLACK, check, check_equal, main, note, story

CONF = "etc/nvidia-driverd/driverd.conf"
DROPIN = "etc/nvidia-driverd/driverd.conf.d/10-site.conf"


@story("mistakes cost their line and nothing else; file, line and what was expected are said")
def mistakes(m):
    m.put(CONF, "[Driver]\nModule=nvidia\nType=closed\n\n[Buidl]\nJobs=2\n\n[Build]\n  Jobs=4\nJobs=many\nDebugInfo=yes\n")
    m.put(DROPIN, "[Retry]\nAttempts=-1\nDelaySec=" + "1" * 3000 + "\n")
    d = m.start()
    d.wait_ready()
    log = d.log()
    for line, what in ((2, "Module="), (3, "Type=closed"), (6, "[Buidl]"), (9, "indent"), (10, "Jobs=many")):
        check(any(f"{CONF}:{line}: " in x and what in x for x in log.splitlines()), f"line {line}, {what}:\n{log}")
    check(f"{DROPIN}:2: Attempts=-1" in log, f"line 2 of the drop-in:\n{log}")
    check(f"{DROPIN}:3: " in log, f"line 3 of the drop-in, too long:\n{log}")
    check(f"{CONF}:11: " not in log, "the good line is taken")
    base = f"var/lib/nvidia-driverd/builds/{m.builds()[0]}"
    check_equal(json.loads(m.get(f"{base}/manifest.json"))["debugInfo"], True, "DebugInfo=yes of line 11")
    p = m.run("plan")
    check(f"{CONF}:2: " in p.stderr and f"{DROPIN}:2: " in p.stderr, f"nvidia-driver says them too:\n{p.stderr}")
    check(any(f"{CONF}:2: " in x for x in m.status()[1]["problems"]), "and the status")
    d.stop()


@story("on the command line a mistake is fatal: exit status 2")
def command_line(m):
    for text in ("Build.Jobs=many", "Build.Job=1", "nonsense"):
        d = m.start(f"--set={text}")
        check_equal(d.wait(), 2, f"exit status for --set={text}")
        check(f"--set={text}" in d.log(), d.log())
    check_equal((m.compiled(), m.helper_log()), (0, []), "compiled and loaded")
    m.check_gone()


@story("a file named on the command line that is not there: exit status 78")
def no_file(m):
    d = m.start("--config=/etc/nowhere.conf")
    check_equal(d.wait(), 78, "exit status")
    check("/etc/nowhere.conf" in d.log(), d.log())
    m.check_gone()


@story("a bad environment variable is said and ignored")
def environment(m):
    d = m.start(env={"MAX_THREADS": "lots"})
    d.wait_ready()
    check("environment variable MAX_THREADS=lots: " in d.log(), d.log())
    d.stop()


@story("the configuration decides: DRIVER_VERSION of another version is refused")
def version(m):
    d = m.start(env={"DRIVER_VERSION": "550.54.14"})
    check_equal(d.wait(), 13, "exit status")
    check("535.999.01" in d.log() and "550.54.14" in d.log(), d.log())


@story("SIGHUP when ready: RELOADING=1 with its time, the files are read again, READY=1")
def reload(m):
    d = m.start()
    d.wait_ready()
    check_equal(d.log().count("driverd.conf:2"), 0, "problems at the start")
    m.put(CONF, "[Stop]\nTimeoutSec=soon\n")
    d.send(signal.SIGHUP)
    d.wait_ready(2)
    keys = [k for _, _, ks in d.messages for k in ks if k in ("READY", "RELOADING", "MONOTONIC_USEC")]
    check_equal(keys, ["READY", "RELOADING", "MONOTONIC_USEC", "READY"], "messages")
    usec = int(d.sent("MONOTONIC_USEC")[0][1])
    check(d.started * 1e6 < usec <= d.sent("RELOADING")[0][0] * 1e6, "MONOTONIC_USEC is that of the reload")
    d.wait_log(f"{CONF}:2: TimeoutSec=soon")
    check(any(f"{CONF}:2: " in x for x in m.status()[1]["problems"]), "the new problem is in the status")
    check_equal((m.status()[1]["state"], m.compiled(), len(m.helper_log())), ("ready", 1, 3), "the driver is left alone")
    d.stop()
    m.check_gone()


@story("SIGHUP: the new values count")
def reload_counts(m):
    import time
    m.put(CONF, "[Stop]\nTimeoutSec=10min\n")
    m.defaults = []  # the file has to count
    d = m.start()
    d.wait_ready()
    m.put(CONF, "[Stop]\nTimeoutSec=300ms\n")
    d.send(signal.SIGHUP)
    d.wait_ready(2)
    m.put("sys/module/nvidia_uvm/refcnt", "1\n")
    began = time.monotonic()
    d.send(signal.SIGTERM)
    check_equal(d.wait(), 40, "exit status: busy")
    took = time.monotonic() - began
    note(f"gave up after {took:.2f} s")
    check(took < 0.3 + SLACK, f"{took:.2f} s; 10 min was the old value, 300 ms is the new one")


@story("SIGHUP when the file is gone: the old values stay, and the file is named")
def reload_gone(m):
    m.put("etc/mine.conf", "[Driver]\nVersion=535\n")
    d = m.start("--config=/etc/mine.conf")
    d.wait_ready()
    os.unlink(m.path("etc/mine.conf"))
    d.send(signal.SIGHUP)
    d.wait_ready(2)
    d.wait_log("The configuration /etc/mine.conf cannot be read: No such file or directory, keeping the old one.")
    check_equal((m.status()[1]["state"], m.status()[1]["driverWanted"]), ("ready", "535"), "state and wanted version")
    d.stop()
    m.check_gone()


@story("SIGHUP while compiling neither reloads nor lies about being ready")
def reload_early(m):
    m.close("compile")
    d = m.start()
    m.wait_at("compile")
    d.send(signal.SIGHUP)
    d.wait_log("ignoring the reload")
    check_equal((d.sent("READY"), d.sent("RELOADING")), ([], []), "READY, RELOADING")
    m.open("compile")
    d.wait_ready()
    check_equal(m.compiled(), 1, "compiler runs")
    d.stop()


main()
