#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How a start goes: cold, warm, adopted, several GPUs, none, twice; and what the service manager hears."""

import os
import signal
import time

from harness import (AWAITING, DRIVER, MODULES, OUR_FILES, RELEASE, SOURCE, STORE, TREE, check, check_equal, main, make_node,
                     gpus_of, note, put_driver, send_module_uevent, send_uevent, story, wait_until)

ORDER = ["insert nvidia", "insert nvidia_uvm", "insert nvidia_modeset"]


def states(d):
    """The states that STATUS= named, in order, without progress."""
    words = [t.split(":")[0].split(" ")[0].lower() for t in d.texts() if not t.startswith("Waiting for device nodes")]
    return [w for i, w in enumerate(words) if i == 0 or w != words[i - 1]]


@story("cold: build, publish, load, READY at the end and never before")
def cold(m):
    m.put("ctl/compile-hook", "announce nvidia-uvm/uvm_early.o\n")
    m.close("compile")
    m.close("insert-nvidia_modeset")
    before = m.tree_hash(SOURCE), m.tree_hash(TREE)
    d = m.start()
    d.wait_status("Compiling 2/8, nvidia-uvm")
    m.open("compile")
    d.wait_status("Loading nvidia-modeset")
    m.wait_at("insert-nvidia_modeset")
    check_equal(d.sent("READY"), [], "READY before the last module")
    code, status = m.status()
    check_equal((code, status["state"], status["code"]), (5, "loading", "ok"), "status while loading")
    check_equal(status["progress"], "Loading nvidia-modeset", "progress while loading")
    m.open("insert-nvidia_modeset")
    d.wait_ready()
    check_equal(states(d), ["checking", "compiling", "linking", "publishing", "loading", *AWAITING, "ready"],
                "states")
    check_equal(d.texts()[-1], f"Ready: NVIDIA driver {DRIVER}, 1 GPU", "the last STATUS")
    check_equal(m.helper_log(), ORDER, "insertions")
    m.check_store(1)
    base = f"{STORE}/builds/{m.builds()[0]}"
    check_equal(m.list(base), sorted(OUR_FILES + ["manifest.json"]), "files of the build")
    check(f"-{RELEASE}-" in m.builds()[0], "the build is named after its kernel")
    check_equal((m.tree_hash(SOURCE), m.tree_hash(TREE)), before, "inputs")
    code, status = m.status()
    check_equal((code, status["state"]), (0, "ready"), "status when ready")
    check_equal([x["refcount"] for x in status["modules"]], [2, 0, 0], "refcounts")
    d.stop()
    check_equal(m.loaded(), [], "modules after the stop")
    check_equal(m.helper_log()[3:], ["delete nvidia_modeset", "delete nvidia_uvm", "delete nvidia"], "deletions")
    check_equal(len(d.sent("STOPPING")), 1, "STOPPING=1")
    m.check_gone()


@story("EXTEND_TIMEOUT_USEC only with progress")
def extend(m):
    m.close("compile")
    d = m.start()
    m.wait_at("compile")
    d.wait_status("Compiling 1/8, nvidia")
    n = len(d.sent("EXTEND_TIMEOUT_USEC"))
    # As long as the compiler says nothing, so do we; status answers are no progress either.
    for _ in range(10):
        m.status()
    check_equal(len(d.sent("EXTEND_TIMEOUT_USEC")), n, "extensions while the compiler hangs")
    m.open("compile")
    d.wait_ready()
    check(len(d.sent("EXTEND_TIMEOUT_USEC")) > n, "extensions once it goes on")
    d.stop()
    ready = d.sent("READY")[0][0]
    check(all(t <= ready for t, _ in d.sent("EXTEND_TIMEOUT_USEC")), "no extension after READY")
    reasons = {pairs["STATUS"].split(" ")[0] for _, pairs, _ in d.messages if "EXTEND_TIMEOUT_USEC" in pairs}
    check_equal(reasons, {"Compiling", "Linking", "Publishing", "Loading", *(w.capitalize() for w in AWAITING)}, "what the extensions are for")


@story("warm: nothing is compiled, the inputs are not even looked for")
def warm(m):
    d = m.start()
    d.wait_ready()
    d.stop()
    check_equal(m.compiled(), 1, "compiler runs of the cold start")
    import shutil
    shutil.rmtree(m.path(SOURCE))
    shutil.rmtree(m.path(TREE))
    d = m.start()
    d.wait_ready()
    note(f"start to READY, warm: {1000 * (d.sent('READY')[0][0] - d.started):.0f} ms")
    check_equal(m.compiled(), 1, "compiler runs after the warm start")
    check_equal(states(d), ["checking", "loading", *AWAITING, "ready"], "states")
    d.stop()
    m.check_gone()


