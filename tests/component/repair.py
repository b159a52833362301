#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""GPUs that leave the bus and come back: nvidia_drm is loaded again for them, if it can be."""

import os
import shutil
import time

from harness import DRIVER, MODULES, check, check_equal, gpus_of, main, make_nodes, put_driver, remove_nodes, story

FOUR = [name.replace("-", "_") for name in MODULES]


class Bus:
    """The machine with three GPUs, looked at every two seconds; the last GPU goes and comes."""

    def __init__(self, m):
        self.m = m
        self.env = m.umockdev()
        os.unlink(m.path("run/udev/control"))
        m.put("ctl/nodes", "")
        self.gpu = gpus_of(m.root)[-1]

    def start(self, *arguments):
        d = self.m.start(*arguments, modules=" ".join(MODULES), env=self.env)
        d.wait_ready()
        return d

    def wait(self, d, state, text=""):
        def look():
            s = self.m.status(self.env)[1]
            return s["state"] == state and text in (s["detail"] or "")
        d.wait_for(look, f"{state} {text}")

    def remove(self):
        remove_nodes(self.m.root, [self.gpu])
        os.rename(self.m.path(f"sys/bus/pci/devices/{self.gpu}"), self.m.path("ctl/gpu"))
        put_driver(self.m.root)
        shutil.rmtree(self.m.path(f"proc/driver/nvidia/gpus/{self.gpu}"))

    def rescan(self):
        os.rename(self.m.path("ctl/gpu"), self.m.path(f"sys/bus/pci/devices/{self.gpu}"))
        put_driver(self.m.root)

    def lose(self, d):
        """Gone and back."""
        self.remove()
        self.wait(d, "degraded", f"card node of {self.gpu}")
        self.rescan()

    def minors(self):
        return len(self.m.list("sys/class/drm"))


def again(m):
    """What was done to modules after the start."""
    return m.helper_log()[len(FOUR):]


@story("a GPU that is back: nvidia_drm is taken out and put in with the parameters it had, nothing else is touched", gpus=3)
def back(m):
    bus = Bus(m)
    m.put("etc/nvidia-driverd/driverd.conf", "[Parameters]\nnvidia-drm=NVreg_EnableMSI=0\n")
    d = bus.start()
    check_equal(bus.minors(), 6, "minors")
    bus.remove()
    bus.wait(d, "degraded", f"card node of {bus.gpu}")
    m.put("etc/nvidia-driverd/driverd.conf", "[Parameters]\nnvidia-drm=NVreg_EnableMSI=1\n")
    d.send(1)
    bus.rescan()
    bus.wait(d, "ready")
    check_equal(bus.minors(), 6, "minors")
    check_equal(again(m), ["delete nvidia_drm", "insert nvidia_drm NVreg_EnableMSI=0"], "what was done")
    check("degraded -> repairing" in d.log() and f"for GPU {bus.gpu}" in d.log(), d.log())
    # And once more.
    bus.lose(d)
    bus.wait(d, "ready")
    check_equal(len(again(m)), 4, "what was done")
    d.stop()
    check_equal(m.loaded(), [], "modules")


@story("a GPU that stays away: nothing is done", gpus=3)
def away(m):
    bus = Bus(m)
    d = bus.start()
    bus.remove()
    bus.wait(d, "degraded", f"Gone: card node of {bus.gpu}")
    d.wait_for(lambda: "still" not in m.status(bus.env)[1]["detail"], "told")
    check_equal(again(m), [], "what was done")
    check("on the bus" not in m.status(bus.env)[1]["detail"], m.status(bus.env)[1])
    d.stop()


@story("somebody has a DRM node open: nvidia_drm stays, he is named, and it goes on when he has gone", gpus=3)
def held(m):
    bus = Bus(m)
    d = bus.start()
    m.put("sys/module/nvidia_drm/refcnt", "1\n")
    m.put_process(4711, "compositor", {3: "/dev/dri/renderD128"})
    m.put_process(4712, "trainer", {3: "/dev/nvidiactl"})
    bus.lose(d)
    bus.wait(d, "degraded", "compositor[4711]")
    detail = m.status(bus.env)[1]["detail"]
    check("trainer" not in detail, detail)
    check(f"{bus.gpu} is back on the bus" in detail and "as soon as nobody uses it" in detail, detail)
    check_equal(again(m), [], "what was done")
    m.end_process(4711)
    m.put("sys/module/nvidia_drm/refcnt", "0\n")
    bus.wait(d, "ready")
    check_equal(again(m), ["delete nvidia_drm", "insert nvidia_drm"], "what was done")
    m.end_process(4712)
    d.stop()


