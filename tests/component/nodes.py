#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The driver's device nodes: made before READY, watched after it, gone at the end; on a host and in a container."""

import itertools
import json
import os
import shutil
import stat
import subprocess
import threading
import time

from failurechecks import failed
from harness import (MODULES, Skip, can_make_nodes, check, check_equal, gpus_of, main, make_node, put_driver, story)

NODES = {"nvidiactl": (195, 255, 0o666), "nvidia0": (195, 0, 0o666), "nvidia-modeset": (195, 254, 0o666),
         "nvidia-uvm": (242, 0, 0o666), "nvidia-uvm-tools": (242, 1, 0o666), "nvidia-caps/nvidia-cap1": (245, 1, 0o400)}


def need_nodes():
    if not can_make_nodes():
        raise Skip("device nodes are made by root only")


def found(m, dev="dev"):
    """{name: (major, minor, mode)} of the driver's nodes."""
    nodes = {}
    for where in ("", "nvidia-caps/"):
        for name in m.list(f"{dev}/{where}"):
            try:
                st = os.lstat(m.path(f"{dev}/{where}{name}"))
            except FileNotFoundError:
                continue  # the temporary name of one that is being made
            if stat.S_ISCHR(st.st_mode):
                nodes[where + name] = (os.major(st.st_rdev), os.minor(st.st_rdev), stat.S_IMODE(st.st_mode))
    return nodes


def links(m, dev="dev"):
    return {name: os.readlink(m.path(f"{dev}/char/{name}")) for name in m.list(f"{dev}/char")}


def check_all(m, nodes=None, dev="dev"):
    nodes = NODES if nodes is None else nodes
    check_equal(found(m, dev), nodes, f"nodes in /{dev}")
    check_equal(links(m, dev), {f"{major}:{minor}": f"../{name}" for name, (major, minor, _) in nodes.items()},
                f"links in /{dev}/char")


def mknod(m, name, major, minor, mode=0o666, dev="dev"):
    os.makedirs(os.path.dirname(m.path(f"{dev}/{name}")), exist_ok=True)
    os.mknod(m.path(f"{dev}/{name}"), stat.S_IFCHR, os.makedev(major, minor))
    os.chmod(m.path(f"{dev}/{name}"), mode)


def helper_runs(m):
    return m.get("ctl/nodes.log").splitlines() if m.exists("ctl/nodes.log") else []


def wait_state(m, d, state, code):
    d.wait_for(lambda: [m.status()[1][k] for k in ("state", "code")] == [state, code], f"{state}, {code}")


@story("all nodes are there at READY, with numbers, modes and links; status lists them; none after the stop")
def life(m):
    need_nodes()
    d = m.start()
    d.wait_ready()
    check_all(m)
    devices = {x["node"]: x for x in m.status()[1]["devices"]}
    check_equal(sorted(devices), sorted(f"/dev/{n}" for n in NODES), "nodes in the status")
    check(all(x["present"] for x in devices.values()), devices)
    check_equal((devices["/dev/nvidia-uvm"]["major"], devices["/dev/nvidiactl"]["minor"]), (242, 255), "numbers")
    check("Nodes: /dev/nvidiactl, /dev/nvidia0" in m.run("status").stdout, m.run("status").stdout)
    check_equal(len(helper_runs(m)), 1, f"helper runs: {helper_runs(m)}")
    d.stop()
    check_all(m, {})
    check(not m.exists("dev/nvidia-caps"), "an empty directory is left")
    m.check_gone()


@story("they are made while other modules still load, and READY waits for them")
def early(m):
    need_nodes()
    m.close("insert-nvidia_modeset")
    m.close("nodes")
    d = m.start()
    m.wait_at("insert-nvidia_modeset")
    m.wait_at("nodes")
    m.open("insert-nvidia_modeset")
    d.wait_status("Waiting for device nodes")
    check_equal(d.sent("READY"), [], "READY")
    m.open("nodes")
    d.wait_ready()
    check_all(m)
    d.stop()


