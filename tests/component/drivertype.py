#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proprietary or open modules: sources of both kinds, and the GPUs decide."""

import json
import os
import shutil

from harness import DRIVER, SOURCE, check, check_equal, main, story

BOTH = f"opt/nvidia/{DRIVER}"
# As they are sold: Tesla T4, GeForce GTX 1080, GH200, B200.
T4, GTX_1080, GH200, B200 = "0x1eb8", "0x1b80", "0x2342", "0x2901"


def put_both(m):
    """What a .run file unpacks to."""
    os.makedirs(m.path(BOTH))
    shutil.move(m.path(SOURCE), m.path(f"{BOTH}/kernel"))
    shutil.copytree(m.path(f"{BOTH}/kernel"), m.path(f"{BOTH}/kernel-open"))
    m.put(f"{BOTH}/kernel-open/nvidia-modeset/nvidia-modeset-linux.c", 'MODULE_LICENSE("Dual MIT/GPL");\n')


def put_gpus(m, *devices):
    for slot, device in enumerate(devices, 4):
        m.put(f"sys/devices/pci0000:00/0000:00:{slot:02x}.0/device", device + "\n")


def compile_step(m, *more):
    p = m.run("plan", "--json", *more)
    check(p.stdout.startswith("{"), p.stderr)
    steps = [x["reason"] for x in json.loads(p.stdout)["plan"] if x["stage"] == "compiling"]
    return steps[0] if steps else None


@story("both would do: the proprietary ones of this branch; and the daemon builds them")
def default(m):
    put_both(m)
    check_equal(compile_step(m), f"driver {DRIVER} from {BOTH}/kernel, the proprietary modules: the default of {DRIVER}, "
                "both drive the GPUs", "compile")
    d = m.start()
    d.wait_ready()
    check(f"{DRIVER}-proprietary-" in m.builds()[0], m.builds())
    d.stop()


@story("only the open ones drive it: those are built, and the manifest says so")
def needs_open(m):
    put_both(m)
    put_gpus(m, GH200)
    check_equal(compile_step(m), f"driver {DRIVER} from {BOTH}/kernel-open, the open modules: by the built-in list "
                "nothing else drives 0000:00:04.0 (10de:2342)", "compile")
    d = m.start()
    d.wait_ready()
    check(f"{DRIVER}-open-" in m.builds()[0], m.builds())
    d.stop()


@story("NVIDIA's own list beside the sources counts, and a broken one is told")
def own_list(m):
    put_both(m)
    name = f"{BOTH}/supported-gpus/supported-gpus.json"
    m.put(name, json.dumps({"chips": [{"devid": "0x1EB8", "name": "Tesla T4", "features": []}]}))
    check_equal(compile_step(m), f"driver {DRIVER} from {BOTH}/kernel, the proprietary modules: by /{name} "
                "nothing else drives 0000:00:04.0 (10de:1eb8)", "compile")
    m.put(name, '{"chips": [')
    p = m.run("plan")
    check(f"/{name}:1: " in p.stdout and "the built-in list is used" in p.stdout, p.stdout)
    p = m.run("build")
    check_equal(p.returncode, 0, p.stderr)
    check(f"/{name}:1: " in p.stderr, p.stderr)


@story("GPUs that contradict each other", gpus=3)
def conflict(m):
    put_both(m)
    put_gpus(m, GTX_1080, T4, B200)
    text = ("By the built-in list only the proprietary modules drive 0000:00:04.0 (10de:1b80), and only the open ones "
            "0000:00:06.0 (10de:2901).")
    d = m.start()
    check_equal(d.wait(), 61, "exit status")
    check(text in d.log(), d.log())
    p = m.run("build")
    check_equal(p.returncode, 61, p.stderr)
    check(text in p.stderr and "Exclude=" in p.stderr, p.stderr)
    # The two ways out that the message names.
    check("kernel-open, the open modules" in compile_step(m, "--set=Devices.Exclude=0000:00:04.0"), "one left out")
    p = m.run("plan", "--set=Driver.Type=proprietary")
    check_equal(p.returncode, 0, p.stdout)
    check("only the open modules drive 0000:00:06.0 (10de:2901), but it is the proprietary ones that are built" in p.stdout,
          p.stdout)


@story("builds of both kinds are there: the GPUs decide among them, too")
def builds_of_both(m):
    put_both(m)
    for kind in "open", "proprietary":
        # The newer one is of the kind that the GPU cannot use.
        check_equal(m.run("build", f"--set=Driver.Type={kind}").returncode, 0, kind)
        os.sync()
    shutil.rmtree(m.path("opt/nvidia"))
    put_gpus(m, GH200)
    opened, closed = (next(b for b in m.builds() if f"-{kind}-" in b) for kind in ("open", "proprietary"))
    plan = m.run("plan").stdout
    check(f"build {opened}" in plan and closed not in plan, plan)
    put_gpus(m, GTX_1080)
    plan = m.run("plan").stdout
    check(f"build {closed}" in plan and opened not in plan, plan)
    # To these it is all the same.
    put_gpus(m, T4)
    plan = m.run("plan").stdout
    check(f"build {closed}" in plan or f"build {opened}" in plan, plan)
    check("modules drive" not in plan, plan)

    put_gpus(m, GH200)
    shutil.rmtree(m.path(f"var/lib/nvidia-driverd/builds/{opened}"))
    plan = m.run("plan").stdout
    check(f"only the open modules drive 0000:00:04.0 (10de:2342), but build {closed} has the proprietary ones" in plan, plan)


@story("only the wrong kind is there: a warning, it is not ours to forbid")
def wrong_kind(m):
    put_gpus(m, GH200)
    text = "only the open modules drive 0000:00:04.0 (10de:2342), but it is the proprietary ones that are built"
    d = m.start()
    d.wait_ready()
    check(text in d.log(), d.log())
    d.stop()


main()
