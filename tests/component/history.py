#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What nvidia-driver history tells afterwards: it survives daemons, kills and damage."""

import json
import os
import signal

from harness import BOOT_ID, STORE, check, check_equal, main, story


def entries(m):
    p = m.run("history", "--json")
    check_equal(p.returncode, 0, f"exit status, {p.stderr}")
    return [json.loads(line) for line in p.stdout.splitlines()], p.stderr


def states(found):
    # The driver's own nodes are waited for only if they come later than its modules.
    return [e["state"] for e in found if e["event"] == "state" and e["state"] != "awaiting-devices"]


@story("a run from its start to its end, with the time that each state took")
def run(m):
    check_equal(m.run("history").stdout, "", "before the first run")
    m.put("ctl/compile-hook", "sleep 0.3\n")
    d = m.start()
    d.wait_ready()
    d.stop()
    found, _ = entries(m)
    check_equal(states(found), ["checking", "compiling", "linking", "publishing", "loading", "ready", "stopping", "unloading",
                                "stopped"], "states")
    check_equal((found[0]["event"], found[-1]["event"], found[-1]["code"]), ("started", "ended", "ok"), "first and last")
    check_equal({(e["boot"], e["pid"]) for e in found}, {(BOOT_ID, d.pid)}, "boot and pid")
    took = {e["from"]: e["tookUSec"] for e in found if e["event"] == "state"}
    check(300_000 <= took["compiling"] < 60_000_000, f"compiling took {took['compiling']} us")
    check_equal([e["detail"] for e in found if e.get("state") == "ready"], m.builds(), "the build that is in use")
    check_equal(sorted(e["timeUSec"] for e in found), [e["timeUSec"] for e in found], "in order")
    text = m.run("history").stdout
    check(f"-- boot {BOOT_ID} --" in text and "ready " in text and "of loading" in text and "ended  [ok]" in text, text)


@story("failures with their code and particulars, and what came before a restart and a boot")
def failures(m):
    m.put("ctl/fail-insert-nvidia", "5")
    d = m.start("--set=Retry.Attempts=1")
    check_equal(d.wait(), 34, "exit status")
    os.unlink(m.path("ctl/fail-insert-nvidia"))
    d = m.start()
    d.wait_ready()
    d.kill()
    m.put("proc/sys/kernel/random/boot_id", "99999999-2222-4333-8444-555555555555\n")
    d = m.start()
    d.wait_ready()
    d.send(signal.SIGTERM)
    d.wait()
    found, _ = entries(m)
    failed = [e for e in found if e.get("state") == "failed"]
    check_equal([e["code"] for e in failed], ["load-failed"], "codes of failures")
    check("nvidia: Input/output error" in failed[0]["detail"], failed[0]["detail"])
    check_equal([e["event"] for e in found].count("started"), 3, "starts")
    check_equal([e["event"] for e in found].count("ended"), 2, "ends: one was killed")
    check_equal(m.run("history").stdout.count("-- boot"), 2, "boots")


@story("a torn line is left out and costs nothing else")
def torn(m):
    d = m.start()
    d.wait_ready()
    d.kill()
    before, _ = entries(m)
    with open(m.path(f"{STORE}/history"), "r+b") as f:
        f.truncate(os.path.getsize(f.name) - 20)
    d = m.start()
    d.wait_ready()
    d.stop()
    found, said = entries(m)
    check("1 damaged entries were left out" in said, said)
    check_equal(found[:len(before) - 1], before[:-1], "the entries before it")
    check_equal(states(found)[-1], "stopped", "and after it")


@story("a history that cannot be written is said once and hinders nothing")
def unwritable(m):
    os.makedirs(m.path(f"{STORE}/history"))
    d = m.start()
    d.wait_ready()
    d.stop()
    check_equal(d.log().count("history cannot be written"), 1, "lines about it")
    check_equal(m.loaded(), [], "modules")


main()
