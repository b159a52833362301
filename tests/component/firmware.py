#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The driver's firmware is where the kernel finds it before the first module is loaded, and gone after the last."""

import os
import signal

from harness import DRIVER, SOURCE, check, check_equal, main, story

PARAMETER = "sys/module/firmware_class/parameters/path"
PUBLIC = "run/nvidia/driver/lib/firmware"
PLACE = f"{PUBLIC}/nvidia/{DRIVER}"
RECORD = "run/nvidia/nvidia-driver.firmware"
FILE = "gsp_tu10x.bin"


def prepare(m, source=f"{SOURCE}/firmware", parameter="\n"):
    m.put(PARAMETER, parameter)
    if source:
        m.put(f"{source}/{FILE}", "firmware")
        m.put(f"{source}/gsp_ga10x.bin", "firmware")


def parameter(m):
    return m.get(PARAMETER)


def copies(m):
    return sum("firmware" in line.split()[0] for line in m.get("ctl/worker.log").splitlines())


def check_withdrawn(m):
    check_equal(parameter(m), "\0", "firmware_class.path")  # a NUL is how the kernel is told nothing
    check(not m.exists("run/nvidia/driver") and not m.exists(RECORD), f"left: {m.list('run/nvidia')}")
    check_equal(m.loaded(), ["firmware_class"], "modules")


def start(m, *arguments):
    d = m.start(*arguments)
    d.wait_ready()
    return d


@story("the firmware of the driver's source is shown before the first module is inserted, and taken away after the last")
def published(m):
    prepare(m)
    m.close("insert-nvidia")
    d = m.start()
    m.wait_at("insert-nvidia")
    check_equal(m.list(PLACE), ["gsp_ga10x.bin", FILE], "the published files")
    check_equal(m.list(f"{PUBLIC}/nvidia"), [DRIVER], "nothing half done beside them")
    check_equal(parameter(m), f"/{PUBLIC}", "firmware_class.path, without a newline")
    m.open("insert-nvidia")
    d.wait_ready()
    m.close("delete-nvidia")
    d.send(signal.SIGTERM)
    m.wait_at("delete-nvidia")
    check_equal(parameter(m), f"/{PUBLIC}", "while a module is left")
    m.open("delete-nvidia")
    check_equal(d.wait(), 0, "exit status")
    check_withdrawn(m)
    m.check_gone()


@story("who adopts the driver withdraws its firmware when it goes")
def adopted(m):
    prepare(m)
    d = start(m)
    d.kill()
    d = start(m)
    check_equal(copies(m), 1, "copies")
    d.stop()
    check_withdrawn(m)


@story("busy: the firmware stays as long as the driver")
def busy(m):
    prepare(m)
    d = start(m, "--set=Stop.TimeoutSec=300ms")
    m.put("sys/module/nvidia_uvm/refcnt", "1\n")
    d.send(signal.SIGTERM)
    check_equal(d.wait(), 40, "exit status")
    check_equal((parameter(m), len(m.list(PLACE))), (f"/{PUBLIC}", 2), "what the driver may ask for")


@story("killed while it copies: the next one does it all")
def killed(m):
    prepare(m)
    m.close("firmware")
    d = m.start()
    m.wait_at("firmware")
    m.put(f"{PUBLIC}/nvidia/.{DRIVER}/{FILE}", "half")
    check_equal(m.helper_log(), [], "insertions while it is copied")
    d.kill()
    m.open("firmware")
    d = start(m)
    check_equal(m.list(PLACE), ["gsp_ga10x.bin", FILE], "the published files")
    check_equal(os.listdir(m.path(f"{PUBLIC}/nvidia")), [DRIVER], "nothing half done beside them")
    d.stop()
    check_withdrawn(m)


@story("SIGTERM while it copies")
def stopped(m):
    prepare(m)
    m.close("firmware")
    d = m.start()
    m.wait_at("firmware")
    d.send(signal.SIGTERM)
    d.wait_log("Stopping: signal 15")
    m.open("firmware")
    check_equal(d.wait(), 0, "exit status")
    check_equal((m.helper_log(), m.exists(RECORD), m.exists("run/nvidia/driver")), ([], False, False), "what is left")
    m.check_gone()


@story("firmware that the kernel finds is left alone, and so is everything else")
def visible(m):
    prepare(m)
    m.put(f"lib/firmware/updates/nvidia/{DRIVER}/{FILE}", "firmware")
    d = start(m, "--verbose")
    check(f"the kernel finds it in /lib/firmware/updates/nvidia/{DRIVER}" in d.log(), d.log())
    d.stop()
    check_equal(parameter(m), "\n", "firmware_class.path")
    check(not m.exists("run/nvidia/driver"), "nothing is published")


