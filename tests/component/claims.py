#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""GPUs that another driver has, GPUs that are excluded, and the list that keeps nouveau out."""

import errno
import os

from harness import check, check_equal, main, story

FIRST, SECOND = "0000:00:04.0", "0000:00:05.0"
TAKE = "--set=Devices.TakeOver=yes"
LIST = "run/modprobe.d/nvidia-driverd.conf"
RULES = "run/udev/rules.d/99-nvidia-driverd.rules"
ORDER = ["insert nvidia", "insert nvidia_uvm", "insert nvidia_modeset"]


def bind(m, address, driver, override=None):
    os.symlink(f"../../../bus/pci/drivers/{driver}", m.path(f"sys/devices/pci0000:00/{address}/driver"))
    if override:
        m.put(f"sys/devices/pci0000:00/{address}/driver_override", f"{override}\n")


def nouveau(m, address=FIRST):
    bind(m, address, "nouveau")
    m.put("sys/module/nouveau/initstate", "live\n")
    m.put("sys/module/nouveau/refcnt", "0\n")


def override(m, address):
    return m.get(f"sys/devices/pci0000:00/{address}/driver_override").strip()


def check_no_list(m):
    check_equal([n for n in (LIST, RULES, "run/modprobe.d", "run/udev/rules.d") if m.exists(n)], [], "what is left")


@story("a GPU with nouveau: refused at once, named, nothing done")
def refused(m):
    nouveau(m)
    d = m.start()
    check_equal(d.wait(5), 37, "exit status")
    check(f"GPU {FIRST} is bound to nouveau." in d.log() and "TakeOver=yes" in d.log(), d.log())
    check('"blacklist nouveau"' in d.log(), "the hint for the next boot")
    check_equal((m.compiled(), m.helper_log()), (0, []), "compiled and called")
    check_no_list(m)
    p = m.run("plan")
    check_equal(p.returncode, 37, "exit status of plan")
    check(f"GPU {FIRST} is bound to nouveau" in p.stdout, p.stdout)


@story("taken from nouveau: unbound, nouveau unloaded and kept out, and all of it undone on stop")
def taken(m):
    nouveau(m)
    plan = m.run("plan", TAKE).stdout
    check(any("clearing" in l and "run" in l and "is bound to nouveau" in l for l in plan.splitlines()), plan)
    d = m.start(TAKE)
    d.wait_ready()
    # By itself udevd looks every three seconds at most: it might load nouveau again while it is unloaded.
    check_equal(m.helper_log(), ["udevadm control --reload", f"unbind nouveau {FIRST}", "delete nouveau"] + ORDER, "what was done")
    check("blacklist nouveau\n" in m.get(LIST) and m.get(LIST).startswith("# Made by nvidia-driverd"), m.get(LIST))
    check(m.exists(RULES), "udevd is made to look")
    d.stop()
    check_equal(m.loaded(), [], "modules after the stop")
    check_no_list(m)
    m.check_gone()


@story("nouveau that has another GPU stays loaded", gpus=2)
def shared(m):
    nouveau(m)
    bind(m, SECOND, "nouveau")
    os.makedirs(m.path("sys/bus/pci/drivers/nouveau"))
    os.symlink("../../../../devices/x", m.path(f"sys/bus/pci/drivers/nouveau/{SECOND}"))
    d = m.start(TAKE, f"--set=Devices.Exclude={SECOND}")
    d.wait_ready()
    check_equal(m.helper_log(), ["udevadm control --reload", f"unbind nouveau {FIRST}"] + ORDER, "what was done")
    check("nouveau" in m.loaded(), "nouveau is loaded")
    d.stop()


@story("taken from vfio-pci: the override goes too, and is not given back")
def vfio(m):
    bind(m, FIRST, "vfio-pci", "vfio-pci")
    d = m.start(TAKE)
    d.wait_ready()
    check_equal(m.helper_log(), [f"unbind vfio-pci {FIRST}", f"override none {FIRST}"] + ORDER, "what was done")
    d.stop()
    check_equal(override(m, FIRST), "(null)", "driver_override after the stop")


@story("in use: BUSY and named, READY when it is free")
def in_use(m):
    bind(m, FIRST, "vfio-pci")
    m.put("ctl/fail-unbind-vfio-pci", str(errno.EBUSY))
    d = m.start(TAKE, "--set=Retry.DelaySec=50ms")
    d.wait_status("Busy")
    check_equal(m.status()[1]["detail"], f"GPU {FIRST} is in use through vfio-pci.", "detail")
    os.unlink(m.path("ctl/fail-unbind-vfio-pci"))
    d.wait_ready()
    d.stop()


@story("it cannot be unbound: the reason, and no further attempt")
def impossible(m):
    bind(m, FIRST, "pci-stub")
    m.put("ctl/fail-unbind-pci-stub", str(errno.EIO))
    d = m.start(TAKE)
    check_equal(d.wait(), 37, "exit status")
    check(f"GPU {FIRST} could not be taken from pci-stub: Input/output error." in d.log(), d.log())
    check_no_list(m)


