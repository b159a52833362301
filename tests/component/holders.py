#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nvidia-driver holders: who it names, what it prints, when it ends."""

import contextlib
import json
import os
import signal
import subprocess
import time

from harness import SLACK, check, check_equal, main, story, wait_until

BUSY, INTERNAL, USAGE = 40, 70, 2
ID = "0123456789ab" + "c" * 52
POD = "1b2c3d4e-5f60-4711-8899-aabbccddeeff"
KUBE = f"0::/kubepods.slice/kubepods-pod{POD.replace('-', '_')}.slice/cri-containerd-{ID}.scope\n"


def driver(m):
    m.put_module("nvidia", 2, ["nvidia_uvm", "nvidia_modeset"])
    m.put_module("nvidia_uvm")
    m.put_module("nvidia_modeset", 1, ["nvidia_drm"])
    m.put_module("nvidia_drm")


def people(m):
    """Of every kind one, and two who hold nothing."""
    m.put("etc/passwd", "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/bash\n")
    m.put_process(1, "systemd", {0: "/dev/null", 9: "socket:[1]"}, ["/usr/lib/systemd/systemd"], "0::/init.scope\n")
    m.put_process(4711, "python3", {5: "/dev/nvidiactl", 8: "/dev/nvidia0", 9: "/dev/nvidia0"},
                  ["/dev/nvidiactl", "/dev/nvidia-uvm", "/usr/lib/libcuda.so.1"], KUBE, 1000)
    m.put_process(4712, "a b", {}, ["/dev/nvidia0"], f"0::/system.slice/docker-{ID}.scope\n")
    m.put_process(812, "nvidia-persiste", {3: "/dev/nvidiactl"}, [],
                  "0::/system.slice/nvidia-persistenced.service\n", 4242)
    m.put_process(900, "logind", {3: "/dev/nvidiactl"})
    m.put("proc/900/fdinfo/3", "pos:\t0\nflags:\t012100000\n")  # O_PATH


POD_PLACE = f"pod:{POD}/{ID[:12]}"
TABLE = "".join(f"{pid:5} {user:6} {command:16} {place:{len(POD_PLACE) + 1}} {node:16} {fd}\n" for pid, user, command, place, node, fd in (
    ("PID", "USER", "COMMAND", "WHERE", "NODE", "FD"),
    ("812", "4242", "nvidia-persiste", "nvidia-persistenced.service", "/dev/nvidiactl", "3"),
    ("4711", "alice", "python3", POD_PLACE, "/dev/nvidia-uvm", "map"),
    ("4711", "alice", "python3", POD_PLACE, "/dev/nvidia0", "8"),
    ("4711", "alice", "python3", POD_PLACE, "/dev/nvidiactl", "5"),
    ("4712", "root", "a b", f"container:{ID[:12]}", "/dev/nvidia0", "map")))
MODULES = """MODULE          REFCOUNT  HELD BY
nvidia          2         nvidia_modeset, nvidia_uvm
nvidia_drm      0         -
nvidia_modeset  1         nvidia_drm
nvidia_uvm      0         -
"""


@contextlib.contextmanager
def waiting(m):
    """nvidia-driver holders --wait; killed if the story fails."""
    argv = [os.environ["NVIDIA_DRIVER"], f"--root={m.root}", "holders", "--wait"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=m.environment()) as p:
        try:
            yield p
        finally:
            p.kill()


@story("nobody, and no driver")
def nothing(m):
    m.put_process(1, "systemd", {0: "/dev/null"})
    p = m.run("holders")
    check_equal((p.returncode, p.stdout, p.stderr), (0, "The driver is not loaded.\n", ""), "answer")
    driver(m)
    p = m.run("holders")
    check_equal((p.returncode, p.stdout, p.stderr), (0, MODULES + "\nNobody holds the driver.\n", ""), "answer")
    p = m.run("holders", "--wait")
    check_equal((p.returncode, p.stdout), (0, MODULES + "\nNobody holds the driver.\n"), "answer of --wait")


@story("a table for people")
def table(m):
    driver(m)
    people(m)
    p = m.run("holders")
    check_equal(p.stdout, TABLE + "\n" + MODULES, "table")
    check_equal((p.returncode, p.stderr), (BUSY, ""), "exit status")


@story("JSON for scripts")
def document(m):
    driver(m)
    people(m)
    p = m.run("--json", "holders")
    check_equal(p.returncode, BUSY, "exit status")
    o = json.loads(p.stdout)
    check_equal({k: o[k] for k in ("busy", "processes", "unreadable", "incomplete", "remarks")},
                {"busy": True, "processes": 5, "unreadable": 0, "incomplete": False, "remarks": []}, "summary")
    check_equal(o["modules"][0], {"name": "nvidia", "refcount": 2, "holders": ["nvidia_modeset", "nvidia_uvm"]}, "module")
    check_equal([(h["pid"], h["node"], h["kind"], h["fd"]) for h in o["holders"]],
                [(812, "/dev/nvidiactl", "fd", 3), (4711, "/dev/nvidia-uvm", "mapping", None),
                 (4711, "/dev/nvidia0", "fd", 8), (4711, "/dev/nvidiactl", "fd", 5),
                 (4712, "/dev/nvidia0", "mapping", None)], "holders")
    check_equal(o["holders"][3], {"pid": 4711, "start": 4711, "uid": 1000, "user": "alice", "command": "python3",
                                  "unit": f"cri-containerd-{ID}.scope", "container": ID, "pod": POD,
                                  "node": "/dev/nvidiactl", "kind": "fd", "fd": 5}, "a holder")
    check_equal(o["holders"][0]["user"], None, "the user of a number without name")