@story("none anywhere: not a word, unless asked for")
def none(m):
    prepare(m, source=None)
    d = start(m)
    d.stop()
    check("irmware" not in d.log(), d.log())
    check_equal(parameter(m), "\n", "firmware_class.path")


@story("NVreg_EnableGpuFirmware=0: nothing is published")
def disabled(m):
    prepare(m)
    d = start(m, "--set=Parameters.nvidia=NVreg_EnableGpuFirmware=0")
    check_equal((parameter(m), m.exists("run/nvidia/driver")), ("\n", False), "nothing is done")
    d.stop()


@story("Firmware= names it, in either layout, and wins")
def configured(m):
    prepare(m)
    m.put("srv/a/gsp_tu10x.bin", "a")
    m.put(f"srv/b/nvidia/{DRIVER}/gsp_tu10x.bin", "b")
    for name in ("a", "b"):
        d = start(m, f"--set=Driver.Firmware=/srv/{name}")
        check_equal(m.get(f"{PLACE}/{FILE}"), name, "content")
        d.stop()
        check_withdrawn(m)
        m.put(PARAMETER, "\n")


@story("a path that somebody has set stays: a warning with its code, and ready all the same")
def taken(m):
    prepare(m, parameter="/srv/firmware\n")
    d = start(m)
    check("[firmware-hidden]" in d.log() and "Somebody has set firmware_class.path to /srv/firmware" in d.log(), d.log())
    check(any("/srv/firmware" in p for p in m.status()[1]["problems"]), "the status has it too")
    check(not m.exists("run/nvidia/driver"), "nothing is copied")
    d.stop()
    check_equal(parameter(m), "/srv/firmware\n", "firmware_class.path")


@story("a path that somebody sets while we run is not taken away")
def overtaken(m):
    prepare(m)
    d = start(m)
    m.put(PARAMETER, "/srv/firmware\n")
    d.stop()
    check_equal(parameter(m), "/srv/firmware\n", "firmware_class.path")
    check(not m.exists(RECORD) and not m.exists("run/nvidia/driver"), "our copy is gone all the same")


@story("in a container whose /run/nvidia the host does not see: said, not pointed to")
def unseen(m):
    prepare(m)
    os.makedirs(m.path("proc/1/root/lib/firmware"))
    d = start(m)
    check("[firmware-hidden]" in d.log() and "init's mount namespace" in d.log(), d.log())
    check_equal(parameter(m), "\n", "firmware_class.path")
    d.stop()
    check(not m.exists("run/nvidia/driver"), "the copy that nobody sees is gone")


@story("in a container with the host's /run/nvidia: its own /lib/firmware is shown to the host")
def container(m):
    prepare(m, source=f"lib/firmware/nvidia/{DRIVER}")
    os.makedirs(m.path("proc/1/root/run/nvidia"))
    os.symlink("../proc/1/root/run/nvidia", m.path("run/nvidia"))
    d = start(m)
    check_equal(parameter(m), f"/{PUBLIC}", "firmware_class.path")
    check_equal(len(m.list(f"proc/1/root/{PLACE}")), 2, "files that init sees")
    d.stop()
    check_withdrawn(m)


@story("a copy that fails is no reason not to start")
def failing(m):
    prepare(m)
    os.symlink("nowhere", m.path(f"{SOURCE}/firmware/gsp_zz.bin"))
    d = start(m)
    check("gsp_zz.bin: No such file or directory" in d.log() and "[firmware-hidden]" in d.log(), d.log())
    check_equal((parameter(m), m.list(f"{PUBLIC}/nvidia")), ("\n", []), "what is shown")
    d.stop()
    check(not m.exists(RECORD), "no record is left")


@story("after a boot the record of the one before takes nothing away but the copy")
def rebooted(m):
    prepare(m)
    d = start(m)
    d.kill()
    m.put("proc/sys/kernel/random/boot_id", "99999999-2222-4333-8444-555555555555\n")
    import shutil
    for name in ("nvidia", "nvidia_uvm", "nvidia_modeset"):
        shutil.rmtree(m.path(f"sys/module/{name}"))
    d = start(m)
    check_equal(parameter(m), f"/{PUBLIC}", "firmware_class.path, which in this story outlived the boot")
    d.stop()
    check_equal(parameter(m), f"/{PUBLIC}", "it was not set in this boot by us")
    check(not m.exists(PLACE), "the copy was ours")


main()