@story("what vanishes is made again, and nobody hears of it but the log")
def vanish(m):
    need_nodes()
    d = m.start()
    d.wait_ready()
    for names in (["nvidia0"], ["char/195:255"], ["nvidia-uvm", "nvidia-uvm-tools", "nvidiactl"], ["nvidia-caps"], ["char"],
                  ["nvidia-caps/nvidia-cap1"]):
        for name in names:
            path = m.path(f"dev/{name}")
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        wanted = {k: v for k, v in NODES.items()}
        d.wait_for(lambda: found(m) == wanted and len(links(m)) == len(wanted), f"{names} are there again")
    check("Made device nodes: /dev/nvidia0" in d.log(), d.log())
    check("degraded" not in d.log(), d.log())
    check_equal(m.status()[1]["state"], "ready", "state")
    d.stop()
    check_all(m, {})


@story("a node that another one has taken the place of is put right; owner and mode too")
def wrong(m):
    need_nodes()
    mknod(m, "nvidia-uvm", 238, 0)
    mknod(m, "nvidiactl", 195, 255, 0o600)
    os.chown(m.path("dev/nvidiactl"), 12, 34)
    mknod(m, "nvidia7", 195, 7)
    mknod(m, "null", 1, 3)
    os.makedirs(m.path("dev/char"))
    os.symlink("../nvidia-uvm", m.path("dev/char/238:0"))
    os.symlink("../null", m.path("dev/char/1:3"))
    d = m.start()
    d.wait_ready()
    others = {"null": (1, 3, 0o666)}
    check_all(m, NODES | others)
    check_equal(os.stat(m.path("dev/nvidiactl")).st_uid, 0, "owner")
    # A major that changed behind our back, as a reload of nvidia-uvm by somebody else would do.
    os.unlink(m.path("dev/nvidia-uvm"))
    mknod(m, "nvidia-uvm", 238, 0)
    d.wait_for(lambda: found(m)["nvidia-uvm"][0] == 242, "the right number again")
    d.stop()
    check_all(m, others)


@story("owner or mode of a node is changed while ready: corrected at once; somebody who keeps at it wins, and is reported until it is right")
def changed_rights(m):
    need_nodes()
    d = m.start()
    d.wait_ready()
    os.chmod(m.path("dev/nvidia-caps/nvidia-cap1"), 0o444)
    d.wait_log("Corrected owner and mode of device nodes: /dev/nvidia-caps/nvidia-cap1.")
    os.chown(m.path("dev/nvidia0"), 12, 34)
    d.wait_log("Corrected owner and mode of device nodes: /dev/nvidia0.")
    os.chmod(m.path("dev/nvidiactl"), 0o600)
    d.wait_log("Corrected owner and mode of device nodes: /dev/nvidiactl.")
    check_all(m)
    check_equal(os.stat(m.path("dev/nvidia0")).st_uid, 0, "owner")
    check("degraded" not in d.log(), d.log())
    os.chmod(m.path("dev/nvidiactl"), 0o600)
    wait_state(m, d, "degraded", "nodes-failed")
    check("/dev/nvidiactl" in m.status()[1]["detail"], m.status()[1])
    check_equal(found(m)["nvidiactl"], (195, 255, 0o600), "it is left alone")
    os.chmod(m.path("dev/nvidiactl"), 0o666)
    wait_state(m, d, "ready", "ok")
    check_all(m)
    d.stop()


@story("the driver's parameters name owner, group and mode")
def rights(m):
    need_nodes()
    m.put("ctl/params", "ModifyDeviceFiles: 1\nDeviceFileUID: 12\nDeviceFileGID: 34\nDeviceFileMode: 432\n")
    d = m.start()
    d.wait_ready()
    check_all(m, {k: (a, b, 0o660 if a != 245 else 0o400) for k, (a, b, _) in NODES.items()})
    st = os.stat(m.path("dev/nvidia0"))
    check_equal((st.st_uid, st.st_gid), (12, 34), "owner and group")
    d.stop()


@story("ModifyDeviceFiles=0: waited for, not made, not touched, not removed")
def hands_off(m):
    need_nodes()
    m.put("ctl/params", "ModifyDeviceFiles: 0\nDeviceFileMode: 438\n")
    d = m.start()
    d.wait_status("Waiting for device nodes: /dev/nvidiactl")
    mine = {k: (a, b, 0o604) for k, (a, b, _) in NODES.items() if not k.startswith("nvidia-caps")}
    for name, (a, b, mode) in mine.items():
        mknod(m, name, a, b, mode)
    d.wait_ready()
    # The capability says for itself that it may be made.
    all_of_them = mine | {"nvidia-caps/nvidia-cap1": NODES["nvidia-caps/nvidia-cap1"]}
    check_equal(found(m), all_of_them, "nodes")
    os.unlink(m.path("dev/nvidia0"))
    wait_state(m, d, "degraded", "devices-lost")
    check("Gone: /dev/nvidia0." in m.status()[1]["detail"], m.status()[1])
    mknod(m, "nvidia0", 195, 0, 0o604)
    wait_state(m, d, "ready", "ok")
    d.stop()
    check_equal(found(m), all_of_them, "nodes after the stop")


