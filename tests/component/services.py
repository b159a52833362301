#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Services beside the driver: started, watched, ended, and never two of one, whoever is killed when.

A service is a script in the machine. Each one calls instance(), which notes every start in
ROOT/ctl/starts-NAME and makes a directory for as long as it runs; who finds it there is the
second instance, and says so in ROOT/ctl/double.
"""

import fcntl
import os
import random
import signal
import subprocess
import time

from harness import SLACK, check, check_equal, main, note, story, wait_until

RUNTIME = "run/nvidia-driverd/services"

PREAMBLE = """#!/bin/bash
name=${0##*/} ctl=@CTL@
say() { echo "$*"; }
leave() { echo "end $name" >>"$ctl/helper.log"; rmdir "$ctl/running-$name" 2>/dev/null; exit "${1:-0}"; }
instance() {
        echo "$BASHPID" >>"$ctl/starts-$name"
        mkdir "$ctl/running-$name" 2>/dev/null || echo "$name" >>"$ctl/double"
        trap leave TERM
}
# Without a child, so that the signal is handled at once.
stay() { while :; do read -rt 60 <> <(:); done; }
gate() {
        [[ -p $ctl/gate-$1 ]] || return 0
        : >"$ctl/at-$1"
        read -r _ <"$ctl/gate-$1" || :
}
"""

# As nvidia-persistenced does it: the first process ends with 0 when the second one is ready, which has a session of
# its own, no standard streams, and its pid file locked.
PERSISTENCED = """#!/usr/bin/env python3
import fcntl, os, signal, sys
root, ctl = "@ROOT@", "@CTL@"
name = "nvidia-persistenced"
def gate(which):
    if os.path.exists(f"{ctl}/gate-{which}"):
        open(f"{ctl}/at-{which}", "w").close()
        open(f"{ctl}/gate-{which}").read(1)
if os.path.exists(f"{ctl}/refuse"):
    print("failed to initialize. Check syslog for more details.", file=sys.stderr, flush=True)
    sys.exit(1)
r, w = os.pipe()
if os.fork():
    os.close(w)
    sys.exit(0 if os.read(r, 1) == b"1" else 1)
os.setsid()
print("arguments:", *sys.argv[1:], flush=True)
for fd in (0, 1, 2):
    os.close(fd)
with open(f"{ctl}/starts-{name}", "a") as f:
    f.write(f"{os.getpid()}\\n")
os.makedirs(f"{root}/run/{name}", exist_ok=True)
pid_file = open(f"{root}/run/{name}/{name}.pid", "a+")
try:
    fcntl.lockf(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    open(f"{ctl}/double", "a").write(name)
    sys.exit(1)
pid_file.write(f"{os.getpid()}\\n")
pid_file.flush()
def leave(*_):
    os.unlink(f"{root}/run/{name}/{name}.pid")
    with open(f"{ctl}/helper.log", "a") as f:
        f.write(f"end {name}\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
gate("init")
os.write(w, b"1")
while True:
    signal.pause()
"""


class Services:
    """A machine with services in it."""

    def __init__(self, m):
        self.m = m
        self.sets = ["--set=Services.RestartDelaySec=50ms"]

    def put(self, name, body, *sets):
        self.m.put(f"svc/{name}", PREAMBLE.replace("@CTL@", self.m.ctl) + body, 0o755)
        self.sets += [f"--set=ServiceCommands.{name}=/svc/{name}", *sets]
        return self

    def put_persistenced(self, *sets):
        self.m.put("usr/bin/nvidia-persistenced", PERSISTENCED.replace("@CTL@", self.m.ctl).replace("@ROOT@", self.m.root),
                   0o755)
        self.sets += sets
        return self

    def start(self, *arguments, wait=True, **more):
        d = self.m.start(*self.sets, *arguments, **more)
        if wait:
            d.wait_ready()
        return d

    def starts(self, name):
        path = f"ctl/starts-{name}"
        return [int(x) for x in self.m.get(path).split()] if self.m.exists(path) else []

    def status(self, name):
        return {s["name"]: s for s in self.m.status()[1]["services"]}.get(name)

    def wait_state(self, d, name, state):
        d.wait_for(lambda: (self.status(name) or {}).get("state") == state, f"{name} is {state}")
        return self.status(name)

    def check_single(self):
        check(not self.m.exists("ctl/double"), "there never were two of one")

    def stop(self, d, **more):
        took = d.stop(**more)
        self.check_single()
        check_equal(self.m.loaded(), [], "modules")
        self.m.check_gone()
        return took


def lines_with(d, text):
    return [line for line in d.log().splitlines() if text in line]


@story("a service: started after the load, in the status, its lines in the log, ended before the unload")
def simple(m):
    s = Services(m).put("one", "instance; say 'hello from one'; stay\n")
    d = s.start()
    status = s.wait_state(d, "one", "running")
    check_equal((status["pid"], status["required"], status["restarts"], status["lastEnd"]),
                (s.starts("one")[0], False, 0, None), "status")
    check(time.time() - 60 < status["sinceUSec"] / 1e6 < time.time(), status)
    d.wait_log("nvidia-driverd: one: hello from one")
    text = m.run("status").stdout
    check(f" Services: one                 running  pid {status['pid']} since" in text, text)
    check("starting-services run   one" in m.run("plan", *s.sets).stdout, "the plan says so")
    check_equal(len(m.helper_log()), 3, "the helper's runs before")
    s.stop(d)
    check_equal(m.helper_log()[3:], ["end one", "delete nvidia_modeset", "delete nvidia_uvm", "delete nvidia"], "order")
    check_equal(len(s.starts("one")), 1, "starts")


@story("no services: the stage is skipped and says why, nothing is left anywhere")
def nothing(m):
    d = m.start()
    d.wait_ready()
    plan = [p for p in m.status()[1]["plan"] if p["stage"] == "starting-services"][0]
    check_equal((plan["run"], plan["reason"]),
                (False, "nvidia-persistenced: not installed, nv-fabricmanager: no NVSwitch is on the PCI bus"), "plan")
    check(not m.exists(RUNTIME), "no directory was made")
    d.stop()
    m.check_gone()


@story("a required service: READY waits for it, not for the others")
def required(m):
    s = Services(m).put("slow", "gate slow; instance; stay\n").put_persistenced("--set=Services.Required=nvidia-persistenced")
    m.close("init")
    m.close("slow")
    d = s.start(wait=False)
    m.wait_at("init")
    d.wait_status("Starting nvidia-persistenced")
    check_equal((d.sent("READY"), m.status()[1]["state"]), ([], "starting-services"), "before it is ready")
    m.open("init")
    d.wait_ready()
    check_equal(s.status("nvidia-persistenced")["pid"], s.starts("nvidia-persistenced")[0], "the process in the background")
    check_equal(s.status("nvidia-persistenced")["required"], True, "required")
    d.wait_log("nvidia-persistenced: arguments: --persistence-mode")
    m.open("slow")
    s.stop(d)


@story("a service that dies 3 times and then stays: READY when it stays")
def dies(m):
    s = Services(m).put("one", 'instance; n=$(wc -l <"$ctl/starts-$name"); say "try $n"; if [[ $n -le 3 ]]; then leave $n; fi; stay\n',
                        "--set=Services.Required=one")
    d = s.start(wait=False)
    # On a busy machine it may live for the half of a second that counts as started, and die only then.
    d.wait_for(lambda: len(s.starts("one")) == 4, "the fourth start")
    status = s.wait_state(d, "one", "running")
    d.wait_ready()
    check_equal((status["restarts"], status["lastEnd"], status["state"]), (3, "exit status 3", "running"), "status")
    for n in (1, 2, 3):
        check(f"Service one ended: exit status {n}. Its last lines: try {n}" in d.log(), f"end {n} in the log")
    check("3 restarts, last end: exit status 3" in m.run("status").stdout, "text of the status")
    s.stop(d)


@story("a service that dies later: DEGRADED with the reason, started again, READY")
def dies_later(m):
    s = Services(m).put("one", 'instance; [[ -e $ctl/come ]] || { say "cannot find the thing"; leave 7; }; stay\n',
                        "--set=Services.RestartDelaySec=200ms")
    m.put("ctl/come", "")
    d = s.start()
    s.wait_state(d, "one", "running")
    os.unlink(m.path("ctl/come"))
    os.kill(s.starts("one")[0], signal.SIGTERM)
    d.wait_status("Degraded: A service that belongs to the driver does not run. (service-failed)")
    wait_until(lambda: "exit status 7" in (m.status()[1]["detail"] or ""), "the reason")
    code, status = m.status()
    check_equal((code, status["code"]), (47, "service-failed"), "status")
    check(status["detail"].startswith("one: exit status 7, ") and
          status["detail"].endswith(" in a row. Its last lines: cannot find the thing"), status["detail"])
    m.put("ctl/come", "")
    n = len(d.sent("READY"))
    wait_until(lambda: m.status()[1]["state"] == "ready", "ready again")
    check_equal(m.loaded(), ["nvidia", "nvidia_modeset", "nvidia_uvm"], "modules")
    check_equal(m.helper_log().count("insert nvidia"), 1, "the driver was left alone")
    check(n >= 1, "READY once is enough")
    s.stop(d)


@story("a service that is never there: optional degrades, and says what is missing")
def absent(m):
    s = Services(m)
    s.sets.append("--set=ServiceCommands.ghost=/svc/ghost --with 'an argument'")
    d = s.start()
    d.wait_status("Degraded")
    wait_until(lambda: "cannot execute" in (m.status()[1]["detail"] or ""), "the reason")
    check(f"ghost: exit status 127" in m.status()[1]["detail"], m.status()[1]["detail"])
    s.stop(d)


@story("a required service that does not start: service-failed after its attempts, the driver goes, and again")
def required_fails(m):
    s = Services(m).put("one", "say 'no GPU license'; exit 5\n", "--set=Services.Required=one", "--set=Services.Attempts=2",
                        "--set=Retry.Attempts=2", "--set=Retry.DelaySec=50ms")
    d = s.start(wait=False)
    check_equal(d.wait(), 47, "exit status")
    check_equal(d.sent("READY"), [], "READY")
    check("one: exit status 5, 2 times in a row. Its last lines: no GPU license" in d.log(), "the log says why")
    check_equal(m.helper_log().count("insert nvidia"), 2, "attempts")
    check_equal(m.loaded(), [], "modules")
    check_equal(d.log().count("Service one ended: exit status 5"), 4, "starts of the service")
    check("[service-failed]" in m.run("status").stdout, "so does the status afterwards")
    check_equal(m.processes(), [], "processes that are left")


@story("a required service that does not start: an adopted driver stays as it is")
def required_fails_adopted(m):
    d = m.start()
    d.wait_ready()
    d.kill()
    s = Services(m).put("one", "exit 5\n", "--set=Services.Required=one", "--set=Services.Attempts=1",
                        "--set=Retry.Attempts=2", "--set=Retry.DelaySec=50ms")
    d = s.start(wait=False)
    check_equal(d.wait(), 47, "exit status")
    check_equal(m.helper_log(), ["insert nvidia", "insert nvidia_uvm", "insert nvidia_modeset"], "helper runs")
    check_equal(len(m.loaded()), 3, "modules")
    d = m.start()
    d.wait_ready()
    d.stop()
    m.check_gone()


@story("a service that ignores TERM: killed after its time, with all of its children, then the unload")
def stubborn(m):
    s = Services(m).put("one", "instance; trap '' TERM; setsid sleep 1001 & (setsid sleep 1002 & ); say up; while :; do sleep 1; done\n",
                        "--set=Services.StopTimeoutSec=300ms")
    d = s.start()
    d.wait_log("one: up")
    took = s.stop(d)
    note(f"stopped in {took:.2f} s")
    check(took > 0.3, "it had its time")
    check("Service one ended: signal 9 (Killed)." in d.log(), "the log says how it ended")


@story("three that ignore TERM: all together they get half of the stop")
def stubborn_three(m):
    s = Services(m)
    for name in ("one", "two", "three"):
        s.put(name, "instance; trap '' TERM; say up; while :; do sleep 1; done\n")
    d = s.start("--set=Stop.TimeoutSec=12s", "--set=Services.StopTimeoutSec=1min")
    for name in ("one", "two", "three"):
        d.wait_log(f"{name}: up")
    took = s.stop(d)
    note(f"stopped in {took:.2f} s, half of the stop is 6 s")
    check(took > 6, "they had it")
    check("Services had their half of the time to stop" in d.log(), "the log says so")
    check_equal(m.helper_log()[3:], ["delete nvidia_modeset", "delete nvidia_uvm", "delete nvidia"], "unloaded in the end")


@story("services end in the reverse order of their start, one after the other")
def order(m):
    s = Services(m)
    for name in ("one", "two", "three"):
        s.put(name, "instance; stay\n")
    d = s.start()
    for name in ("one", "two", "three"):
        s.wait_state(d, name, "running")
    s.stop(d)
    check_equal(m.helper_log()[3:6], ["end three", "end two", "end one"], "order")


def put_innocent(m, name):
    """A real process, shown in the machine's /proc under the given name."""
    p = subprocess.Popen(["sleep", "1000"])
    m.put(f"proc/{p.pid}/comm", f"{name}\n")
    return p


@story("a stale pid file that names an innocent process: ignored and removed, the innocent lives")
def stale(m):
    innocent = put_innocent(m, "postgres")
    try:
        m.put("run/nvidia-persistenced/nvidia-persistenced.pid", f"{innocent.pid}\n")
        s = Services(m).put_persistenced("--set=Services.Required=nvidia-persistenced")
        d = s.start()
        check(f"Removing /run/nvidia-persistenced/nvidia-persistenced.pid: process {innocent.pid}, which it names, is not "
              "nvidia-persistenced." in d.log(), "the log says so")
        check_equal(m.get("run/nvidia-persistenced/nvidia-persistenced.pid").strip(), str(s.starts("nvidia-persistenced")[0]),
                    "pid file")
        # The same number in all of our own files: none of them is believed.
        m.put(f"{RUNTIME}/other:lock", f"{innocent.pid}\n")
        m.put(f"{RUNTIME}/other", f"main={innocent.pid}\nsince=1\nready=1\narg=/svc/other\n")
        os.kill(d.pid, signal.SIGKILL)
        d.process.wait()
        d = s.start()
        d.stop()
        check_equal(innocent.poll(), None, "the innocent lives")
        m.check_gone()
    finally:
        innocent.kill()
        innocent.wait()


@story("somebody else's nvidia-persistenced is left alone: auto does not start one")
def foreign(m):
    other = put_innocent(m, "nvidia-persiste")
    try:
        m.put("run/nvidia-persistenced/nvidia-persistenced.pid", f"{other.pid}\n")
        s = Services(m).put_persistenced()
        d = s.start()
        plan = [p for p in m.status()[1]["plan"] if p["stage"] == "starting-services"][0]
        check(plan["reason"].startswith(f"nvidia-persistenced: runs already, process {other.pid}"), plan["reason"])
        check_equal((s.starts("nvidia-persistenced"), m.status()[1]["services"]), ([], []), "starts")
        d.stop()
        check_equal(other.poll(), None, "the other one lives")
    finally:
        other.kill()
        other.wait()


@story("wanted with yes while somebody else runs it: degraded until that one has gone")
def foreign_yes(m):
    m.put("run/nvidia-persistenced/nvidia-persistenced.pid", "")
    with open(m.path("run/nvidia-persistenced/nvidia-persistenced.pid"), "a", encoding="ascii") as f:
        fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        s = Services(m).put_persistenced("--set=Services.Persistenced=yes")
        d = s.start()
        d.wait_status("Degraded")
        check(f"somebody else runs it, process {os.getpid()}" in m.status()[1]["detail"], m.status()[1]["detail"])
        check_equal(s.starts("nvidia-persistenced"), [], "starts")
    wait_until(lambda: m.status()[1]["state"] == "ready", "ready when it has gone")
    s.stop(d)


@story("a unit of the host does it: left to the host, but only where a systemd runs")
def unit(m):
    m.put("usr/lib/systemd/system/nvidia-persistenced.service", "")
    os.makedirs(m.path("run/systemd/system"))
    s = Services(m).put_persistenced()
    d = s.start()
    check_equal(s.starts("nvidia-persistenced"), [], "starts")
    d.stop()
    os.rmdir(m.path("run/systemd/system"))
    d = s.start()
    s.wait_state(d, "nvidia-persistenced", "running")
    s.stop(d)


@story("one that does not become ready in time is ended and tried again")
def late(m):
    s = Services(m).put_persistenced("--set=Services.StartTimeoutSec=300ms", "--set=Services.StopTimeoutSec=200ms")
    m.close("init")
    d = s.start()
    d.wait_status("Degraded")
    check("nvidia-persistenced: it did not become ready in time" in d.log(), "the log says so")
    m.open("init")
    wait_until(lambda: m.status()[1]["state"] == "ready", "ready when it is")
    s.stop(d)


@story("a service that prints 200000 lines: the daemon answers all the while, the log stays small")
def chatter(m):
    s = Services(m).put("one", "instance; seq 200000; say last words; leave 4\n", "--set=Services.RestartDelaySec=1h")
    d = s.start()
    slowest = 0.0
    deadline = time.monotonic() + 60
    while not lines_with(d, "Service one ended"):
        began = time.monotonic()
        m.status()
        slowest = max(slowest, time.monotonic() - began)
        check(time.monotonic() < deadline, "it ends")
    note(f"slowest answer, with the start of the command: {1000 * slowest:.0f} ms; log: {len(d.log()) // 1024} KiB")
    check(slowest < SLACK, f"an answer took {slowest:.2f} s")
    check(len(d.log()) < 200 * 1024, f"the log has {len(d.log())} bytes")
    check("Its last lines: 199997 | 199998 | 199999 | 200000 | last words" in d.log(), lines_with(d, "Service one ended"))
    s.stop(d)


@story("output that is not text is made so")
def binary(m):
    s = Services(m).put("one", "instance; printf 'a\\033[31mb\\001\\n'; stay\n")
    d = s.start()
    d.wait_log("one: a?[31mb?")
    s.stop(d)


@story("the daemon is killed: services go on, the next one takes them over with their output, none is started twice")
def killed(m):
    s = Services(m).put("one", "instance; stay_loud() { while :; do [[ -e $ctl/talk ]] && { say talking; rm $ctl/talk; }; "
                        "read -rt 0.1 <> <(:); done; }; stay_loud\n").put_persistenced("--set=Services.Required=one")
    d = s.start()
    for name in ("one", "nvidia-persistenced"):
        s.wait_state(d, name, "running")
    before = s.status("one")["pid"], s.status("nvidia-persistenced")["pid"]
    for _ in range(5):
        d.kill()
        m.put("ctl/talk", "")
        wait_until(lambda: not m.exists("ctl/talk"), "the service talks to nobody")
        d = s.start()
        d.wait_log("one: talking")
        check_equal((s.status("one")["pid"], s.status("nvidia-persistenced")["pid"]), before, "processes")
        check("Service one was left running by an earlier daemon, taking it over." in d.log(), "the log says so")
        note(f"start to READY: {1000 * (d.sent('READY')[0][0] - d.started):.0f} ms")
    check_equal((len(s.starts("one")), len(s.starts("nvidia-persistenced"))), (1, 1), "starts")
    s.stop(d)


@story("the daemon is killed while a service starts: it is found and waited for")
def killed_starting(m):
    s = Services(m).put_persistenced("--set=Services.Required=nvidia-persistenced")
    m.close("init")
    d = s.start(wait=False)
    m.wait_at("init")
    d.kill()
    d = s.start(wait=False)
    d.wait_status("Starting nvidia-persistenced")
    m.open("init")
    d.wait_ready()
    check_equal(len(s.starts("nvidia-persistenced")), 1, "starts")
    s.stop(d)


@story("the daemon is killed while services end: the next one starts them anew")
def killed_ending(m):
    s = Services(m).put("one", "instance; trap 'echo told >>$ctl/helper.log' TERM; say up; while :; do read -rt 60 <> <(:); done\n")
    s.put("two", "instance; stay\n", "--set=Stop.TimeoutSec=20s", "--set=Services.StopTimeoutSec=2s")
    d = s.start()
    d.wait_log("one: up")
    s.wait_state(d, "two", "running")
    d.send(signal.SIGTERM)
    d.wait_for(lambda: m.helper_log()[3:] == ["end two", "told"], "two has ended, one was told to")
    d.kill()
    os.rmdir(m.path("ctl/running-one"))  # what is killed does not tidy up
    d = s.start()
    s.wait_state(d, "two", "running")
    d.wait_for(lambda: len(s.starts("one")) == 2, "one is started anew")
    s.wait_state(d, "one", "running")
    d.send(signal.SIGKILL)
    d.process.wait()
    os.rmdir(m.path("ctl/running-one"))


@story("the daemon is killed at any moment: never two of one, and the next start is ready", gpus=1)
def killed_anytime(m):
    s = Services(m).put("one", "instance; stay\n").put_persistenced("--set=Services.Required=nvidia-persistenced")
    rng = random.Random(4711)
    d = s.start()
    s.stop(d)
    for i in range(6):
        d = s.start(wait=False)
        if i % 3 == 2:
            d.wait_ready()
            d.send(signal.SIGTERM)
        time.sleep(rng.uniform(0, 0.4))
        d.kill()
        d = s.start()
        for name in ("one", "nvidia-persistenced"):
            s.wait_state(d, name, "running")
        s.check_single()
        if i % 2:
            s.stop(d)
        else:
            d.kill()
    d = s.start()
    s.stop(d)


@story("killed, and stopped before it came to its services: what was left is ended before the unload")
def left_over(m):
    s = Services(m).put("one", "instance; stay\n")
    d = s.start()
    s.wait_state(d, "one", "running")
    d.kill()
    m.close("insert-nvidia_drm")
    d = s.start(wait=False, modules="nvidia nvidia-uvm nvidia-modeset nvidia-drm")
    m.wait_at("insert-nvidia_drm")
    d.send(signal.SIGTERM)
    m.open("insert-nvidia_drm")
    check_equal(d.wait(), 0, "exit status")
    check_equal(m.helper_log()[4:], ["end one", "delete nvidia_drm", "delete nvidia_modeset", "delete nvidia_uvm",
                                     "delete nvidia"], "order")
    m.check_gone()


@story("killed, and not wanted any more: ended by the next daemon, as the plan says")
def unwanted(m):
    s = Services(m).put("one", "instance; stay\n")
    d = s.start()
    s.wait_state(d, "one", "running")
    d.kill()
    d = m.start()
    d.wait_ready()
    plan = [p for p in m.status()[1]["plan"] if p["stage"] == "starting-services"][0]
    check_equal((plan["run"], plan["reason"]), (True, "ending one"), "plan")
    d.wait_for(lambda: m.helper_log()[3:] == ["end one"], "it ends")
    d.wait_for(lambda: not m.exists(RUNTIME), "its files go")
    d.stop()
    m.check_gone()


@story("killed, and another command: replaced")
def replaced(m):
    s = Services(m).put("one", "instance; say $1; stay\n")
    d = s.start()
    s.wait_state(d, "one", "running")
    d.kill()
    s.sets[-1] += " other"
    d = s.start()
    d.wait_log("one: other")
    check("Service one has another command now, starting it anew." in d.log(), "the log says so")
    check_equal(len(s.starts("one")), 2, "starts")
    s.stop(d)


@story("killed, and the service ended meanwhile: started anew, the log says how it ended")
def ended_meanwhile(m):
    s = Services(m).put("one", "instance; stay\n", "--set=Services.Required=one")
    d = s.start()
    d.kill()
    os.kill(s.starts("one")[0], signal.SIGTERM)
    wait_until(lambda: m.helper_log()[3:] == ["end one"], "it ends")
    wait_until(lambda: not m.processes(), "its keeper too")
    d = s.start()
    check("Service one ended: exit status 0." in d.log(), "the log says so")
    check_equal(len(s.starts("one")), 2, "starts")
    s.stop(d)


def keepers(m):
    return [pid for pid, words in m.processes() if "nvidia-driverd-keeper" in words]


def open_control(m, pid, command):
    """A process that holds /dev/nvidiactl, in the machine's /proc and in the kernel's counter."""
    m.put_process(pid, command, {3: "/dev/nvidiactl"}, cgroup="0::/system.slice/nvidia-driverd.service\n")
    count_control(m, +1)


def count_control(m, change):
    m.put("sys/module/nvidia/refcnt", f"{int(m.get('sys/module/nvidia/refcnt')) + change}\n")


@story("another driver is wanted and somebody uses this one: services stay until nobody does, then they end and it goes")
def clear_busy(m):
    s = Services(m).put_persistenced()
    d = s.start()
    s.wait_state(d, "nvidia-persistenced", "running")
    d.kill()
    m.put_process(1, "systemd", {0: "/dev/null"}, cgroup="0::/init.scope\n")
    pid = s.starts("nvidia-persistenced")[0]
    open_control(m, pid, "nvidia-persistenced")
    open_control(m, 4711, "trainer")
    done = len(m.helper_log())

    d = s.start("--set=Parameters.nvidia=NVreg_EnableMSI=1", "--set=Retry.DelaySec=1h", wait=False)
    d.wait_status("Busy: the driver has to go and is in use by trainer[4711]")
    check("in use by nvidia-persistenced" not in d.log(), "our own service is not among those who are waited for")
    check_equal(s.status("nvidia-persistenced")["state"], "running", "the service")
    check_equal((s.starts("nvidia-persistenced"), m.helper_log()[done:]), ([pid], []), "starts, and what was done to the driver")

    m.end_process(4711)
    count_control(m, -1)
    wait_until(lambda: "end nvidia-persistenced" in m.helper_log(), "it goes on when the other one has gone: the service ends")
    m.end_process(pid)
    count_control(m, -1)
    d.wait_ready()
    log = m.helper_log()[done:]
    check_equal(log[:2], ["end nvidia-persistenced", "delete nvidia_modeset"], "the beginning of what was done")
    check("insert nvidia NVreg_EnableMSI=1" in log, log)
    s.wait_state(d, "nvidia-persistenced", "running")
    check_equal(len(s.starts("nvidia-persistenced")), 2, "starts")
    s.stop(d)


@story("another driver is wanted, and only our service uses this one: no waiting")
def clear_own(m):
    s = Services(m).put_persistenced()
    d = s.start()
    s.wait_state(d, "nvidia-persistenced", "running")
    d.kill()
    m.put_process(1, "systemd", {0: "/dev/null"}, cgroup="0::/init.scope\n")
    pid = s.starts("nvidia-persistenced")[0]
    open_control(m, pid, "nvidia-persistenced")
    # One of its children, too.
    open_control(m, 4711, "worker")
    m.put("proc/4711/stat", f"4711 (a) b) S {pid}{' 1' * 17} 4711 0\n")
    d = s.start("--set=Parameters.nvidia=NVreg_EnableMSI=1", "--set=Retry.DelaySec=1h", wait=False)
    wait_until(lambda: "end nvidia-persistenced" in m.helper_log(), "the service ends")
    m.end_process(pid)
    m.end_process(4711)
    count_control(m, -2)
    d.wait_ready()
    check(" -> busy" not in d.log(), "it was never busy")
    s.stop(d)


@story("another driver is wanted, and SIGTERM while it is asked who uses this one")
def clear_stopped(m):
    s = Services(m).put_persistenced()
    d = s.start()
    s.wait_state(d, "nvidia-persistenced", "running")
    d.kill()
    pid = s.starts("nvidia-persistenced")[0]
    open_control(m, pid, "nvidia-persistenced")
    m.close("holders")
    d = s.start("--set=Parameters.nvidia=NVreg_EnableMSI=1", wait=False)
    m.wait_at("holders")
    d.send(15)
    wait_until(lambda: "end nvidia-persistenced" in m.helper_log(), "the stop ends the service")
    m.end_process(pid)
    count_control(m, -1)
    check_equal(d.wait(), 0, "exit status")
    m.open("holders")
    check_equal(m.loaded(), [], "modules")


@story("a keeper is killed: what it left is ended, then the service is started again")
def keeper_killed(m):
    s = Services(m).put("one", "instance; setsid sleep 1003 & stay\n", "--set=Services.Required=one")
    d = s.start()
    first = s.starts("one")[0]
    check_equal(len(keepers(m)), 1, "keepers")
    os.kill(keepers(m)[0], signal.SIGKILL)
    d.wait_for(lambda: len(s.starts("one")) == 2, "started again")
    s.wait_state(d, "one", "running")
    check("Service one ended: its keeper was killed." in d.log(), "the log says so")
    check(first not in [pid for pid, _ in m.processes()], "the first one has ended")
    check("end one" in m.helper_log(), "it was asked to")
    s.stop(d)


@story("keeper and daemon are killed: the next daemon ends what is left, wanted or not")
def both_killed(m):
    s = Services(m).put("one", "instance; stay\n").put("two", "instance; stay\n")
    d = s.start()
    for name in ("one", "two"):
        s.wait_state(d, name, "running")
    d.kill()
    for pid in keepers(m):
        os.kill(pid, signal.SIGKILL)
    s.sets = [x for x in s.sets if "two" not in x]
    d = s.start()
    d.wait_for(lambda: len(s.starts("one")) == 2, "one is started again")
    d.wait_for(lambda: "end two" in m.helper_log(), "two is ended")
    s.wait_state(d, "one", "running")
    s.stop(d)


@story("SIGTERM while a service starts, waits for its next start, or has just died")
def stop_early(m):
    s = Services(m).put_persistenced("--set=Services.Required=nvidia-persistenced")
    s.put("dead", "exit 1\n", "--set=Services.RestartDelaySec=1h")
    m.close("init")
    d = s.start(wait=False)
    m.wait_at("init")
    d.wait_log("Service dead ended: exit status 1.")
    took = s.stop(d)
    note(f"stopped in {1000 * took:.0f} ms")
    check_equal(d.sent("READY"), [], "READY")
    m.open("init")


@story("restarts do not leak descriptors")
def leaks(m):
    s = Services(m).put("one", "echo $$ >>$ctl/starts-one; exit 1\n").put("two", "instance; stay\n")
    d = s.start("--set=Services.RestartDelaySec=1ms")
    s.wait_state(d, "two", "running")
    # Who asks has a descriptor of the daemon, a little longer than he waits for the answer: the fewest count, and a leak is one at least
    # for each start.
    fewest = []
    for n in (4, 12):
        d.wait_for(lambda n=n: len(s.starts("one")) >= n, f"{n} starts")
        d.wait_for(lambda: s.status("one")["state"] == "waiting", "it waits")
        fewest.append(min(len(d.fds()) for _ in range(20) if not time.sleep(0.01)))
    check(fewest[1] < fewest[0] + 8, f"descriptors: {fewest}, now {d.fds()}")
    s.stop(d)


@story("a configuration with mistakes: each named, the rest is used")
def mistakes(m):
    m.put("etc/nvidia-driverd/driverd.conf", "[Services]\nPersistenced=perhaps\nRequired=one nowhere\n[ServiceCommands]\n"
          "one=/svc/one 'it is'\ntwo=svc/two\nthr/ee=/svc/three\nfour=/svc/four \"\n")
    s = Services(m).put("one", 'instance; say "got $1"; stay\n')
    s.sets = []
    d = s.start()
    d.wait_log("one: got it is")
    for text in ("Persistenced=perhaps: expected yes, no or auto", "two=svc/two: expected an absolute path",
                 "thr/ee=: expected the name of a service", 'four=/svc/four ": expected an absolute path',
                 "[Services] Required=nowhere: neither a service of ours"):
        check(text in d.log(), f"{text!r} in the log")
    s.stop(d)


main()