@story("somebody is faster than the repair: it waits for him", gpus=3)
def faster(m):
    bus = Bus(m)
    d = bus.start()
    m.put("ctl/fail-delete-nvidia_drm", "11")
    bus.lose(d)
    d.wait_for(lambda: again(m), "an attempt")
    m.put("sys/module/nvidia_drm/refcnt", "2\n")
    bus.wait(d, "degraded", "2 users")
    os.unlink(m.path("ctl/fail-delete-nvidia_drm"))
    m.put("sys/module/nvidia_drm/refcnt", "0\n")
    bus.wait(d, "ready")
    d.stop()


@story("nvidia_drm does not go in again: told, and tried once more", gpus=3)
def refused(m):
    bus = Bus(m)
    d = bus.start()
    m.put("ctl/fail-insert-nvidia_drm", "12")
    bus.lose(d)
    d.wait_for(lambda: "insert nvidia_drm" in again(m), "an attempt")
    bus.wait(d, "degraded", "module nvidia_drm")
    check("nvidia-drm: Cannot allocate memory" in d.log(), d.log())
    os.unlink(m.path("ctl/fail-insert-nvidia_drm"))
    bus.wait(d, "ready")
    check_equal(again(m), ["delete nvidia_drm", "insert nvidia_drm", "insert nvidia_drm"], "what was done")
    d.stop()


@story("it does not help: given up after three attempts, and told", gpus=3)
def vain(m):
    bus = Bus(m)
    d = bus.start()
    os.unlink(m.path("ctl/nodes"))
    bus.lose(d)
    bus.wait(d, "degraded", "made no DRM nodes for it in 3 attempts")
    # The first one was for one GPU; then all of them had no minors.
    check_equal(again(m), ["delete nvidia_drm", "insert nvidia_drm"] * 4, "what was done")
    check_equal(m.loaded(), sorted(FOUR), "modules")
    d.stop()


@story("the build is damaged: nothing is taken out", gpus=3)
def damaged(m):
    bus = Bus(m)
    d = bus.start()
    base = "var/lib/nvidia-driverd/builds"
    build = f"{base}/{m.list(base)[0]}"
    with open(m.path(f"{build}/nvidia-drm.ko"), "r+b") as f:
        f.write(b"damage")
    bus.lose(d)
    d.wait_for(lambda: "nvidia-drm cannot be loaded again" in d.log(), "the reason")
    check_equal((again(m), m.loaded()), ([], sorted(FOUR)), "what was done, and what is loaded")
    bus.wait(d, "degraded", bus.gpu)
    d.stop()
    check_equal(m.loaded(), [], "modules")


@story("somebody else's driver: only told", gpus=3)
def foreign(m):
    bus = Bus(m)
    for name in FOUR:
        m.put_module(name)
        m.put(f"sys/module/{name}/version", f"{DRIVER}\n")
    put_driver(m.root)
    make_nodes(m.root)
    d = bus.start()
    bus.lose(d)
    bus.wait(d, "degraded", "somebody else loaded it")
    check_equal(m.helper_log(), [], "what was done")
    d.stop()


@story("SIGTERM while nvidia_drm is on its way: waited for, and all of it goes", gpus=3)
def stopped(m):
    bus = Bus(m)
    d = bus.start()
    m.close("delete-nvidia_drm")
    bus.lose(d)
    m.wait_at("delete-nvidia_drm")
    check_equal(m.status(bus.env)[1]["state"], "repairing", "state")
    d.send(15)
    m.open("delete-nvidia_drm")
    check_equal(d.wait(), 0, "exit status")
    check_equal(m.loaded(), [], "modules")
    check("insert nvidia_drm" not in again(m), again(m))


@story("nvidia_drm does not come back from the kernel: STUCK, answering, and on its way when it does", gpus=3)
def stuck(m):
    bus = Bus(m)
    d = bus.start("--set=Load.TimeoutSec=2s")
    m.close("insert-nvidia_drm")
    bus.lose(d)
    bus.wait(d, "stuck", "Module nvidia_drm")
    m.open("insert-nvidia_drm")
    bus.wait(d, "ready")
    d.stop()


@story("killed between out and in: the next daemon puts it in", gpus=3)
def killed(m):
    bus = Bus(m)
    d = bus.start()
    m.close("delete-nvidia_drm")
    bus.lose(d)
    m.wait_at("delete-nvidia_drm")
    d.kill()
    m.open("delete-nvidia_drm")
    d = bus.start()
    check_equal((bus.minors(), m.loaded()), (6, sorted(FOUR)), "minors and modules")
    d.stop()
    check_equal(m.loaded(), [], "modules")


