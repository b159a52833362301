#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A kernel source becomes a tree to build in: no question, no byte changed, every new option listed."""

import gzip
import os
import shutil

from harness import RELEASE, STORE, check, check_equal, main, story
from kernelsource import BUILD, KERNEL, put_source

NAMES = ("CONFIG_ALPHA=y", "CONFIG_BETA=m", "CONFIG_GAMMA=two words", "CONFIG_DELTA=n")


def prepared(m, names, *trees):
    """A start that has to prepare; the trees stay as they are."""
    before = [m.tree_hash(t) for t in trees]
    # A stdin that would answer, if anybody asked: fixtures' olddefconfig fails when it can read a line.
    d = m.start()
    d.wait_ready()
    check_equal([m.tree_hash(t) for t in trees], before, "hashes of the inputs")
    log = d.log()
    if names:
        check(f"has {len(names)} options that .config does not know, taking their defaults" in log, log)
    for name in names:
        check(f"  {name}\n" in log, f"{name} in the log:\n{log}")
    check_equal(log.count("  CONFIG_"), len(names), "symbols in the log")
    check("Preparing" in d.texts(), f"STATUS: {d.texts()}")
    m.check_store(1)
    build = m.get(f"{STORE}/builds/{m.builds()[0]}/build.log")
    check("modules_prepare" in build, "the commands are in the log of the build")
    d.stop()
    m.check_gone()
    return build


@story("a clean source with configuration and symbols beside it", tree=False)
def clean(m):
    put_source(m)
    build = prepared(m, NAMES, KERNEL, BUILD)
    check("cp -rs" not in build and "mrproper" not in build, "a clean source needs no copy")


@story("a dirty source: prepared in a copy of links, the links' ends are untouched", tree=False)
def dirty(m):
    put_source(m, dirty=True)
    m.put(f"{KERNEL}/scripts/kconfig/conf", "left by an earlier build\n", 0o755)
    os.symlink("../../init", m.path(f"{KERNEL}/scripts/link"))
    build = prepared(m, NAMES, KERNEL)
    check("cp -rs" in build and "mrproper" in build, f"the commands:\n{build}")


@story("a dirty source with a linked directory: refused, cleaning the copy would reach the original", tree=False)
def linked_directory(m):
    put_source(m, dirty=True)
    os.rename(m.path(f"{KERNEL}/include"), m.path("usr/src/elsewhere"))
    os.symlink("../elsewhere", m.path(f"{KERNEL}/include"))
    before = [m.tree_hash(t) for t in (KERNEL, "usr/src/elsewhere")]
    d = m.start()
    check_equal(d.wait(), 17, "exit status")
    check("[kernel-tree-dirty]" in d.log() and "/include is a link to a directory" in d.log(), d.log())
    check_equal([m.tree_hash(t) for t in (KERNEL, "usr/src/elsewhere")], before, "hashes of the inputs")
    check_equal(m.staging(), [], "staging")


@story("a dirty source with the links that every kernel has", tree=False)
def known_links(m):
    put_source(m, dirty=True)
    m.put(f"{KERNEL}/arch/arm/boot/dts/board.dts", "/* board */\n")
    os.makedirs(m.path(f"{KERNEL}/scripts/dtc/include-prefixes"))
    os.symlink("../../../arch/arm/boot/dts", m.path(f"{KERNEL}/scripts/dtc/include-prefixes/arm"))
    prepared(m, NAMES, KERNEL)


@story("nothing new: nothing is listed", tree=False)
def nothing_new(m):
    base = put_source(m)
    m.put_config(base, "CONFIG_ALPHA=y\nCONFIG_BETA=m\nCONFIG_GAMMA=\"x\"\n# CONFIG_DELTA is not set\n")
    prepared(m, (), KERNEL, BUILD)


def put_olddefconfig(m, script):
    """olddefconfig does this to the .config in $(O) as well."""
    m.put(f"{KERNEL}/Makefile", m.get(f"{KERNEL}/Makefile").replace(
        "&& rm $(O)/.new\n", f"&& rm $(O)/.new\n\t@{script}\n"))


def put_kernel_config(m, base):
    m.put_config(base, "CONFIG_ALPHA=y\nCONFIG_BETA=m\nCONFIG_GAMMA=\"x\"\n# CONFIG_DELTA is not set\n"
                       "CONFIG_CC_HAS_X=y\nCONFIG_DEBUG_INFO_BTF=y\nCONFIG_DEBUG_INFO_BTF_MODULES=y\n"
                       "CONFIG_PAHOLE_VERSION=124\n# CONFIG_SCHED_CLASS_EXT is not set\n")


DROP_BTF = "sed -i -e /BTF/d -e /SCHED_CLASS_EXT/d -e s/VERSION=124/VERSION=0/ $(O)/.config"


