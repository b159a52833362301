#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of the daemon in every state, then start: comes back to READY, the store is whole, and nothing
of the killed one is left."""

import os

from harness import MODULES, check, check_equal, main, note, story, wait_until
from kernelsource import put_source


def again(m, builds=1, held=None, modules="nvidia nvidia-uvm nvidia-modeset", env=None):
    """The next start, at once: children of the dead one may still be there."""
    m.check_store()
    d = m.start(modules=modules, env=env)
    if held:
        m.open(held)
    d.wait_ready()
    note(f"start to READY: {1000 * (d.sent('READY')[0][0] - d.started):.0f} ms")
    m.check_store(builds)
    wait_until(lambda: not m.staging(), f"staging of the killed daemon goes away: {m.staging()}")
    check_equal(sorted(m.loaded()), sorted(x.replace("-", "_") for x in modules.split()), "modules")
    d.stop()
    check_equal(m.loaded(), [], "modules after the stop: all of them were ours")
    m.check_gone()


@story("killed while preparing", tree=False)
def prepare(m):
    put_source(m)
    m.close("modules_prepare")
    d = m.start()
    m.wait_at("modules_prepare")
    d.kill()
    check_equal(len(m.staging()), 1, "staging directories of the killed one")
    again(m, held="modules_prepare")


@story("killed while compiling, its make goes with it")
def compiling(m):
    m.close("compile")
    d = m.start()
    m.wait_at("compile")
    d.kill()
    wait_until(lambda: not m.processes(), "make and compilers are gone")
    again(m, held="compile")
    check_equal(m.compiled(), 2, "compiler runs")


@story("killed while a shell below a shell below make compiles: all of it goes, though nobody passes a signal on")
def compiling_deep(m):
    m.put("ctl/compile-hook", "sh -c 'sh -c \"trap : TERM; : >'$ctl/deep'; while :; do sleep 0.05; done\"; true'; true\n")
    d = m.start()
    d.wait_for(lambda: m.exists("ctl/deep"), "the innermost runs")
    d.kill()
    wait_until(lambda: not m.processes(), f"all are gone: {m.processes()}", 20)
    os.unlink(m.path("ctl/compile-hook"))
    again(m)


@story("killed while compiling, started before its make is gone")
def compiling_quick(m):
    m.put("ctl/compile-hook", "i=0; while [ $i -lt 3000 ]; do echo $i >part-$((i % 300)); i=$((i + 1)); done\n")
    m.close("compile")
    d = m.start()
    d.wait_for(m.compiled, "make runs")
    d.kill()
    again(m, held="compile")


@story("killed while linking")
def linking(m):
    m.hold_linker()
    d = m.start()
    d.wait_for(lambda: any("ld -r" in words for _, words in m.processes()), "ld runs")
    d.kill()
    m.put("usr/src/linux-headers-6.1.192-fixture/scripts/module.lds", "SECTIONS { }\n")
    again(m)


@story("killed while publishing")
def publishing(m):
    m.close("publish")
    d = m.start()
    m.wait_at("publish")
    d.kill()
    again(m, held="publish")


@story("killed while verifying")
def verifying(m):
    m.close("verify")
    d = m.start()
    m.wait_at("verify")
    d.kill()
    again(m, held="verify")
    check_equal(m.compiled(), 1, "compiler runs: the build was there")


@story("killed while the kernel loads: the module is ours all the same")
def loading(m):
    m.close("insert-nvidia_uvm")
    d = m.start()
    m.wait_at("insert-nvidia_uvm")
    d.kill()
    check(m.processes(), "the helper is in the kernel and stays")
    again(m, held="insert-nvidia_uvm")
    check_equal(m.compiled(), 1, "compiler runs")


@story("killed while waiting for device nodes")
def awaiting(m):
    env = m.umockdev()
    d = m.start(modules=" ".join(MODULES), env=env)
    d.wait_status("Waiting for device nodes")
    d.kill()
    from harness import make_nodes
    make_nodes(m.root)
    again(m, modules=" ".join(MODULES), env=env)


@story("killed when ready")
def ready(m):
    d = m.start()
    d.wait_ready()
    d.kill()
    for directory in ("run/nvidia-driverd", "run/nvidia"):
        m.put(f"{directory}/.#0123456789abcdef", "half of a file")
    again(m)
    check(not m.exists("run/nvidia/.#0123456789abcdef"), "half written files are left")
    check_equal([x for x in m.helper_log() if x.startswith("insert")], ["insert nvidia", "insert nvidia_uvm", "insert nvidia_modeset"],
                "insertions: the loaded driver was adopted")


@story("killed while unloading")
def unloading(m):
    import signal
    d = m.start()
    d.wait_ready()
    m.close("delete-nvidia_uvm")
    d.send(signal.SIGTERM)
    m.wait_at("delete-nvidia_uvm")
    d.kill()
    again(m, held="delete-nvidia_uvm")


@story("killed in backoff")
def backoff(m):
    m.put("ctl/fail-insert-nvidia", "5")
    d = m.start("--set=Retry.DelaySec=1h", "--set=Retry.MaxDelaySec=1h")
    d.wait_status("Backoff")
    d.kill()
    m.put("ctl/fail-insert-nvidia", "0")
    again(m)


main()