@story("CreateNodes=no: none made, none waited for")
def off(m):
    d = m.start("--set=Devices.CreateNodes=no")
    d.wait_ready()
    check_equal((found(m), helper_runs(m), m.status()[1]["devices"]), ({}, [], []), "nodes, runs, status")
    check("awaiting-devices" not in d.log(), d.log())
    d.stop()


@story("links in /dev/char that others made for what may come are left alone, and all of the driver's numbers go with it")
def others_links(m):
    need_nodes()
    d = m.start()
    d.wait_ready()
    ours = links(m)
    theirs = {"245:2": "../nvidia-caps/nvidia-cap2", "245:9": "/dev/nvidia-caps/nvidia-cap9",
              "245:10": "/run/nvidia/driver/dev/nvidia-caps/nvidia-cap10", "242:5": "/run/nvidia/driver/dev/nvidia-uvm5",
              "195:77": "/somewhere/else", "1:3": "../null"}
    for name, target in theirs.items():
        os.symlink(target, m.path(f"dev/char/{name}"))
    runs = len(helper_runs(m))
    os.unlink(m.path("dev/nvidia0"))
    d.wait_for(lambda: len(helper_runs(m)) > runs and found(m) == NODES, "a run of the helper")
    check_equal(links(m), ours | theirs, "links")
    d.stop()
    check_equal((links(m), found(m)), ({"1:3": "../null"}, {}), "links and nodes after the stop")


@story("a killed daemon: the next one removes the links of the driver that it adopted")
def others_links_adopted(m):
    need_nodes()
    d = m.start()
    d.wait_ready()
    d.kill()
    os.symlink("/run/nvidia/driver/dev/nvidia-caps/nvidia-cap10", m.path("dev/char/245:10"))
    d = m.start()
    d.wait_ready()
    d.stop()
    check_equal(links(m), {}, "links after the stop")


@story("ModifyDeviceFiles=0 and nobody makes the nodes: the driver stays, degraded, the parameter is named; nodes that come heal it")
def nobody_makes(m):
    need_nodes()
    m.put("ctl/params", "ModifyDeviceFiles: 0\nDeviceFileMode: 438\n")
    # Longer than the helper takes to say so on a slow machine.
    d = m.start("--set=Load.DeviceTimeoutSec=5s")
    d.wait_ready()
    wait_state(m, d, "degraded", "devices-missing")
    check("/dev/nvidiactl" in m.status()[1]["detail"] and "NVreg_ModifyDeviceFiles=0" in m.status()[1]["detail"], m.status()[1])
    check_equal(m.helper_log(), ["insert nvidia", "insert nvidia_uvm", "insert nvidia_modeset"], "helper runs")
    for name, (a, b, mode) in NODES.items():
        if not m.exists(f"dev/{name}"):
            mknod(m, name, a, b, mode)
    wait_state(m, d, "ready", "ok")
    os.unlink(m.path("dev/nvidia0"))
    wait_state(m, d, "degraded", "devices-lost")
    d.stop()
    check_equal(m.loaded(), [], "modules")


@story("an empty file of root's where a node should be, as a program leaves that opened it for writing: replaced")
def empty_file(m):
    need_nodes()
    for name in ("nvidiactl", "nvidia0"):
        m.put(f"dev/{name}", "")
    d = m.start()
    d.wait_ready()
    check_all(m)
    os.unlink(m.path("dev/nvidia0"))
    m.put("dev/nvidia0", "")
    d.wait_for(lambda: found(m) == NODES, "the node is there again")
    check("degraded" not in d.log(), d.log())
    d.stop()