@story("tools that change the kernel's configuration: refused before anything is compiled, by option and cause", tree=False)
def changed(m):
    base = put_source(m)
    put_kernel_config(m, base)
    put_olddefconfig(m, DROP_BTF)
    d = m.start()
    check_equal(d.wait(), 65, f"exit status, {d.log()}")
    log = d.log()
    check("[kernel-config-changed]" in log and "olddefconfig: DEBUG_INFO_BTF, DEBUG_INFO_BTF_MODULES." in log, log)
    check("Cause: pahole is not installed (package dwarves)." in log, log)
    check("  DEBUG_INFO_BTF: y, now n\n" in log and "  DEBUG_INFO_BTF_MODULES: y, now n\n" in log, log)
    check("SCHED_CLASS_EXT" not in log, "what was not set and is not there any more is the same")
    check_equal((m.compiled(), m.builds(), m.staging()), (0, [], []), "compiler runs, builds, staging")
    check("modules_prepare" not in m.get(f"{STORE}/failed-build.log"), "modules_prepare is not run")


@story("the same, and wanted: a warning with the options, and a build", tree=False)
def changed_ignored(m):
    base = put_source(m)
    put_kernel_config(m, base)
    put_olddefconfig(m, DROP_BTF)
    d = m.start("--set=Build.IgnoreConfigChanges=yes")
    d.wait_ready()
    check("  DEBUG_INFO_BTF: y, now n\n" in d.log() and "(IgnoreConfigChanges=yes)" in d.log(), d.log())
    d.stop()
    m.check_gone()


@story("a change that only describes the tools: logged, and nothing else", tree=False)
def described(m):
    base = put_source(m)
    put_kernel_config(m, base)
    put_olddefconfig(m, "sed -i -e /CC_HAS_X/d $(O)/.config; echo CONFIG_CC_HAS_Y=y >>$(O)/.config; "
                        "echo CONFIG_HIDDEN=y >>$(O)/.config")
    d = m.start()
    d.wait_ready()
    log = d.log()
    check("in 2 options that describe the tools: CC_HAS_X, CC_HAS_Y." in log, log)
    check("in 1 options that it does not name: HIDDEN." in log, log)
    check("now n" not in log and "changed" not in log, log)
    d.stop()
    m.check_gone()


@story("olddefconfig leaves no configuration: that is an error of ours or of the machine, not a fitting tree", tree=False)
def no_result(m):
    put_source(m)
    put_olddefconfig(m, "rm $(O)/.config")
    d = m.start()
    check_equal(d.wait(), 70, f"exit status, {d.log()}")
    check("comparing the kernel's configuration" in d.log(), d.log())
    check_equal((m.compiled(), m.staging()), (0, []), "compiler runs, staging")


@story("a source is prepared with the kernel's own compiler; with none like it, it is not prepared", tree=False)
def compiler(m):
    base = put_source(m)
    put_olddefconfig(m, "echo CC is $(CC)")
    name = f"gcc-{os.popen('gcc -dumpversion').read().split('.')[0].strip()}"
    own = m.get(f"{base}/.config")
    if shutil.which(name):
        m.put(f"{base}/.config", own.replace('TEXT="gcc ', f'TEXT="{name} '))
        check(f"CC is {name}" in prepared(m, NAMES, KERNEL), "the compiler that make was given")
        shutil.rmtree(m.path(f"{STORE}/builds"))
    m.put(f"{base}/.config", own.replace(own.splitlines()[0], 'CONFIG_CC_VERSION_TEXT="gcc-77 (Fixture) 77.1.0"'))
    d = m.start()
    check_equal(d.wait(), 28, f"exit status, {d.log()}")
    check("[compiler-mismatch]" in d.log() and "gcc-77 (Fixture) 77.1.0" in d.log(), d.log())
    check("olddefconfig" not in m.get(f"{STORE}/failed-build.log"), "it is not prepared")


@story("hundreds of new options: 200 are shown, the number is right", tree=False)
def many(m):
    put_source(m)
    m.put(f"{KERNEL}/Kconfig", "".join(f"CONFIG_N{i}=y\n" for i in range(250)))
    d = m.start()
    d.wait_ready()
    check("has 250 options" in d.log(), d.log()[:500])
    check_equal(d.log().count("  CONFIG_"), 200, "symbols in the log")
    d.stop()


@story("the prepared tree is of another release: refused with both", tree=False)
def other_release(m):
    put_source(m)
    m.put(f"{KERNEL}/Makefile", m.get(f"{KERNEL}/Makefile").replace('"$(KERNELRELEASE)"', '"6.1.192-dirty"'))
    d = m.start()
    check_equal(d.wait(), 16, "exit status")
    check("6.1.192-dirty" in d.log() and RELEASE in d.log(), d.log())
    check_equal(m.compiled(), 0, "compiler runs")


@story("the source of another kernel is not even prepared", tree=False)
def other_source(m):
    put_source(m)
    m.put(f"{KERNEL}/Makefile", m.get(f"{KERNEL}/Makefile").replace("SUBLEVEL = 192", "SUBLEVEL = 19"))
    d = m.start()
    check_equal(d.wait(), 16, "exit status")
    check("6.1.19," in d.log() or "6.1.19 " in d.log(), d.log())
    check("Preparing" not in d.texts(), "nothing is prepared")


