#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What people type: commands and options that are there, that are not, and what they look like on a terminal."""

import json
import os
import re
import signal
import subprocess

from harness import check, check_equal, main, story

USAGE, NOT_PERMITTED, CONFIG, UNKNOWN = 2, 4, 78, 56


def refused(m, *arguments, says, code=USAGE):
    p = m.run(*arguments)
    check_equal((p.returncode, p.stdout), (code, ""), f"{arguments}: {p.stderr}")
    check(says in p.stderr, f"{says!r} in {p.stderr!r}")


@story("explain: all codes, each with status and sentence; one of them; one that is none", gpus=0)
def explain(m):
    p = m.run("explain")
    codes = [x.split(None, 2) for x in p.stdout.splitlines()]
    check_equal((p.returncode, p.stderr), (0, ""), "explain")
    check(len(codes) > 40 and all(len(x) == 3 and x[1].isdigit() for x in codes), p.stdout)
    check_equal(len({x[0] for x in codes}), len(codes), "names, each once")
    for name, status, sentence in codes[::7]:
        p = m.run("explain", name)
        check_equal(p.returncode, 0, p.stderr)
        lines = p.stdout.splitlines()
        check_equal(lines[:2], [f"{name} (exit status {status})", sentence], f"explain {name}")
        check(re.fullmatch(r"Next step: .+", lines[2]) and len(lines) == 4 and lines[3], p.stdout)
    tries = [x for x in ("no-space", "compile-failed") if "tries again" in m.run("explain", x).stdout]
    check_equal(tries, ["no-space"], "what is tried again")
    refused(m, "explain", "nonsense", says='there is no code "nonsense"')


@story("no command, one that is none, arguments that nobody expects: exit status 2 and what is wrong", gpus=0)
def usage(m):
    p = m.run()
    check_equal(p.returncode, USAGE, "exit status without a command")
    check("Commands:" in p.stdout, p.stdout)
    refused(m, "statsu", says='unknown command "statsu"; see nvidia-driver --help')
    refused(m, "status", "now", says='unexpected argument "now"')
    refused(m, "explain", "ok", "twice", says='unexpected argument "twice"')
    for words in (("builds", "remove"), ("builds", "show"), ("builds", "export", "x"), ("builds", "import"), ("builds", "gc", "x")):
        refused(m, *words, says="builds list | show ID")
    refused(m, "toolchain", "get", says="toolchain fetch")
    refused(m, "holders", "--wait=soon", says="--wait=soon: not a time span")
    refused(m, "init", "--kernel=6.1", says="update --kernel=6.1 builds for that one")
    refused(m, "build", "--kernel-tree=/no/such/tree", says="/no/such/tree: No such file or directory")
    refused(m, "plan", "--set=Driver.Nonsense=1", says="no such key in [Driver]")
    refused(m, "builds", "show", "535", code=UNKNOWN, says='"535"')


@story("text that others wrote neither commands a terminal nor forges a line", gpus=0)
def printable(m):
    hostile = "x\x1b[2J\x9b1m\u202e\n    State: ready"
    entry = {"event": "ended", "timeUSec": 1, "boot": hostile, "pid": 1, "code": hostile, "detail": hostile}
    m.put("run/nvidia-driverd/failure", "load-failed\nnvidia\x1b[2J\x9b1m\n    State: ready\n")
    m.put("var/lib/nvidia-driverd/history", json.dumps(entry) + "\n")
    os.makedirs(m.path("var/lib/nvidia-driverd/trees/\x1b[2J"))
    for words in (("status",), ("history",), ("builds", "list"), ("builds", "gc"), ("plan",)):
        p = m.run(*words)
        text = p.stdout + p.stderr
        check(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), f"{words}: {text!r}")
        check("\n    State: ready" not in text, f"{words}: {text!r}")
    check("nvidia?[2J" in m.run("status").stdout and "x?[2J" in m.run("history").stdout, "the text itself is there")


@story("the same of the daemon", gpus=0)
def usage_of_daemon(m):
    def says(*arguments):
        p = subprocess.run([os.environ["NVIDIA_DRIVERD"], *arguments], capture_output=True, text=True, check=False,
                           env=m.environment())
        return p.returncode, p.stdout + p.stderr
    check_equal(says("start"), (USAGE, 'nvidia-driverd: unexpected argument "start"\n'), "an argument")
    status, text = says("--root=/no/such/root")
    check_equal(status, USAGE, text)
    check("/no/such/root: No such file or directory" in text, text)
    status, text = says(f"--root={m.root}", "--set=nonsense")
    check_equal(status, USAGE, text)
    status, text = says(f"--root={m.root}", "--config=/no/such/file")
    check_equal(status, CONFIG, text)
    check("/no/such/file cannot be read: No such file or directory." in text, text)


@story("a configuration file that is named counts, and one that is not there is said", gpus=0)
def config(m):
    m.put("etc/other.conf", "[Driver]\nVersion=999.1\n")
    check("wanted 999.1" in m.run("plan", "--config=/etc/other.conf").stdout, "the version of the named file")
    refused(m, "plan", "--config=/etc/none.conf", code=CONFIG, says="/etc/none.conf: No such file or directory.")


@story("init hands on what it was told: root, configuration file, settings, verbosity")
def init(m):
    m.put("etc/other.conf", "[Driver]\nModules=nvidia\nPrerequisites=\n")
    argv = [os.environ["NVIDIA_DRIVER"], "init", f"--root={m.root}", "--config=/etc/other.conf", "--verbose",
            "--set=Devices.CreateNodes=no"]
    with subprocess.Popen(argv, env=m.environment(), stderr=subprocess.PIPE, text=True) as p:
        log = ""
        for line in p.stderr:
            log += line
            if "Done, now waiting for signal" in line:
                break
        loaded = m.loaded()
        p.send_signal(signal.SIGTERM)
        log += p.communicate()[1]
        check_equal((p.returncode, loaded), (0, ["nvidia"]), f"exit status, modules of the named file: {log}")
    check("Module signatures: " in log, f"debug messages in {log}")
    m.check_gone()


@story("status in colours on a terminal, unless somebody does not want them")
def colours(m):
    plain = "    State: plan\r\n"
    bold = "    State: \x1b[1mplan\x1b[0m\r\n"
    check(m.terminal("plan")[0].startswith(bold), repr(m.terminal("plan")[0]))
    for name, value in (("NO_COLOR", "1"), ("SYSTEMD_COLORS", "0"), ("TERM", "dumb")):
        text = m.terminal("plan", env={name: value})[0]
        check(text.startswith(plain), f"{name}={value}: {text!r}")
    check("\x1b" not in m.run("plan").stdout, "none where nobody looks")
    d = m.start()
    d.wait_ready()
    check("State: \x1b[1;32mready\x1b[0m since " in m.terminal("status")[0], repr(m.terminal("status")[0]))
    d.stop()


@story("somebody who may not: said, nothing is done", gpus=0)
def not_permitted(m):
    p = m.run_as_nobody("NVIDIA_DRIVERD")
    check_equal(p.returncode, NOT_PERMITTED, p.stderr)
    check("Permission denied" in p.stderr, p.stderr)


main()