@story("something else where a node should be: refused before anything is loaded, once, with the command that removes it")
def obstructed(m):
    need_nodes()
    for name, put, remove in (("nvidiactl", lambda f: m.put(f, "precious\n"), "rm"), ("nvidia-uvm", lambda f: os.mkdir(m.path(f)), "rmdir"),
                              ("nvidia0", lambda f: os.symlink("/dev/null", m.path(f)), "rm")):
        put(f"dev/{name}")
        d = m.start("--set=Retry.DelaySec=10ms")
        failed(m, d, "node-blocked", 66, f"{remove} /dev/{name}")
        check_equal((m.helper_log(), m.loaded(), found(m)), ([], [], {}), "helper runs, modules, nodes")
        check(m.exists(f"dev/{name}"), "it is left alone")
        check(f"{remove} /dev/{name}" in m.run("plan").stdout, "the plan says so, too")
        (os.rmdir if remove == "rmdir" else os.unlink)(m.path(f"dev/{name}"))
    m.put("dev/nvidiactl", "precious\n")
    d = m.start("--set=Devices.CreateNodes=no")
    d.wait_ready()
    d.stop()


@story("something else that comes in the way of a node, or is found there on adoption: degraded, and nothing is unloaded")
def obstructed_later(m):
    need_nodes()
    d = m.start()
    d.wait_ready()
    os.unlink(m.path("dev/nvidia0"))
    m.put("dev/nvidia0", "again\n")
    wait_state(m, d, "degraded", "node-blocked")
    check("rm /dev/nvidia0" in m.status()[1]["detail"], m.status()[1])
    d.kill()
    d = m.start()
    d.wait_ready()
    wait_state(m, d, "degraded", "node-blocked")
    check_equal(m.helper_log(), ["insert nvidia", "insert nvidia_uvm", "insert nvidia_modeset"], "helper runs")
    check_equal(found(m), {k: v for k, v in NODES.items() if k != "nvidia0"}, "the other nodes")
    os.unlink(m.path("dev/nvidia0"))
    wait_state(m, d, "ready", "ok")
    check_all(m)
    # The number of a GPU is not known before the driver is there.
    os.unlink(m.path("dev/char/195:0"))
    m.put("dev/char/195:0", "no link\n")
    wait_state(m, d, "degraded", "node-blocked")
    d.stop()
    check_equal(m.loaded(), [], "modules")


@story("a GPU whose minor the driver does not tell: devices-missing names it, the other one works", gpus=2)
def no_minor(m):
    need_nodes()
    m.put("ctl/silent-gpu", gpus_of(m.root)[1])
    d = m.start("--set=Retry.Attempts=1", "--set=Load.DeviceTimeoutSec=1s")
    d.wait_ready()
    wait_state(m, d, "degraded", "devices-missing")
    check(gpus_of(m.root)[1] in m.status()[1]["detail"], m.status()[1])
    d.stop()
    m.check_gone()


@story("SIGTERM while the driver does not answer: nobody waits for it")
def hangs(m):
    need_nodes()
    m.close("nodes")
    d = m.start()
    m.wait_at("nodes")
    d.wait_status("Waiting for device nodes")
    d.stop()
    check_equal(m.loaded(), [], "modules")


@story("a driver that does not answer in time is told so")
def overdue(m):
    need_nodes()
    m.close("nodes")
    d = m.start("--set=Load.TimeoutSec=1s", "--set=Load.DeviceTimeoutSec=2s", "--set=Retry.Attempts=1")
    check_equal(d.wait(), 35, "exit status")
    check("The driver does not answer helper process" in d.log(), d.log())
    check("After 2s still missing: an answer of the driver about its device nodes" in d.log(), d.log())
    m.open("nodes")
    d = m.start("--set=Load.TimeoutSec=1s")
    d.wait_ready()
    m.close("nodes")
    os.unlink(m.path("dev/nvidia0"))
    wait_state(m, d, "degraded", "nodes-failed")
    m.open("nodes")
    wait_state(m, d, "ready", "ok")
    check_all(m)
    d.stop()


@story("killed with its nodes: the next one adopts them, and takes them away in the end")
def killed(m):
    need_nodes()
    d = m.start()
    d.wait_ready()
    inode = os.stat(m.path("dev/nvidia0")).st_ino
    d.kill()
    os.unlink(m.path("dev/nvidia-uvm"))
    d = m.start()
    d.wait_ready()
    check_all(m)
    check_equal(os.stat(m.path("dev/nvidia0")).st_ino, inode, "the node is the same")
    d.stop()
    check_all(m, {})


