# SPDX-License-Identifier: Apache-2.0
"""Stories about the real daemon and command on machines made of files (machine.py). A test is a list of stories and main().

    NVIDIA_DRIVERD, NVIDIA_DRIVER, NVIDIA_WORKER, NVIDIA_KEEPER   the programs under test
    UMOCKDEV_PRELOAD                               LD_PRELOAD that shows a Machine's /sys to libudev
    KEEP=1                                         keep the directories of failed stories
"""

import os
import subprocess
import sys
import time
import traceback

# What stories need, from one place.
from checks import PATIENCE, SLACK, Failed, Skip, check, check_equal, check_sanitizers, wait_until
from daemon import Daemon
from fixture import (AWAITING, BOOT_ID, CORE_USES, DRIVER, FETCH, FIXTURES, MODULES, OUR_FILES, RELEASE, SOURCE, STORE, TREE,
                     VERMAGIC, can_make_nodes, control, gate, gpus_of, module_name)
from gpunodes import make_node, make_nodes, put_driver, remove_nodes
from machine import Machine
from objects import compile_objects, remove_objects
from uevents import send_module_uevent, send_uevent

_stories = []


def story(text, **machine):
    """Decorates a function that takes a Machine."""
    def add(function):
        _stories.append((text, function, machine))
        return function
    return add


def note(text):
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def _tell(function, options):
    for name in ("NVIDIA_DRIVERD", "NVIDIA_DRIVER", "NVIDIA_WORKER"):
        check(name in os.environ, f"{name} must name the program under test")
    machine = Machine(**options)
    failed = True
    try:
        function(machine)
        failed = False
    except (Failed, subprocess.SubprocessError, OSError, ValueError, KeyError, IndexError):
        for d in machine.daemons:
            if isinstance(d, Daemon):
                note(f"--- log of daemon {d.pid}, exit status {d.process.poll()}\n{d.log()[-6000:]}")
                note("--- messages\n" + "\n".join(f"{t - d.started:7.3f} {m}" for t, m, _ in d.messages[-40:]))
        raise
    finally:
        machine.end(failed)


def main():
    """Tells the stories whose text contains an argument, or all; TAP."""
    chosen = [s for s in _stories if not sys.argv[1:] or any(a in s[0] for a in sys.argv[1:])]
    bad = 0
    print(f"1..{len(chosen)}", flush=True)
    for i, (text, function, options) in enumerate(chosen, 1):
        began = time.monotonic()
        try:
            _tell(function, options)
            print(f"ok {i} - {text}", flush=True)
        except Skip as e:
            print(f"ok {i} - {text} # SKIP {e}", flush=True)
        except Exception:  # pylint: disable=broad-except
            bad += 1
            note(traceback.format_exc())
            print(f"not ok {i} - {text}", flush=True)
        note(f"{time.monotonic() - began:.2f} s")
    remove_objects()
    sys.exit(1 if bad else 0)