@story("modules that hold the driver, and use that nobody explains")
def modules(m):
    m.put_module("nvidia", 1, ["gdrdrv"])
    m.put_module("gdrdrv")
    p = m.run("holders")
    check_equal(p.returncode, BUSY, "exit status")
    check(p.stdout.endswith("\nModule nvidia is held by module gdrdrv.\n"), p.stdout)

    m.put_module("nvidia", 4)
    os.unlink(m.path("sys/module/nvidia/holders/gdrdrv"))
    p = m.run("holders")
    check_equal(p.returncode, BUSY, "exit status")
    check("Module nvidia is in use (4), but by no process that can be seen" in p.stdout, p.stdout)


@story("--wait ends when the last of them does")
def wait_for_end(m):
    driver(m)
    people(m)
    with waiting(m) as p:
        first = "".join(p.stdout.readline() for _ in range(len(TABLE.splitlines())))
        check_equal(first, TABLE, "who is waited for")
        m.end_process(4711)
        m.end_process(812)
        looks = len(m.get("ctl/worker.log").splitlines())
        wait_until(lambda: len(m.get("ctl/worker.log").splitlines()) > looks + 2, "it looks again")
        check_equal(p.poll(), None, "somebody is left")
        m.end_process(4712)
        began = time.monotonic()
        rest = p.stdout.read()
        check_equal(p.wait(), 0, "exit status")
    check(time.monotonic() - began < SLACK, "it ends soon")
    check_equal(rest, "\n" + MODULES + "\n" + MODULES + "\nNobody holds the driver.\n", "the end")


@story("--wait=TIMEOUT ends busy, and says who is left")
def wait_for_time(m):
    people(m)
    began = time.monotonic()
    p = m.run("holders", "--wait=1500ms")
    took = time.monotonic() - began
    check_equal((p.returncode, p.stdout), (BUSY, TABLE + "\n" + TABLE), "answer")
    check(1.5 <= took < SLACK, f"{took:.2f} s")
    p = m.run("holders", "--json", "--wait=200ms")
    check_equal((p.returncode, len(json.loads(p.stdout)["holders"])), (BUSY, 5), "one document")
    p = m.run("holders", "--wait=soon")
    check_equal((p.returncode, p.stdout), (USAGE, ""), "not a time")
    check("--wait=soon: not a time span" in p.stderr, p.stderr)


@story("interrupted while it waits, nothing is left behind")
def interrupted(m):
    people(m)
    m.close("holders")
    with waiting(m) as p:
        wait_until(lambda: m.exists("ctl/at-holders"), "the worker runs")
        p.send_signal(signal.SIGINT)
        check_equal(p.wait(), -signal.SIGINT, "exit status")
    wait_until(lambda: not m.processes(), "the worker is gone")


@story("a worker that hangs, and one that cannot do it")
def no_answer(m):
    driver(m)
    m.close("holders")
    began = time.monotonic()
    p = m.run("holders")
    check(5 <= time.monotonic() - began < 5 + SLACK, "it has a deadline")
    check_equal(p.returncode, 0, "exit status: the reference counts say that nobody is there")
    check("The search was cut off; there may be more.\n" in p.stdout, p.stdout)
    m.put("ctl/broken", "#!/bin/sh\necho detail=No luck today\nexit 70\n", 0o755)
    p = m.run("holders", env={"NVIDIA_DRIVERD_WORKER": m.path("ctl/broken")})
    check_equal((p.returncode, p.stdout), (INTERNAL, ""), "exit status")
    check("Looking at the processes: No luck today." in p.stderr, p.stderr)
    p = m.run("holders", env={"NVIDIA_DRIVERD_WORKER": m.path("ctl/nowhere")})
    check_equal((p.returncode, p.stdout), (INTERNAL, ""), "exit status")
    check("nowhere" in p.stderr, p.stderr)


@story("this very machine")
def here(m):
    """Whoever runs this holds no driver; the walk comes to its end."""
    argv = [os.environ["NVIDIA_DRIVER"], "--root=/", "holders", "--json"]
    env = m.environment(NVIDIA_DRIVERD_WORKER=os.environ["NVIDIA_WORKER"])
    p = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    with contextlib.suppress(ValueError):
        o = json.loads(p.stdout)
        check(o["processes"] > 1 and not o["incomplete"], p.stdout)
        return
    check(False, p.stdout + p.stderr)


@story("without --root= the environment does not choose what is run")
def environment(m):
    m.put("ctl/evil", f"#!/bin/sh\ntouch {m.path('ctl/ran')}\nexit 70\n", 0o755)
    env = m.environment(NVIDIA_DRIVERD_WORKER=m.path("ctl/evil"), NVIDIA_DRIVERD_DAEMON=m.path("ctl/evil"))
    for words, ran in ((["holders"], False), (["--root=/", "holders"], True)):
        subprocess.run([os.environ["NVIDIA_DRIVER"], *words], capture_output=True, env=env, check=False)
        check_equal(m.exists("ctl/ran"), ran, words)


main()