@story("a foreign driver's nodes are made, and left to it")
def foreign(m):
    need_nodes()
    for name in ("nvidia", "nvidia_uvm", "nvidia_modeset"):
        m.put(f"sys/module/{name}/initstate", "live\n")
        m.put(f"sys/module/{name}/refcnt", "0\n")
        m.put(f"sys/module/{name}/version", "535.999.01\n")
    put_driver(m.root)
    d = m.start()
    d.wait_ready()
    check_all(m)
    d.stop()
    check_all(m)


@story("stopped with the driver in use: it keeps its nodes")
def busy(m):
    need_nodes()
    d = m.start("--set=Stop.TimeoutSec=3s")
    d.wait_ready()
    m.put("sys/module/nvidia/refcnt", "3\n")
    d.send(15)
    check_equal(d.wait(), 40, "exit status")
    check_equal(m.loaded(), ["nvidia", "nvidia_modeset", "nvidia_uvm"], "modules")
    check_all(m)
    check(len(helper_runs(m)) > 1, f"helper runs: {helper_runs(m)}")
    m.put("sys/module/nvidia/refcnt", "2\n")
    d = m.start()
    d.wait_ready()
    d.stop()
    check_all(m, {})


# --- containers ---------------------------------------------------------------------------------------------


def contain(m):
    """A /dev of its own, the host's behind pid 1, a network of its own and no udevd."""
    need_nodes()
    os.makedirs(m.path("proc/1/root/dev"))
    number = os.stat(m.path("dev")).st_dev
    number = f"{os.major(number)}:{os.minor(number)}"
    for pid in ("self", "1"):
        m.put(f"proc/{pid}/mountinfo", f"22 1 {number} / /dev rw - tmpfs tmpfs rw\n")
    os.unlink(m.path("run/udev/control"))
    m.put("etc/group", "root:x:0:\nvideo:x:44:\nrender:x:104:\n")


HOST = "proc/1/root/dev"


@story("in a container: nodes in its /dev and in the host's, in both again when they vanish, in neither after the stop")
def container(m):
    contain(m)
    d = m.start()
    d.wait_ready()
    check("No events of udev: there is no udevd here" in d.log(), d.log())
    for dev in ("dev", HOST):
        check_all(m, dev=dev)
        os.unlink(m.path(f"{dev}/nvidia0"))
        d.wait_for(lambda dev=dev: found(m, dev) == NODES, f"{dev}/nvidia0 is there again")
    check("degraded" not in d.log(), d.log())
    d.stop()
    check_all(m, {})
    check_all(m, {}, dev=HOST)


@story("in a container with CreateOnHost=no, or without the host's processes: its own /dev only")
def container_only(m):
    contain(m)
    d = m.start("--set=Devices.CreateOnHost=no")
    d.wait_ready()
    check_all(m)
    check_equal(found(m, HOST), {}, "nodes on the host")
    d.stop()
    shutil.rmtree(m.path("proc/1/root"))
    os.symlink(m.root, m.path("proc/1/root"))
    d = m.start()
    d.wait_ready()
    check_all(m)
    check("The host's /dev is not visible; in a container, --pid=host shows it." in d.log(), d.log())
    d.stop()
    check_all(m, {})


@story("T17, in a container without udev: READY by looking, with DRM nodes made from /sys", gpus=2)
def no_udev(m):
    env = m.umockdev()
    contain(m)
    m.put("ctl/nodes", "")
    m.put("ctl/bare-minors", "")
    d = m.start(modules=" ".join(MODULES), env=env)
    d.wait_ready()
    for name, minor, group in (("card0", 0, 44), ("card1", 1, 44), ("renderD128", 128, 104), ("renderD129", 129, 104)):
        st = os.stat(m.path(f"dev/dri/{name}"))
        check_equal((st.st_rdev, stat.S_IMODE(st.st_mode), st.st_gid), (os.makedev(226, minor), 0o660, group), name)
        check_equal(links(m)[f"226:{minor}"], f"../dri/{name}", "link")
    gpus = m.status(env)[1]["gpus"]
    check(all(n["present"] for g in gpus for n in g["nodes"]) and len(gpus) == 2, gpus)
    os.unlink(m.path("dev/dri/renderD129"))
    d.wait_for(lambda: m.exists("dev/dri/renderD129"), "the render node is there again")
    check("degraded" not in d.log(), d.log())
    # As the kernel does when nvidia_drm goes.
    shutil.rmtree(m.path("sys/class/drm"))
    shutil.rmtree(m.path("sys/dev/char"))
    os.makedirs(m.path("sys/dev/char"))
    d.stop()
    check(not m.exists("dev/dri"), m.list("dev/dri"))
    check_all(m, {})