@story("a driver that was adopted is repaired like one that was loaded", gpus=3)
def adopted(m):
    bus = Bus(m)
    m.put("etc/nvidia-driverd/driverd.conf", "[Parameters]\nnvidia-drm=NVreg_EnableMSI=0\n")
    d = bus.start()
    d.kill()
    d = bus.start()
    d.wait_log("Adopted in")
    bus.lose(d)
    bus.wait(d, "ready")
    check_equal(again(m), ["delete nvidia_drm", "insert nvidia_drm NVreg_EnableMSI=0"], "what was done")
    d.stop()
    check_equal(m.loaded(), [], "modules")


def rmmod(m, *names):
    """Somebody else's."""
    for name in names:
        shutil.rmtree(m.path(f"sys/module/{name}"))
        for used in m.loaded():
            holder = m.path(f"sys/module/{used}/holders/{name}")
            if os.path.isdir(holder):
                os.rmdir(holder)
                m.put(f"sys/module/{used}/refcnt", f"{int(m.get(f'sys/module/{used}/refcnt')) - 1}\n")


@story("somebody unloads modules: loaded again from the build, with the parameters they had; nvidia is not touched")
def unloaded(m):
    os.unlink(m.path("run/udev/control"))
    m.put("etc/nvidia-driverd/driverd.conf", "[Parameters]\nnvidia-uvm=NVreg_EnableMSI=0\n")
    d = m.start()
    d.wait_ready()
    done = len(m.helper_log())
    rmmod(m, "nvidia_modeset", "nvidia_uvm")
    d.wait_for(lambda: m.loaded() == sorted(FOUR[:3]), "they are back")
    d.wait_for(lambda: m.status()[1]["state"] == "ready", "ready")
    check_equal(sorted(m.helper_log()[done:]), ["insert nvidia_modeset", "insert nvidia_uvm NVreg_EnableMSI=0"], "what was done")
    check("ready -> degraded" in d.log() and "[modules-lost]" in d.log() and "degraded -> repairing" in d.log(), d.log())
    # One that was adopted, too; and only what was loaded is said to be.
    d.kill()
    rmmod(m, "nvidia_uvm")
    d = m.start()
    d.wait_ready()
    check("Loaded nvidia-uvm from build" in d.log(), d.log())
    d.stop()
    check_equal(m.loaded(), [], "modules after the stop")


@story("a module that does not go in again: given up after three attempts, degraded, nothing else is touched")
def unloaded_vain(m):
    os.unlink(m.path("run/udev/control"))
    d = m.start()
    d.wait_ready()
    done = len(m.helper_log())
    m.put("ctl/fail-insert-nvidia_uvm", "12")
    rmmod(m, "nvidia_uvm")
    d.wait_for(lambda: "left out now" in (m.status()[1]["detail"] or ""), "given up")
    code, status = m.status()
    check_equal((code, status["state"], status["code"]), (45, "degraded", "modules-lost"), "status")
    check(not any("uvm" in x["node"] for x in status["devices"]), f"nodes of a module that is gone: {status['devices']}")
    check_equal(m.helper_log()[done:], ["insert nvidia_uvm"] * 3, "what was done")
    d.stop()
    check_equal(m.loaded(), [], "modules after the stop")


@story("a module that was unloaded, and a damaged build: not loaded again")
def unloaded_left(m):
    os.unlink(m.path("run/udev/control"))
    d = m.start()
    d.wait_ready()
    done = len(m.helper_log())
    build = f"var/lib/nvidia-driverd/builds/{m.builds()[0]}"
    with open(m.path(f"{build}/nvidia-uvm.ko"), "r+b") as f:
        f.write(b"damage")
    rmmod(m, "nvidia_uvm")
    d.wait_log("The module cannot be loaded again")
    check_equal((m.helper_log()[done:], m.loaded()), ([], ["nvidia", "nvidia_modeset"]), "what was done, what is loaded")
    d.stop()


@story("an excluded GPU may come and go", gpus=3)
def excluded(m):
    bus = Bus(m)
    d = bus.start(f"--set=Devices.Exclude={bus.gpu}")
    done = len(m.helper_log())
    bus.remove()
    time.sleep(3)
    bus.rescan()
    time.sleep(3)
    check_equal(m.status(bus.env)[1]["state"], "ready", "state")
    check("degraded" not in d.log(), d.log())
    check_equal(m.helper_log()[done:], [], "what was done")
    d.stop()


if __name__ == "__main__":
    main()