@story("adopted: a daemon that was killed finds its driver and leaves it alone")
def adopted(m):
    d = m.start()
    d.wait_ready()
    d.kill()
    check(m.exists("run/nvidia/nvidia-driver.pid"), "a killed daemon leaves its pid file")
    d = m.start()
    d.wait_ready()
    check_equal(m.helper_log(), ORDER, "helper runs")
    check_equal(states(d), ["checking", "adopting", *AWAITING, "ready"], "states")
    d.stop()
    check_equal(m.loaded(), [], "modules: they were ours all along")
    m.check_gone()


@story("foreign: a driver that somebody else loaded is adopted and never unloaded")
def foreign(m):
    for name, refcount in (("nvidia", 2), ("nvidia_uvm", 0), ("nvidia_modeset", 0)):
        m.put(f"sys/module/{name}/initstate", "live\n")
        m.put(f"sys/module/{name}/refcnt", f"{refcount}\n")
        m.put(f"sys/module/{name}/version", f"{DRIVER}\n")
    put_driver(m.root)
    d = m.start()
    d.wait_ready()
    check(d.texts()[-1].endswith(", foreign"), f"STATUS says so: {d.texts()[-1]}")
    check_equal(m.status()[1]["foreign"], True, "status says so")
    d.stop()
    check_equal(m.helper_log(), [], "helper runs")
    check_equal(len(m.loaded()), 3, "modules")
    m.check_gone()


@story("4 GPUs: READY waits for 4 card and 4 render nodes", gpus=4)
def four(m):
    env = m.umockdev()
    d = m.start(modules=" ".join(MODULES), env=env)
    d.wait_status("Waiting for device nodes, 0/4 cards, 0/4 render nodes")
    seen = 0
    for i, address in enumerate(gpus_of(m.root)):
        for kind in ("render", "card"):
            check_equal(d.sent("READY"), [], f"READY with {seen} of 8 nodes")
            send_uevent(m.root, "add", *make_node(m.root, address, i, kind))
            seen += 1
            if seen < 8:
                d.wait_status(f"Waiting for device nodes, {seen // 2}/4 cards, {(seen + 1) // 2}/4 render nodes")
    d.wait_ready()
    nodes = [n for g in m.status(env)[1]["gpus"] for n in g["nodes"]]
    check_equal((len(nodes), all(n["present"] for n in nodes)), (8, True), "nodes in the status")
    d.stop()
    m.check_gone()


@story("nodes that are there already need no event")
def present(m):
    m.put("ctl/nodes", "")
    d = m.start(modules=" ".join(MODULES), env=m.umockdev())
    d.wait_ready()
    check_equal(m.helper_log()[-1], "insert nvidia_drm", "the last module")
    d.stop()


@story("a module that somebody takes away: DEGRADED with its name, loaded again, and READY")
def taken_away(m):
    env = m.umockdev()
    m.put("ctl/nodes", "")
    d = m.start(modules=" ".join(MODULES), env=env)
    d.wait_ready()
    os.rename(m.path("sys/module/nvidia_uvm"), m.path("ctl/uvm"))
    os.rmdir(m.path("sys/module/nvidia/holders/nvidia_uvm"))
    m.put("sys/module/nvidia/refcnt", "2\n")
    send_module_uevent(m.root, "remove", "nvidia_uvm")
    d.wait_status("Degraded: ")
    check("[modules-lost]" in d.log(), d.log())
    check("Gone: module nvidia_uvm." in d.log(), d.log())
    d.wait_log("Done, now waiting for signal", 2)
    d.stop()
    m.check_gone()


@story("no GPU: FAILED with its code at once, nothing compiled or loaded", gpus=0)
def none(m):
    d = m.start()
    check_equal(d.wait(), 10, "exit status")
    note(f"{1000 * (time.monotonic() - d.started):.0f} ms from start to end")
    check_equal((m.compiled(), m.helper_log()), (0, []), "compiled and loaded")
    check_equal(d.sent("READY"), [], "READY")
    check("[no-gpu]" in d.log() and "Next step:" in d.log(), "the log names code and next step")
    p = m.run("status")
    check("no-gpu" in p.stdout, p.stdout)


@story("a second instance is refused with exit status 1 and its sentence")
def second(m):
    d = m.start()
    d.wait_ready()
    other = m.start()
    check_equal(other.wait(), 1, "exit status")
    check(f"An instance of the NVIDIA driver is already running, aborting (process {d.pid})." in other.log(), other.log())
    check_equal(m.status()[0], 0, "status of the first")
    check_equal(m.get("run/nvidia/nvidia-driver.pid").strip(), str(d.pid), "pid file")
    d.stop()
    m.check_gone()


@story("a second instance is refused while the first one compiles")
def second_early(m):
    m.close("compile")
    d = m.start()
    m.wait_at("compile")
    check_equal(m.start().wait(), 1, "exit status")
    check_equal(m.status()[1]["state"], "compiling", "state of the first")
    d.stop()
    m.check_gone()