@story("T17: nodes that come late are seen within a moment, without any event")
def late(m):
    env = m.umockdev()
    contain(m)
    d = m.start(modules=" ".join(MODULES), env=env)
    d.wait_status("Waiting for device nodes, 0/1 cards")
    make_node(m.root, gpus_of(m.root)[0], 0, "card")
    d.wait_status("Waiting for device nodes, 1/1 cards, 0/1 render nodes")
    make_node(m.root, gpus_of(m.root)[0], 0, "render")
    began = time.monotonic()
    d.wait_ready()
    check(time.monotonic() - began < 5, "it took too long")
    d.stop()


@story("with udev, but an event that never comes: found all the same")
def lost_event(m):
    env = m.umockdev()
    d = m.start(modules=" ".join(MODULES), env=env)
    d.wait_status("Waiting for device nodes, 0/1 cards")
    for kind in ("card", "render"):
        make_node(m.root, gpus_of(m.root)[0], 0, kind)
    d.wait_ready()
    check("No events" not in d.log(), d.log())
    d.stop()


@story("what the kernel makes while the nodes are looked through is not taken for a leftover")
def made_meanwhile(m):
    need_nodes()
    put_driver(m.root)
    for directory in ("dev/dri", "sys/dev/char", "sys/class/drm"):
        os.makedirs(m.path(directory), exist_ok=True)
    over, lost = threading.Event(), []

    def kernel():
        """One DRM minor of another driver after the other, in the kernel's order: /sys, then the node, and back."""
        for minor in itertools.count(130):
            if over.is_set():
                return
            node, entry = m.path(f"dev/dri/renderD{minor}"), m.path(f"sys/dev/char/226:{minor}")
            os.symlink("../../devices/other", entry)
            os.mknod(node, stat.S_IFCHR | 0o660, os.makedev(226, minor))
            time.sleep(0.004)
            if not os.path.exists(node):
                lost.append(minor)
            else:
                os.unlink(node)
            os.unlink(entry)

    thread = threading.Thread(target=kernel)
    thread.start()
    try:
        for _ in range(60):
            p = subprocess.run([os.environ["NVIDIA_HELPER"], "nodes", m.root, "uvm", "modeset"], capture_output=True, text=True,
                               check=False)
            check_equal(p.returncode, 0, p.stdout + p.stderr)
    finally:
        over.set()
        thread.join()
    check_equal(lost, [], "minors whose node was removed while they were there")


@story("a GPU that goes: named, its node removed; when it is back, its node and READY", gpus=3)
def gpu(m):
    need_nodes()
    os.unlink(m.path("run/udev/control"))  # looked at every two seconds
    d = m.start()
    d.wait_ready()
    all_of_them = NODES | {"nvidia1": (195, 1, 0o666), "nvidia2": (195, 2, 0o666)}
    check_all(m, all_of_them)
    address = gpus_of(m.root)[2]
    os.rename(m.path(f"sys/bus/pci/devices/{address}"), m.path("ctl/gpu"))
    put_driver(m.root)
    shutil.rmtree(m.path(f"proc/driver/nvidia/gpus/{address}"))
    wait_state(m, d, "degraded", "devices-lost")
    check(f"nvidia node of {address}" in m.status()[1]["detail"], m.status()[1])
    check_all(m, {k: v for k, v in all_of_them.items() if k != "nvidia2"})
    os.rename(m.path("ctl/gpu"), m.path(f"sys/bus/pci/devices/{address}"))
    put_driver(m.root)
    wait_state(m, d, "ready", "ok")
    check_all(m, all_of_them)
    d.stop()
    check_all(m, {})


@story("without a daemon, status shows the nodes that are there")
def offline(m):
    env = m.umockdev()
    mknod(m, "nvidiactl", 195, 255)
    m.put("dev/nvidia0", "no node")
    p = m.run("status", "--json", env=env)
    check_equal([x["node"] for x in json.loads(p.stdout)["devices"]], ["/dev/nvidiactl"], "nodes")


if __name__ == "__main__":
    main()
