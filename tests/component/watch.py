#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Errors of GPUs in the kernel log: which count, how they heal, and when an unload is refused for them."""

import os
import re
import signal
import time

from harness import DRIVER, check, check_equal, gpus_of, main, note, put_driver, story, wait_until

GPU = "0000:00:04.0"
OTHER = "0000:00:05.0"
FALLEN = "GPU has fallen off the bus."
LOADED = "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.999.01"


def bus_name(gpu):
    """As the driver writes it: without the function."""
    return "PCI:" + gpu.removesuffix(".0")


class Kmsg:
    """The machine's kernel log: a FIFO whose writing end stays open."""

    def __init__(self, m):
        os.mkfifo(m.path("dev/kmsg"))
        self.fd = os.open(m.path("dev/kmsg"), os.O_RDWR)
        self.n = 0
        m.daemons.append(self)
        for gpu in gpus_of(m.root):
            bind(m, gpu)

    def say(self, text, ago=0.0, priority=3):
        self.n += 1
        stamp = max(int((time.monotonic() - ago) * 1e6), 0)
        os.write(self.fd, f"{priority},{self.n},{stamp},-;{text}\n".encode())

    def xid(self, number, text, gpu=GPU, **more):
        self.say(f"NVRM: Xid ({bus_name(gpu)}): {number}, pid=4711, name=python3, {text}", **more)

    def end(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


def bind(m, gpu, driver="nvidia"):
    link = m.path(f"sys/bus/pci/devices/{gpu}/driver")
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(f"../../../bus/pci/drivers/{driver}", link)


def wait_state(m, d, state, code="ok"):
    def look():
        status = m.status()[1]
        return status if (status["state"], status["code"]) == (state, code) else None
    return d.wait_for(look, f"state {state}, code {code}")


def ready(m, *arguments):
    d = m.start(*arguments)
    d.wait_ready()
    return d


@story("an Xid of the hardware: degraded, with address, number and meaning")
def fault(m):
    log = Kmsg(m)
    d = ready(m)
    log.xid(48, "An uncorrectable double bit error (DBE) has been detected on GPU.")
    status = wait_state(m, d, "degraded", "gpu-error")
    check_equal(status["detail"], f"GPU {GPU}: Xid 48 (double bit ECC error): "
                "An uncorrectable double bit error (DBE) has been detected on GPU.", "detail")
    check(f"GPU {GPU}: Xid 48 (double bit ECC error)" in d.log(), d.log())
    check_equal(m.run("status").returncode, 49, "exit status of nvidia-driver status")
    told = m.run("history").stdout
    check(re.search(r"kernel: .*Xid 48", told) and "degraded" in told, told)
    check_equal(m.helper_log(), [f"insert {n}" for n in ("nvidia", "nvidia_uvm", "nvidia_modeset")], "helper runs")
    d.stop()
    m.check_gone()


@story("an Xid that is not followed by another for a time is over")
def heals(m):
    log = Kmsg(m)
    d = ready(m, "--set=Watch.QuietSec=1s")
    log.xid(48, "text")
    # By the messages, which keep the time: a status that is asked for may come too late.
    d.wait_status("Degraded")
    d.wait_for(lambda: d.texts()[-1].startswith("Ready"), "ready again")
    states = [(t, s.split()[0].rstrip(":")) for t, s in d.sent("STATUS")]
    degraded = next(t for t, s in states if s == "Degraded")
    healed = next(t for t, s in states if t > degraded and s == "Ready")
    note(f"degraded for {1000 * (healed - degraded):.0f} ms")
    check(healed - degraded > 0.5, "not before the time of quiet is over")
    wait_state(m, d, "ready")
    d.stop()


@story("a program's own fault is said, and the driver stays ready", gpus=2)
def application(m):
    log = Kmsg(m)
    d = ready(m)
    for number in (13, 31, 43, 45, 68, 69):
        log.xid(number, "Ch 00000008", gpu=OTHER)
    d.wait_log(f"GPU {OTHER}: Xid 69 (graphics engine class error): Ch 00000008, caused by a program that uses it.")
    log.xid(63, "Row Remapper: New row marked for remapping")
    d.wait_log("Xid 63 (")
    check_equal(m.status()[0], 0, "exit status of the status: ready")
    check(not any(t.startswith("Degraded") for t in d.texts()), d.texts())
    d.stop()
    m.check_gone()


@story("a storm is counted, not repeated, and stalls nothing")
def storm(m):
    log = Kmsg(m)
    d = ready(m)
    n, slowest = 0, 0.0
    while n < 5000:
        for _ in range(500):
            log.xid(31, f"Ch {n:08x}, engmask 00000101, intr 10000000")
            n += 1
        began = time.monotonic()
        check_equal(m.status()[0], 0, "status in the storm")
        slowest = max(slowest, time.monotonic() - began)
    note(f"{n} messages, the slowest status took {1000 * slowest:.0f} ms")
    check_equal(d.log().count("Xid 31"), 1, "lines in the log")
    # What comes after it is not held up.
    log.xid(62, "halt")
    wait_state(m, d, "degraded", "gpu-error")
    d.stop()
    m.check_gone()


@story("what programs write into the kernel log does not count")
def user(m):
    log = Kmsg(m)
    d = ready(m)
    log.xid(79, FALLEN, priority=8 + 3)
    log.xid(48, "text", priority=24 + 3)
    log.xid(31, "Ch 1")
    d.wait_log("Xid 31")
    check("Xid 79" not in d.log() and "Xid 48" not in d.log(), d.log())
    check_equal(m.status()[0], 0, "ready")
    d.stop()
    check_equal(m.loaded(), [], "modules")


@story("fallen off the bus: degraded for good, and a stop touches no module")
def lost(m):
    log = Kmsg(m)
    d = ready(m, "--set=Watch.QuietSec=100ms")
    log.xid(79, FALLEN)
    status = wait_state(m, d, "degraded", "gpu-lost")
    check_equal(status["detail"], f"GPU {GPU}: Xid 79 (GPU has fallen off the bus).", "detail")
    # An error beside it heals, this one does not.
    log.xid(62, "halt")
    d.wait_log("Xid 62 (")
    wait_until(lambda: "Xid 62" not in m.status()[1]["detail"], "the other error has healed")
    wait_state(m, d, "degraded", "gpu-lost")
    before = m.helper_log()
    began = time.monotonic()
    d.send(signal.SIGTERM)
    check_equal(d.wait(), 48, "exit status")
    check_equal(m.helper_log(), before, "helper runs")
    check_equal(m.loaded(), ["nvidia", "nvidia_modeset", "nvidia_uvm"], "modules")
    check("would not return from the kernel" in d.log() and "Reboot the machine" in d.log(), d.log())
    p = m.run("status")
    check("[gpu-lost]" in p.stdout and GPU in p.stdout, p.stdout)
    check(not m.exists("run/nvidia/nvidia-driver.pid"), "no pid file is left")


def config(m, vendor, gpu=GPU):
    """The device's configuration space: the bus gives all ones for one that does not answer."""
    with open(m.path(f"sys/bus/pci/devices/{gpu}/config"), "wb") as f:
        f.write(vendor.to_bytes(2, "little") + b"\0" * 62)


@story("a client's words in the driver's lines are not the driver's", gpus=2)
def client(m):
    log = Kmsg(m)
    d = ready(m, "--set=Watch.QuietSec=1h")
    mismatch = "NVRM: API mismatch: the client '%s' (pid 77)\\x0aNVRM: has the version %s, but this kernel module " \
        "has\\x0aNVRM: the version 595.45.04.  Please make sure that this\\x0aNVRM: kernel module and all NVIDIA " \
        "driver components\\x0aNVRM: have the same version."
    forged = (f"{GPU} fallen off the bus", f"1\\x0aNVRM: GPU {GPU}: GPU has fallen off the bus.", "RmInitAdapter failed!",
              f"1\\x0aNVRM: Xid ({bus_name(GPU)}): 79, x", f"1\\x0aNVRM: GPU {GPU}: RmInitAdapter failed!")
    for words in forged:
        log.say(mismatch % ("x", words), ago=2)
        # The same, a record for each line.
        for line in (mismatch % ("x", words)).split("\\x0a"):
            log.say(line, ago=2)
    log.say(mismatch % ("fallen off the ", "1"), ago=2)
    for name in ("a, Xid 79, b", "fallen off the ", "GPU has fallen,"):
        log.say(f"NVRM: Xid ({bus_name(OTHER)}): 31, pid=77, name={name}, Ch 00000008")
    # Said behind all of it.
    log.xid(43, "Ch 00000009", gpu=OTHER)
    d.wait_log("Xid 43")
    check_equal(m.status()[0], 0, "ready")
    check("fallen" not in d.log() and "RmInitAdapter" not in d.log() and "Xid 79" not in d.log(), d.log())
    d.stop()
    check_equal(m.loaded(), [], "modules")
    m.check_gone()


@story("a GPU that is said to be lost, and answers, has an error that heals, and is unloaded")
def answers(m):
    log = Kmsg(m)
    config(m, 0x10de)
    d = ready(m, "--set=Watch.QuietSec=1h")
    log.xid(79, FALLEN)
    status = wait_state(m, d, "degraded", "gpu-error")
    check_equal(status["detail"], f"GPU {GPU}: Xid 79 (GPU has fallen off the bus).", "detail")
    check(not any("gpu-lost" in t for t in d.texts()), d.texts())
    # Said again, and now it does not answer.
    config(m, 0xffff)
    log.say(f"NVRM: GPU {GPU}: GPU has fallen off the bus.")
    wait_state(m, d, "degraded", "gpu-lost")
    config(m, 0x10de)
    log.say(f"NVRM: GPU {GPU}: GPU has fallen off the bus.")
    log.xid(79, FALLEN)
    wait_state(m, d, "degraded", "gpu-error")
    d.stop()
    check_equal(m.loaded(), [], "modules")
    m.check_gone()


@story("a stop waits for the answer of the GPU, and goes by it")
def asked_at_stop(m):
    log = Kmsg(m)
    config(m, 0x10de)
    d = ready(m)
    m.close("answers")
    log.xid(79, FALLEN)
    m.wait_at("answers")
    d.send(signal.SIGTERM)
    d.wait_for(lambda: any(t.startswith("Stopping") or "Unload" in t for t in d.texts()) or None, "the stop has begun")
    check_equal(len(m.loaded()), 3, "modules")
    m.open("answers")
    check_equal(d.wait(), 0, "exit status")
    check_equal(m.loaded(), [], "modules")
    # It hangs: a GPU that is well does not do that.
    d = ready(m)
    m.close("answers")
    log.xid(79, FALLEN)
    m.wait_at("answers")
    d.send(signal.SIGTERM)
    check_equal(d.wait(), 48, "exit status")
    check_equal(len(m.loaded()), 3, "modules")


@story("what was lost before this daemon came counts as well, until the driver is loaded anew")
def past(m):
    log = Kmsg(m)
    d = ready(m)
    d.kill()
    # A new reader finds the whole log again: here it is written once more.
    log.say(LOADED, ago=500)
    log.xid(79, FALLEN, ago=400)
    log.xid(31, "Ch 1", ago=300)
    d = ready(m)
    wait_state(m, d, "degraded", "gpu-lost")
    check("Xid 31" not in d.log(), "errors that another daemon has reported are not reported again")
    d.send(signal.SIGTERM)
    check_equal(d.wait(), 48, "exit status")
    # Old errors that heal by themselves have healed; a load forgets the rest.
    log.xid(79, FALLEN, ago=900)
    log.say(LOADED, ago=800)
    log.xid(48, "long ago", ago=700)
    d = ready(m)
    d.stop()
    check("Xid" not in d.log(), d.log())
    check_equal(m.loaded(), [], "modules")
    m.check_gone()


@story("the past is longer than a turn of the loop reads: all of it is read, with nobody to wake the daemon up")
def long_past(m):
    log = Kmsg(m)
    d = ready(m)
    d.kill()
    for n in (32, 64, 150):
        log.say(LOADED, ago=500)
        for i in range(n - 2):
            log.say(f"usb 1-1: line {i}", ago=450)
        log.xid(79, FALLEN, ago=400)
        d = ready(m)
        wait_state(m, d, "degraded", "gpu-lost")
        # Caught up: what comes now is said.
        log.xid(31, "Ch 1")
        d.wait_for(lambda: "Xid 31" in d.log(), "a message after the past")
        d.send(signal.SIGTERM)
        check_equal(d.wait(), 48, "exit status")


@story("an error of a moment ago is still one after a restart")
def recent(m):
    log = Kmsg(m)
    log.say(LOADED, ago=100)
    log.xid(48, "just now", ago=2)
    for name in ("nvidia", "nvidia_uvm", "nvidia_modeset"):
        m.put(f"sys/module/{name}/initstate", "live\n")
        m.put(f"sys/module/{name}/refcnt", "0\n")
        m.put(f"sys/module/{name}/version", f"{DRIVER}\n")
    put_driver(m.root)
    d = ready(m, "--set=Watch.QuietSec=1h")
    wait_state(m, d, "degraded", "gpu-error")
    d.kill()
    # With another idea of what a moment is, it is over.
    log.say(LOADED, ago=100)
    log.xid(48, "just now", ago=2)
    d = ready(m, "--set=Watch.QuietSec=1s")
    wait_state(m, d, "ready")
    check_equal([t for t in d.texts() if t.startswith("Degraded")], [], "degraded")
    d.stop()


@story("a stop right behind the message is refused as well")
def just_now(m):
    log = Kmsg(m)
    d = ready(m)
    before = m.helper_log()
    # Stopped, so that both wait for it when it goes on; the log is what is looked at last.
    d.send(signal.SIGSTOP)
    for i in range(400):
        log.xid(31, f"Ch {i}")
    log.xid(79, FALLEN)
    d.send(signal.SIGTERM)
    d.send(signal.SIGCONT)
    check_equal(d.wait(), 48, "exit status")
    check_equal(m.helper_log(), before, "helper runs")


@story("a GPU that has left the bus, or came back to it, is no reason any more", gpus=2)
def gone(m):
    log = Kmsg(m)
    d = ready(m)
    log.xid(79, FALLEN)
    log.xid(79, FALLEN, gpu=OTHER)
    status = wait_state(m, d, "degraded", "gpu-lost")
    wait_until(lambda: OTHER in m.status()[1]["detail"], "both are named")
    log.say(f"pci {GPU}: [10de:1eb8] type 00 class 0x030200")
    wait_until(lambda: GPU not in m.status()[1]["detail"], "the one that came back is not named")
    os.unlink(m.path(f"sys/bus/pci/devices/{OTHER}"))
    status = wait_state(m, d, "ready")
    check_equal(status["detail"], None, "detail")
    d.stop()
    check_equal(m.loaded(), [], "modules")


@story("UnloadLostGpu=yes unloads all the same")
def anyway(m):
    log = Kmsg(m)
    d = ready(m, "--set=Stop.UnloadLostGpu=yes")
    log.say(f"NVRM: GPU {GPU}: GPU has fallen off the bus.")
    wait_state(m, d, "degraded", "gpu-lost")
    d.stop()
    check_equal(m.loaded(), [], "modules")
    check("unloading all the same" in d.log(), d.log())
    m.check_gone()


@story("a driver that should be replaced stays as well: nothing is touched, and no restart tries again")
def replace(m):
    log = Kmsg(m)
    d = ready(m)
    d.kill()
    m.put("sys/module/nvidia/version", "1.2.3\n")
    log.xid(79, FALLEN)
    before = m.helper_log()
    d = m.start(f"--set=Driver.Version={DRIVER}")
    check_equal(d.wait(), 48, "exit status")
    check_equal(m.helper_log(), before, "helper runs")
    check_equal(len(m.loaded()), 3, "modules")


@story("KernelLog=no: nothing is read, nothing refused")
def disabled(m):
    log = Kmsg(m)
    d = ready(m, "--set=Watch.KernelLog=no")
    log.xid(79, FALLEN)
    check(not any("kmsg" in f for f in d.fds()), d.fds())
    d.stop()
    check_equal(m.loaded(), [], "modules")


@story("a machine without a kernel log, and one that is no log: said once, ready all the same")
def absent(m):
    d = ready(m)
    d.stop()
    check_equal(d.log().count("there is no /dev/kmsg"), 1, "lines about it")
    os.symlink("null", m.path("dev/kmsg"))
    m.put("dev/null", "")
    d = ready(m)
    d.stop()
    check_equal(d.log().count("/dev/kmsg is something else"), 1, "lines about it")


@story("a log that ends is said once, and costs no processor time")
def ended(m):
    log = Kmsg(m)
    d = ready(m)
    log.xid(31, "Ch 1")
    d.wait_log("Xid 31")
    log.end()
    d.wait_log("The kernel log cannot be read any more")

    def ticks():
        with open(f"/proc/{d.pid}/stat", encoding="utf-8") as f:
            words = f.read().rpartition(")")[2].split()
        return int(words[11]) + int(words[12])
    before = ticks()
    time.sleep(0.5)
    check(ticks() - before < 10, f"{ticks() - before} ticks of processor time in half a second")
    check_equal(d.log().count("The kernel log cannot be read any more"), 1, "lines about it")
    d.stop()
    m.check_gone()


main()