@story("init becomes the daemon")
def init(m):
    import os
    import subprocess
    p = subprocess.Popen([os.environ["NVIDIA_DRIVER"], f"--root={m.root}", "init", "--set=Driver.Prerequisites=",
                          "--set=Driver.Modules=nvidia"], env=m.environment(), stderr=subprocess.PIPE, text=True)
    try:
        for line in p.stderr:
            if "Done, now waiting for signal" in line:
                break
        check_equal(m.get("run/nvidia/nvidia-driver.pid").strip(), str(p.pid), "the same process")
        p.send_signal(signal.SIGTERM)
        p.communicate(timeout=10)
        check_equal(p.returncode, 0, "exit status")
    finally:
        p.kill()
    m.check_gone()



@story("a module of the driver waits for the host's modules that it needs, and for no others")
def gates(m):
    m.put("ctl/probe-says", "module=video\nmodule=first\n")
    m.close("probe")
    d = m.start("--set=Driver.Prerequisites=first backlight")
    d.wait_status("Loading nvidia-uvm")
    wait_until(lambda: m.helper_log() == ORDER[:2], "nvidia and nvidia-uvm are in")
    time.sleep(0.3)
    check_equal(m.helper_log(), ORDER[:2], "nvidia-modeset waits for backlight")
    m.open("probe")
    d.wait_ready()
    check_equal(m.helper_log(), ORDER, "insertions")
    check_equal(m.get("ctl/worker.log").splitlines().count(f"probe {RELEASE} first backlight video"), 1, "one probe")
    d.stop()
    m.check_gone()


@story("a configured prerequisite that no module names comes before all of them")
def before_all(m):
    m.put("ctl/probe-says", "module=video\nmodule=backlight\n")
    m.close("probe")
    d = m.start("--set=Driver.Prerequisites=first")
    m.wait_at("probe")
    time.sleep(0.3)
    check_equal(m.helper_log(), [], "nothing is inserted before it")
    m.open("probe")
    d.wait_ready()
    check_equal(m.helper_log(), ORDER, "insertions")
    d.stop()


@story("what no other module needs is inserted beside the others, and waited for")
def aside(m):
    m.put("ctl/nodes", "")
    m.close("insert-nvidia_uvm")
    d = m.start(modules=" ".join(MODULES), env=m.umockdev())
    m.wait_at("insert-nvidia_uvm")
    wait_until(lambda: "insert nvidia_drm" in m.helper_log(), "nvidia-drm is in")
    time.sleep(0.3)
    check_equal(d.sent("READY"), [], "READY without nvidia-uvm")
    m.open("insert-nvidia_uvm")
    d.wait_ready()
    check_equal(m.helper_log().count("insert nvidia_uvm"), 1, "insertions of nvidia-uvm")
    check("Loaded nvidia, nvidia-uvm, nvidia-modeset, nvidia-drm" in d.log(), d.log())
    d.stop()
    m.check_gone()


@story("what fails beside the others is tried in its turn, explained and rolled back")
def aside_fails(m):
    m.put("ctl/nodes", "")
    m.put("ctl/fail-insert-nvidia_uvm", "5")
    d = m.start("--set=Retry.Attempts=1", modules=" ".join(MODULES), env=m.umockdev())
    check_equal(d.wait(), 34, "exit status")
    check_equal(m.helper_log().count("insert nvidia_uvm"), 2, "insertions of nvidia-uvm")
    check("nvidia-uvm: Input/output error" in d.log(), d.log())
    check_equal(m.loaded(), [], "what is loaded")


@story("late beside the others: stuck, and ready when the kernel comes back")
def aside_late(m):
    m.put("ctl/nodes", "")
    m.close("insert-nvidia_uvm")
    d = m.start("--set=Load.TimeoutSec=4s", modules=" ".join(MODULES), env=m.umockdev())
    d.wait_log("[stuck]")
    check("nvidia-uvm" in d.log(), d.log())
    check_equal(m.status()[1]["state"], "stuck", "state")
    m.open("insert-nvidia_uvm")
    d.wait_ready()
    d.stop()
    m.check_gone()


@story("SIGTERM while one is inserted beside the others: it is waited for")
def aside_stopped(m):
    m.put("ctl/nodes", "")
    m.close("insert-nvidia_uvm")
    d = m.start(modules=" ".join(MODULES), env=m.umockdev())
    wait_until(lambda: "insert nvidia_drm" in m.helper_log(), "nvidia-drm is in")
    d.send(signal.SIGTERM)
    d.wait_log("Stopping: signal 15")
    m.open("insert-nvidia_uvm")
    d.wait()
    check_equal((d.code, m.loaded()), (0, []), "exit status, modules")
    m.check_gone()

main()
