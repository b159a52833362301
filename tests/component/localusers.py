#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What any user of the host may try against the daemon: as nobody, and past the socket's mode as root."""

import array
import contextlib
import fcntl
import json
import os
import resource
import signal
import socket
import threading
import time

from busclient import AUTH, BEGIN, BusClient
from harness import SLACK, STORE, Daemon, check, check_equal, main, note, story, wait_until
from machine import NOBODY

RUNTIME = "run/nvidia-driverd"
STATUS = f"{RUNTIME}/status.json"
END = 30.0  # seconds; sd-bus would wait 90 for one silent client


def become_nobody():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def as_nobody(function):
    """What @function returns, as JSON, from a process of nobody's."""
    mine, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            become_nobody()
            os.write(theirs, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(mine, "rb") as f:
        text = f.read()
    os.waitpid(pid, 0)
    check(text, "nobody's process got to its end")
    return json.loads(text)


def status_as_nobody(m, *arguments):
    return m.run_as_nobody("NVIDIA_DRIVER", "status", *arguments)


def memory(d):
    with open(f"/proc/{d.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def processor(d):
    """Seconds of it that the daemon has had."""
    with open(f"/proc/{d.pid}/stat", encoding="utf-8") as f:
        words = f.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def connect(m):
    s = socket.socket(socket.AF_UNIX)
    s.connect(m.path(f"{RUNTIME}/bus"))
    return s


@story("nobody may not open the bus, and reads the status from its file")
def reads_status(m):
    m.admit()
    d = m.start()
    d.wait_ready()

    def attempt():
        with contextlib.suppress(PermissionError):
            connect(m)
            return True
        return False

    check_equal(as_nobody(attempt), False, "nobody's connection to the bus")
    check_equal(os.stat(m.path(f"{RUNTIME}/bus")).st_mode & 0o777, 0o600, "mode of the socket")
    check_equal(os.stat(m.path(STATUS)).st_mode & 0o777, 0o644, "mode of the file")
    p = status_as_nobody(m, "--json")
    check_equal((p.returncode, p.stderr), (0, ""), "exit status and errors")
    mine, theirs = m.status()[1], json.loads(p.stdout)
    check_equal((theirs["state"], theirs["pid"]), ("ready", d.pid), "state and pid")
    for key in ("code", "driverVersion", "build", "plan", "gpus", "devices", "services", "pidStart"):
        check_equal(theirs[key], mine[key], key)
    check_equal(status_as_nobody(m).stdout.splitlines()[0].split()[:2], ["State:", "ready"], "for people")
    d.stop()
    m.check_gone()


@story("every state that people wait for is in the file before it is announced")
def follows(m):
    m.admit()
    m.close("compile")
    d = m.start()
    m.wait_at("compile")
    wait_until(lambda: json.loads(m.get(STATUS))["state"] == "compiling" if m.exists(STATUS) else False, "compiling, in the file")
    check_equal(status_as_nobody(m).returncode, 5, "exit status while it is on its way")
    m.open("compile")
    d.wait_ready()
    check_equal(json.loads(m.get(STATUS))["state"], "ready", "state")
    d.stop()


@story("a file that a killed daemon left is no daemon")
def killed(m):
    m.admit()
    d = m.start()
    d.wait_ready()
    d.kill()
    check(m.exists(STATUS), "the file is left")
    p = status_as_nobody(m, "--json")
    check_equal((p.returncode, json.loads(p.stdout)["state"]), (3, "not-running"), "exit status and state")
    # The same number, and another process.
    text = json.loads(m.get(STATUS))
    m.put(STATUS, json.dumps(text | {"pid": os.getpid()}))
    check_equal(status_as_nobody(m).returncode, 3, "exit status")
    m.put(STATUS, "[]")
    check(status_as_nobody(m).returncode not in (0, 3, 5), "what is no status is an error")


@story("only root sees who holds the driver")
def holders(m):
    m.admit()
    d = m.start("--set=Stop.TimeoutSec=3s")
    d.wait_ready()
    m.put("sys/module/nvidia_uvm/refcnt", "1\n")
    m.put_process(4242, "secretive", fds={3: "/dev/nvidia-uvm"})
    d.send(signal.SIGTERM)
    seen = set()

    def look():
        with contextlib.suppress(FileNotFoundError):
            seen.add(m.get(STATUS))
        return not d.alive()

    wait_until(look, "the daemon ends")
    check_equal(d.wait(), 40, "exit status")
    check("secretive" in d.log(), "the log names the process")
    check(seen and not any("secretive" in text for text in seen), "the file does not")
    check("secretive" in m.run("status").stdout, "root sees it afterwards")
    check("secretive" not in status_as_nobody(m).stdout, "nobody does not")
    check("secretive" in m.run("history").stdout, "so does the history of root")
    p = m.run_as_nobody("NVIDIA_DRIVER", "history")
    check_equal((p.returncode, p.stdout), (4, ""), "nobody's")
    check("not-permitted" in p.stderr, "with its code")


@story("an idle daemon does not write")
def idle(m):
    d = m.start(env={"WATCHDOG_USEC": "2000000"})
    d.wait_ready()

    def beats(n):
        have = len(d.sent("WATCHDOG"))
        d.wait_for(lambda: len(d.sent("WATCHDOG")) >= have + n, "heartbeats")

    beats(2)  # what belongs to the start has been written
    before = os.stat(m.path(STATUS))
    beats(3)
    after = os.stat(m.path(STATUS))
    check_equal((after.st_ino, after.st_mtime_ns), (before.st_ino, before.st_mtime_ns), "file")
    d.stop()


@story("a file that cannot be written is logged once, and written later")
def cannot_write(m):
    os.makedirs(m.path(f"{STATUS}/in-the-way"))
    d = m.start()
    d.wait_ready()
    check_equal(d.log().count("status.json could not be written"), 1, "warnings")
    check_equal(m.status()[1]["state"], "ready", "over the bus")
    os.rmdir(m.path(f"{STATUS}/in-the-way"))
    os.rmdir(m.path(STATUS))
    d.send(signal.SIGHUP)
    wait_until(lambda: m.exists(STATUS), "the file")
    d.stop()


@story("descriptors that a client passes are not kept")
def descriptors(m):
    d = m.start()
    d.wait_ready()
    before = len(d.fds())
    null = os.open("/dev/null", os.O_RDONLY)
    clients = []
    for _ in range(8):
        s = connect(m)
        s.sendall(AUTH)
        s.recv(1000)
        s.sendall(b"NEGOTIATE_UNIX_FD\r\n")
        check(s.recv(1000).startswith(b"ERROR"), "descriptors are not agreed upon")
        s.sendall(BEGIN)
        with contextlib.suppress(OSError):  # it may hang up
            s.sendmsg([b"l\1\0\1\xff\xff\0\0\1\0\0\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null] * 100))])
        clients.append(s)
    check_equal(m.status()[0], 0, "status")
    check(len(d.fds()) <= before + len(clients), f"descriptors: {len(d.fds())}, before {before}")
    for s in clients:
        s.close()
    os.close(null)
    d.stop()


@story("answers that a client does not read are not kept without a limit")
def deaf(m):
    d = m.start()
    d.wait_ready()
    m.status()
    before = memory(d)
    c = BusClient(m)
    c.begin()
    c.socket.setblocking(False)
    calls = b"".join(c.next_call() for _ in range(40000))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while calls:
            with contextlib.suppress(BlockingIOError):
                calls = calls[c.socket.send(calls):]
            check_equal(d.alive(), True, "alive")
    grown = memory(d) - before
    note(f"{grown} kB more")
    check(calls, "the client was hung up on")
    check(grown < 100000, f"the daemon grew by {grown} kB")
    check_equal(m.status()[0], 0, "status")
    c.close()
    d.stop()


@story("neither silent clients nor one that does not read delay the end")
def end(m):
    d = m.start()
    d.wait_ready()
    silent = [connect(m) for _ in range(40)]
    for s in silent[::2]:
        s.sendall(AUTH)
    c = BusClient(m)
    c.begin()
    with contextlib.suppress(OSError):
        for _ in range(100):
            c.say(c.next_call())
    check_equal(m.status()[0], 0, "status")
    d.stop(limit=END)
    m.check_gone()
    for s in silent:
        s.close()


@story("without descriptors the loop does not spin, and later everybody is answered")
def no_descriptors(m):
    d = m.start(env={"WATCHDOG_USEC": "2000000"})
    d.wait_ready()
    m.status()
    limit = resource.prlimit(d.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (3, limit[1]))
    s = connect(m)
    c = BusClient(m)
    used, beats = processor(d), len(d.sent("WATCHDOG"))
    # Its heartbeat needs a descriptor as well, so our own clock measures two beats.
    until = time.monotonic() + 2
    wait_until(lambda: time.monotonic() > until, "two seconds")
    used = processor(d) - used
    note(f"{used:.2f} s of the processor, {len(d.sent('WATCHDOG')) - beats} heartbeats")
    check(used < 1, f"the loop spins: {used:.2f} s of 2")
    resource.prlimit(d.pid, resource.RLIMIT_NOFILE, limit)
    c.say(AUTH + BEGIN + c.next_call())
    check(c.answer(SLACK), "an answer")
    s.close()
    c.close()
    d.stop()


def lock_all(m):
    """A process of nobody's that has everything locked that it can open: what state of ours there is."""
    mine, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            become_nobody()
            n = 0
            for top in ("run", STORE):
                for directory, _, files in os.walk(m.path(top)):
                    for name in [directory] + [os.path.join(directory, f) for f in files]:
                        with contextlib.suppress(OSError):
                            fcntl.flock(os.open(name, os.O_RDONLY | os.O_NONBLOCK), fcntl.LOCK_EX | fcntl.LOCK_NB)
                            n += 1
            os.write(theirs, f"{n}\n".encode())
            signal.pause()
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(mine) as f:
        n = int(f.readline())
    check(n > 0, "there is something that nobody can lock")
    note(f"nobody has {n} files and directories locked")
    return pid


@story("locks of nobody's block neither a start nor a publish")
def locks(m):
    m.admit()
    d = m.start()
    d.wait_ready()
    d.kill()
    pids = [lock_all(m)]
    d = m.start()
    d.wait_ready()
    check_equal(m.get("run/nvidia/nvidia-driver.pid").strip(), str(d.pid), "pid file")
    pids.append(lock_all(m))
    d.stop()
    for build in m.builds():
        os.rename(m.path(f"{STORE}/builds/{build}"), m.path(f"tmp/{build}"))
    d = m.start()
    d.wait_ready()
    m.check_store(1)
    d.stop()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    m.check_gone()


@story("a removed pid file is made again, and no second daemon starts meanwhile")
def pid_file(m):
    d = m.start()
    d.wait_ready()
    path = m.path("run/nvidia/nvidia-driver.pid")
    for remove in (lambda: os.unlink(path), lambda: os.rename(path, path + ".old")):
        d.send(signal.SIGSTOP)  # it does not get to it before the second one looks
        remove()
        second = m.start()
        check_equal(second.wait(), 1, "exit status of the second one")
        check("already running" in second.log(), second.log())
        began = time.monotonic()
        d.send(signal.SIGCONT)
        wait_until(lambda: os.path.exists(path), "the pid file")
        note(f"there again after {time.monotonic() - began:.3f} s")
        check(time.monotonic() - began < 2, "within two seconds")
        check_equal(m.get("run/nvidia/nvidia-driver.pid").strip(), str(d.pid), "its number")
        check_equal(os.stat(path).st_mode & 0o777, 0o644, "its mode")
    os.unlink(path + ".old")
    # Everything of it, and nobody was faster.
    os.unlink(m.path("run/nvidia/.nvidia-driver.lock"))
    wait_until(lambda: m.exists("run/nvidia/.nvidia-driver.lock"), "the lock")
    check_equal(m.start().wait(), 1, "exit status of the third one")
    d.stop()
    m.check_gone()
    check(not m.exists("run/nvidia/.nvidia-driver.lock"), "the lock is gone")


@story("a log that nobody reads does not stop the daemon")
def full_pipe(m):
    name = m.path(f"ctl/daemon-{Daemon.count + 1}.log")
    os.mkfifo(name)
    pipe = os.open(name, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
    d = m.start()
    d.log = lambda: ""  # nobody reads
    d.wait_ready()
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x")
    reloads = len(d.sent("RELOADING"))
    d.send(signal.SIGHUP)
    d.wait_for(lambda: len(d.sent("RELOADING")) > reloads, "the reload")
    check_equal(m.status()[0], 0, "status")
    read = b""

    def drain():
        nonlocal read
        with contextlib.suppress(BlockingIOError):
            read += os.read(pipe, 65536)
        return b"log lines were dropped." in read

    drain()
    d.send(signal.SIGHUP)
    wait_until(drain, "the number of lines that are missing")
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x")
    d.stop(limit=END)
    os.close(pipe)


@story("a journal that has stopped does not stop the daemon")
def stopped_journal(m):
    name = f"ctl/daemon-{Daemon.count + 1}.log"
    m.put(name, "")
    st = os.stat(m.path(name))
    os.makedirs(m.path("run/systemd/journal"))
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(m.path("run/systemd/journal/socket"))
    d = m.start("--verbose", env={"JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"})
    d.wait_ready()
    check_equal(m.status()[0], 0, "status")
    entries = []

    def drain():
        with contextlib.suppress(BlockingIOError):
            while True:
                entries.append(journal.recv(65536, socket.MSG_DONTWAIT).decode())
        return any("log lines were dropped." in e for e in entries)

    check(not drain(), "nothing could be said of what is missing")
    check(entries and all("SYSLOG_IDENTIFIER=nvidia-driverd\n" in e and "PRIORITY=" in e for e in entries), f"{entries}")
    d.send(signal.SIGHUP)
    wait_until(drain, "the number of lines that are missing")
    check_equal(d.log(), "", "never both")
    d.stop(limit=END)
    journal.close()


@story("a service manager that does not read gets READY=1 when it does")
def slow_manager(m):
    hold, listen = threading.Event(), Daemon._listen
    Daemon._listen = lambda d: (hold.wait(), listen(d))
    try:
        d = m.start()
        wait_until(lambda: m.exists(STATUS) and json.loads(m.get(STATUS))["state"] == "ready", "ready", SLACK)
        check_equal(m.status()[0], 0, "status")
        check_equal(d.messages, [], "messages that were read")
    finally:
        hold.set()
        Daemon._listen = listen
    d.wait_ready()
    d.stop(limit=END)


main()
