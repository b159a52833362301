#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The loop never waits: answers and heartbeat while the compiler floods it."""

import os
import statistics
import threading
import time

from busclient import AUTH, BEGIN, BusClient
from harness import SLACK, STORE, check, check_equal, main, note, story

LINES = 200000
# As fast as a pipe takes them; every hundredth announces an object. Then a pause at the gate.
FLOOD = f"""awk 'BEGIN {{ for (i = 0; i < {LINES}; i++)
        if (i % 100) print "drivers/gpu/nvidia/file.c:" i ": note: some words of a talkative compiler, line " i;
        else print "  CC [M]  /staging/nvidia-uvm/uvm_" i ".o" }}'
"""
WATCHDOG = 4.0


class Heart(threading.Thread):
    """nvidia-driver status --json, over and over."""

    def __init__(self, m):
        super().__init__(daemon=True)
        self.m, self.times, self.states, self.over, self.trouble = m, [], [], threading.Event(), None

    def run(self):
        try:
            while not self.over.is_set():
                began = time.monotonic()
                code, status = self.m.status()
                self.times.append(time.monotonic() - began)
                self.states.append((code, status["state"]))
        except Exception as e:  # pylint: disable=broad-except
            self.trouble = e

    def end(self):
        self.over.set()
        self.join()


def numbers(what, times):
    note(f"{what}: {len(times)}, median {1000 * statistics.median(times):.1f} ms, longest {1000 * max(times):.1f} ms")


@story("status while the compiler is silent")
def silent(m):
    m.close("compile")
    d = m.start()
    m.wait_at("compile")
    times = []
    for _ in range(20):
        began = time.monotonic()
        code, status = m.status()
        times.append(time.monotonic() - began)
        check_equal((code, status["state"], status["pid"]), (5, "compiling", d.pid), "status")
    numbers("answers", times)
    m.open("compile")
    d.wait_ready()
    d.stop()


@story(f"status and watchdog all through a compile that prints {LINES} lines")
def flood(m):
    m.put("ctl/compile-hook", FLOOD)
    m.close("compile")
    d = m.start(env={"WATCHDOG_USEC": str(int(WATCHDOG * 1e6))})
    heart = Heart(m)
    d.wait_status("Compiling")
    heart.start()
    began = time.monotonic()
    m.wait_at("compile")
    took = time.monotonic() - began
    heart.end()
    if heart.trouble:
        raise heart.trouble
    numbers(f"answers during {took:.1f} s", heart.times)
    check(len(heart.times) >= 3, f"only {len(heart.times)} answers")
    check(max(heart.times) < SLACK, "all of them come")
    check(set(heart.states) <= {(5, "compiling")}, f"states: {set(heart.states)}")
    d.wait_for(lambda: len(d.sent("WATCHDOG")) > 2, "heartbeats")
    m.open("compile")
    d.wait_ready()
    beats = [t for t, _ in d.sent("WATCHDOG")]
    gaps = [b - a for a, b in zip(beats, beats[1:])]
    numbers("heartbeat", gaps)
    check(max(gaps) < WATCHDOG, f"the watchdog would have bitten: {max(gaps):.2f} s without a beat")
    status = [t for t, x, _ in d.messages if x.get("STATUS", "").startswith("Compiling")]
    note(f"{len(status)} status texts for {LINES // 100} objects")
    check(len(status) < 10 + 6 * took, "status texts are limited in number")
    log = m.get(f"{STORE}/builds/{m.builds()[0]}/build.log")
    check_equal(log.count("talkative"), LINES - LINES // 100, "lines in the log of the build")
    d.stop()


@story("one line without an end does not grow the daemon")
def long_line(m):
    m.put("ctl/compile-hook", "head -c 100000000 /dev/zero | tr '\\0' x\necho\n")
    m.close("compile")
    d = m.start()
    d.wait_status("Compiling")
    before = memory(d)
    m.wait_at("compile")
    m.status()
    grown = memory(d) - before
    note(f"{grown} kB more after a line of 100 MB")
    check(grown < 20000, f"the daemon grew by {grown} kB")
    d.stop()


def memory(d):
    with open(f"/proc/{d.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


@story("a client that says nothing, and one that goes away, disturb nobody")
def clients(m):
    import socket
    m.close("compile")
    d = m.start()
    m.wait_at("compile")
    path = m.path("run/nvidia-driverd/bus")
    mute = []
    before = len(d.fds())
    for i in range(80):
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        if i % 2:
            s.sendall(b"\0AUTH EXTERNAL\r\nGARBAGE\r\n\xff\xfe" * 10)
        mute.append(s)
    check_equal(m.status()[1]["state"], "compiling", "state, asked past 80 clients that say nothing")
    for s in mute:
        s.close()
    d.wait_for(lambda: len(d.fds()) <= before, f"their descriptors are given back: {len(d.fds())}, before {before}")
    check_equal(m.status()[1]["state"], "compiling", "state")
    m.open("compile")
    d.wait_ready()
    d.stop()
    m.check_gone()


@story("the bus answers while a kernel operation does not return")
def stuck(m):
    m.put("ctl/nodes", "")
    m.close("insert-nvidia")
    d = m.start("--set=Load.TimeoutSec=2s", env=m.umockdev())
    m.wait_at("insert-nvidia")
    c = BusClient(m)
    c.begin()
    times, stuck_times = [], []
    while len(stuck_times) < 100:
        took = c.ask(SLACK)
        check(took is not None, f"answer {len(times) + len(stuck_times)}")
        (stuck_times if "[stuck]" in d.log() else times).append(took)
        time.sleep(0.01)
    numbers("answers while loading", times)
    numbers("answers while stuck", stuck_times)
    check_equal(m.status()[1]["state"], "stuck", "state")
    check(max(times + stuck_times) < SLACK, "all of them come")
    m.open("insert-nvidia")
    d.wait_ready()
    c.close()
    d.stop()


@story("a client may say all at once what others say in turns")
def pipelined(m):
    m.close("compile")
    d = m.start()
    m.wait_at("compile")
    for how in ("all at once", "hello, then the rest", "in turns"):
        c = BusClient(m)
        if how == "in turns":
            c.begin()
        elif how == "hello, then the rest":
            c.say(AUTH)
        c.say({"all at once": AUTH + BEGIN, "hello, then the rest": BEGIN, "in turns": b""}[how] + c.next_call())
        check(c.answer(SLACK), f"{how}: there is an answer")
        check(c.ask(SLACK) is not None, f"{how}: and another one")
        c.close()
    m.open("compile")
    d.wait_ready()
    d.stop()


@story("a daemon that hangs up in the middle of the question is not running")
def hangs_up(m):
    import socket
    os.makedirs(m.path("run/nvidia-driverd"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(m.path("run/nvidia-driverd/bus"))
        listener.listen()
        calls = []

        def hang_up():
            while True:
                client, _ = listener.accept()
                client.recv(10)
                client.close()
                calls.append(1)

        threading.Thread(target=hang_up, daemon=True).start()
        code, status = m.status()
    check_equal((code, status["state"]), (3, "not-running"), "exit status and state")
    check_equal(len(calls), 2, "asked once more, for another daemon may be there by now")


main()
