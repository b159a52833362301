#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A driver that works is never taken away: what is wanted beyond it and cannot be had makes the start degraded, not failed."""

import os
import shutil

from harness import MODULES, SOURCE, check, check_equal, gpus_of, main, put_driver, story

H200_DRIVER = "580.159.04"


def put_live(m, name, version, refcnt=None):
    """A module of a kernel without MODULE_UNLOAD: no count, nothing that holds it."""
    m.put(f"sys/module/{name}/version", f"{version}\n")
    m.put(f"sys/module/{name}/initstate", "live\n")
    m.put(f"sys/module/{name}/taint", "O\n")
    os.makedirs(m.path(f"sys/module/{name}/holders"), exist_ok=True)
    if refcnt is not None:
        m.put(f"sys/module/{name}/refcnt", f"{refcnt}\n")


def h200(m):
    """The image loaded nvidia and nvidia_uvm; its kernel takes signed modules only, has no DRM and never unloads."""
    shutil.rmtree(m.path(SOURCE))
    put_live(m, "nvidia", H200_DRIVER)
    put_live(m, "nvidia_uvm", H200_DRIVER)
    m.put("sys/module/module/parameters/sig_enforce", "Y\n")
    for address in gpus_of(m.root):
        m.put(f"sys/devices/pci0000:00/{address}/device", "0x2335\n")
        m.put(f"sys/devices/pci0000:00/{address}/class", "0x030200\n")
    put_driver(m.root)


def wait_degraded(m, d, code):
    d.wait_for(lambda: m.status()[1]["code"] == code, code)
    status = m.status()[1]
    check_equal(status["state"], "degraded", "state")
    return status


def kept_whole(m, d, code, missing):
    d.wait_ready()
    status = wait_degraded(m, d, code)
    for name in missing:
        check(name in status["detail"], f"{name} in {status['detail']}")
    check_equal((status["foreign"], m.helper_log()), (True, []), "foreign, what was done")
    d.stop()
    check_equal(m.list("sys/module"), ["module", "nvidia", "nvidia_uvm"], "modules after the stop")


@story("signatures are forced and two wanted modules are missing: READY with what is live, degraded with the reason", gpus=2)
def forced(m):
    h200(m)
    m.put_driver_source()
    plan = m.run("plan", "--json", f"--set=Driver.Modules={' '.join(MODULES)}")
    check_equal(plan.returncode, 50, "exit status of plan")
    d = m.start(modules=" ".join(MODULES))
    kept_whole(m, d, "signature-required", ["nvidia-modeset", "nvidia-drm"])
    check_equal(m.compiled(), 0, "compiled objects")


@story("nothing to build from: READY with what is live", gpus=2)
def no_source(m):
    h200(m)
    os.unlink(m.path("sys/module/module/parameters/sig_enforce"))
    d = m.start(modules=" ".join(MODULES))
    d.wait_ready()
    status = wait_degraded(m, d, "driver-source-missing")
    check("nvidia-drm" in status["detail"], status["detail"])
    d.stop()


@story("the source is of another version than the driver that is loaded: nothing is built for it", gpus=2)
def other_version(m):
    h200(m)
    m.put_driver_source()
    os.unlink(m.path("sys/module/module/parameters/sig_enforce"))
    d = m.start(modules=" ".join(MODULES))
    d.wait_ready()
    wait_degraded(m, d, "driver-source-version")
    check_equal(m.compiled(), 0, "compiled objects")
    d.stop()


@story("a missing module is refused by the kernel: the others are kept, and READY is announced")
def refused(m):
    d = m.start()
    d.wait_ready()
    d.kill()
    shutil.rmtree(m.path("sys/module/nvidia_modeset"))
    shutil.rmtree(m.path("sys/module/nvidia/holders/nvidia_modeset"))
    m.put("sys/module/nvidia/refcnt", "1\n")
    m.put("ctl/fail-insert-nvidia_modeset", "129")
    d = m.start()
    d.wait_ready()
    status = wait_degraded(m, d, "load-refused")
    check("nvidia_modeset" in status["detail"], status["detail"])
    check_equal(m.loaded(), ["nvidia", "nvidia_uvm"], "modules")
    d.stop()
    check_equal(m.loaded(), [], "modules after the stop: they are ours")


@story("one GPU of two is dead: the other one is kept, READY, and the dead one is named; healed when it comes", gpus=2)
def one_dead(m):
    env = m.umockdev()
    os.unlink(m.path("run/udev/control"))
    dead = gpus_of(m.root)[1]
    m.put("ctl/silent-gpu", dead)
    d = m.start("--set=Load.DeviceTimeoutSec=2s", env=env)
    d.wait_ready()
    d.wait_for(lambda: m.status(env)[1]["state"] == "degraded", "degraded")
    code, status = m.status(env)
    check_equal((code, status["code"]), (35, "devices-missing"), "status")
    check(f"GPU {dead}: the driver does not list it" in status["detail"], status["detail"])
    check_equal([x for x in m.helper_log() if x.startswith("delete")], [], "what was unloaded")
    os.unlink(m.path("ctl/silent-gpu"))
    put_driver(m.root)
    d.wait_for(lambda: m.status(env)[1]["state"] == "ready", "ready")
    d.stop()
    check_equal(m.loaded(), [], "modules after the stop")


main()