@story("a source without configuration: said by name, nothing is guessed", tree=False)
def no_config(m):
    put_source(m)
    os.unlink(m.path(f"{BUILD}/.config"))
    d = m.start()
    check_equal(d.wait(), 15, "exit status")
    check("[kernel-tree-unusable]" in d.log() and ".config" in d.log(), d.log())


@story("a source without Module.symvers: said by name", tree=False)
def no_symvers(m):
    put_source(m)
    os.unlink(m.path(f"{BUILD}/Module.symvers"))
    d = m.start()
    check_equal(d.wait(), 15, "exit status")
    check("[kernel-tree-unusable]" in d.log() and "Module.symvers" in d.log(), d.log())


@story("a clean source, and the configuration where the running kernel has it: /boot, /proc/config.gz", tree=False)
def supplied(m):
    put_source(m)
    os.unlink(m.path(f"lib/modules/{RELEASE}/build"))
    os.makedirs(m.path("boot"))
    os.rename(m.path(f"{BUILD}/.config"), m.path(f"boot/config-{RELEASE}"))
    m.put(f"boot/symvers-{RELEASE}.gz", "")
    with gzip.open(m.path(f"boot/symvers-{RELEASE}.gz"), "wb") as f:
        f.write(m.get(f"{BUILD}/Module.symvers").encode())
    shutil.rmtree(m.path(BUILD))
    build = prepared(m, NAMES, KERNEL, "boot")
    check("cp -rs" not in build, "a clean source needs no copy")
    # The running kernel's own, and the store is empty again: another build, of the same inputs.
    with open(m.path(f"boot/config-{RELEASE}"), "rb") as f, gzip.open(m.path("proc/config.gz"), "wb") as to:
        to.write(f.read())
    os.unlink(m.path(f"boot/config-{RELEASE}"))
    shutil.rmtree(m.path(STORE))
    d = m.start()
    d.wait_ready()
    check(f"/{KERNEL} has no .config, taking /proc/config.gz." in d.log(), d.log())
    d.stop()
    m.check_gone()


@story("a damaged symvers.gz: said by name, nothing is compiled", tree=False)
def damaged_symvers(m):
    put_source(m)
    os.unlink(m.path(f"{BUILD}/Module.symvers"))
    m.put(f"boot/symvers-{RELEASE}.gz", "")
    with open(m.path(f"boot/symvers-{RELEASE}.gz"), "wb") as f:
        f.write(gzip.compress(b"0x1\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n" * 20)[:-9])
    d = m.start()
    check_equal(d.wait(), 15, "exit status")
    check("[kernel-tree-unusable]" in d.log() and f"/boot/symvers-{RELEASE}.gz cannot be read" in d.log(), d.log())
    check_equal(m.compiled(), 0, "compiler runs")
    check_equal(m.staging(), [], "staging")


@story("the configuration of another kernel: refused with both, nothing is prepared", tree=False)
def other_config(m):
    put_source(m)
    m.put(f"{BUILD}/.config", "#\n# Linux/x86 6.12.95 Kernel Configuration\n#\n" + m.get(f"{BUILD}/.config"))
    before = m.tree_hash(BUILD)
    d = m.start()
    check_equal(d.wait(), 16, "exit status")
    check("[kernel-tree-mismatch]" in d.log() and "configuration of Linux 6.12.95, the source is Linux 6.1.192" in d.log(),
          d.log())
    check("Preparing" not in d.texts(), "nothing is prepared")
    check_equal(m.tree_hash(BUILD), before, "hash of the input")


@story("modules_prepare says that it succeeded, and leaves a tree that no module can be built in: what is missing is named", tree=False)
def left_out(m):
    put_source(m)
    m.put(f"{KERNEL}/Makefile", m.get(f"{KERNEL}/Makefile") + "\n\t@rm -f $(O)/scripts/mod/modpost\n")
    d = m.start()
    check_equal(d.wait(), 18, f"exit status, {d.log()}")
    check("[prepare-failed]" in d.log() and "modules_prepare left no " in d.log() and "modpost" in d.log(), d.log())
    check_equal(m.staging(), [], "staging")


@story("preparing fails: code, first error line, exit status 18", tree=False)
def fails(m):
    put_source(m)
    m.put(f"{KERNEL}/Makefile", m.get(f"{KERNEL}/Makefile").replace(
        "modules_prepare: clean-source\n", 'modules_prepare: clean-source\n\t@echo "scripts/x.c:1: error: it broke"; exit 1\n'))
    d = m.start()
    check_equal(d.wait(), 18, "exit status")
    check("[prepare-failed]" in d.log() and "First error: scripts/x.c:1: error: it broke" in d.log(), d.log())
    check_equal(m.staging(), [], "staging")


main()