@story("unbinding does not return: STUCK, answering, and on its way when the kernel is back")
def stuck(m):
    nouveau(m)
    m.close("unbind-nouveau")
    d = m.start(TAKE, "--set=Load.TimeoutSec=200ms")
    d.wait_status("Stuck")
    check(f"GPU {FIRST}, helper process" in m.status()[1]["detail"], m.status()[1]["detail"])
    m.open("unbind-nouveau")
    d.wait_ready()
    d.stop()


@story("excluded: neither waited for nor counted, out of the driver's reach until it is unloaded", gpus=2)
def excluded(m):
    m.put(f"sys/devices/pci0000:00/{SECOND}/driver_override", "(null)\n")
    d = m.start("--set=Devices.Exclude=00:05.0")
    d.wait_ready()
    check(d.texts()[-1].endswith(", 1 GPU"), d.texts()[-1])
    check_equal(m.helper_log(), [f"override nvidia-driverd-excluded {SECOND}"] + ORDER, "what was done")
    check_equal([g["excluded"] for g in m.status()[1]["gpus"]], [False, True], "status")
    text = m.run("status").stdout
    check(f"{SECOND} 10de:1eb8, driver none, excluded" in text, text)
    d.stop()
    check_equal(override(m, SECOND), "(null)", "driver_override after the stop")


@story("not excluded any more: the driver is loaded again with both", gpus=2)
def included(m):
    d = m.start(f"--set=Devices.Include={FIRST}")
    d.wait_ready()
    check_equal(override(m, SECOND), "nvidia-driverd-excluded", "driver_override")
    d.kill()
    d = m.start()
    d.wait_ready()
    log = m.helper_log()[4:]
    check_equal(log, ["delete nvidia_modeset", "delete nvidia_uvm", "delete nvidia", f"override none {SECOND}"] + ORDER,
                "what was done")
    check(d.texts()[-1].endswith(", 2 GPUs"), d.texts()[-1])
    d.stop()


@story("excluded and with another driver: left alone", gpus=2)
def excluded_elsewhere(m):
    bind(m, SECOND, "vfio-pci", "vfio-pci")
    d = m.start(f"--set=Devices.Exclude={SECOND}", TAKE)
    d.wait_ready()
    check_equal(m.helper_log(), ORDER, "what was done")
    d.stop()
    check_equal(override(m, SECOND), "vfio-pci", "driver_override after the stop")


@story("a GPU that cannot be kept from the driver: nothing is loaded", gpus=2)
def pin_fails(m):
    m.put("ctl/fail-override-nvidia-driverd-excluded", str(errno.EIO))
    d = m.start(f"--set=Devices.Exclude={SECOND}", "--set=Retry.Attempts=1")
    check_equal(d.wait(), 34, "exit status")
    check(f"{SECOND} cannot be kept from the driver: Input/output error." in d.log(), d.log())
    check_equal(m.loaded(), [], "modules")


@story("no GPU is left: no-gpu, and the address that is not there")
def none_left(m):
    d = m.start("--set=Devices.Include=0000:09:00.0")
    check_equal(d.wait(5), 10, "exit status")
    check("[Devices] Include=0000:09:00.0: there is no NVIDIA GPU at this address" in d.log(), d.log())
    check(f"There is {FIRST}, but [Devices] in driverd.conf does not want it" in d.log(), d.log())


@story("udevd that cannot be told is no reason to stop")
def udevd_silent(m):
    nouveau(m)
    m.put("ctl/fail-udevadm", "")
    d = m.start(TAKE)
    d.wait_ready()
    check(f"unbind nouveau {FIRST}" in m.helper_log(), m.helper_log())
    check("control --reload failed, udevd finds the list" in d.log(), d.log())
    d.stop()


@story("a file of the list's name that is not ours is left as it is")
def foreign_list(m):
    m.put(LIST, "blacklist something\n")
    d = m.start()
    d.wait_ready()
    check(f"{LIST} is not ours" in d.log(), d.log())
    d.stop()
    check_equal(m.get(LIST), "blacklist something\n", "the file")
    check(not m.exists(RULES), "ours is gone")


@story("directories that were there stay, and a killed daemon's list is found and removed")
def directories(m):
    m.put("run/modprobe.d/other.conf", "")
    d = m.start()
    d.wait_ready()
    d.kill()
    check(m.exists(LIST), "the list outlives a kill")
    d = m.start()
    d.wait_ready()
    d.stop()
    check_equal(m.list("run/modprobe.d"), ["other.conf"], "modprobe.d")
    check(not m.exists("run/udev/rules.d"), "rules.d was ours")


@story("somebody was faster: the failed load names who has the GPU")
def late(m):
    m.close("insert-nvidia")
    m.put("ctl/fail-insert-nvidia", str(errno.ENODEV))
    d = m.start()
    m.wait_at("insert-nvidia")
    bind(m, FIRST, "nouveau")
    m.open("insert-nvidia")
    check_equal(d.wait(), 37, "exit status")
    check(f"GPU {FIRST} is bound to nouveau" in d.log(), d.log())


main()
