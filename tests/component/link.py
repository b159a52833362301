#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The end of linking: modules that the kernel would refuse are found before anybody tries to load them."""

import os
import subprocess

from harness import RELEASE, STORE, TREE, VERMAGIC, check, check_equal, compile_objects, main
from harness import story
from failurechecks import failed

CONFIG = f"{TREE}/.config"
SYMVERS = f"{TREE}/Module.symvers"
MODVERSIONS = f"{VERMAGIC} modversions"
OK, TREE_MISSING, TREE_UNUSABLE, LINK_FAILED, MISMATCH, SYMBOLS = 0, 14, 15, 23, 24, 53


def module(path, name, needs=(), exports=(), vermagic=MODVERSIONS, retpoline=True, options=("-g0",), license="NVIDIA",
           depends=""):
    """A small module with versions of what it needs and CRCs of what it exports, as modpost makes them."""
    info = [f"name={name}", f"license={license}", f"depends={depends}"] + ([f"vermagic={vermagic} "] if vermagic else [])
    info += ["retpoline=Y"] if retpoline else []
    text = 'static const char i[] __attribute__((section(".modinfo"), used)) = "' + "\\0".join(info) + '";\n'
    text += "struct version { unsigned long crc; char name[56]; };\n"
    versions = ",".join(f'{{ {crc:#x}, "{symbol}" }}' for symbol, crc in needs)
    if needs:
        text += f'static const struct version v[] __attribute__((section("__versions"), used)) = {{ {versions} }};\n'
    names = "\\0".join(s for s, _ in exports)
    if exports:
        text += f'static const char s[] __attribute__((section("__ksymtab_strings"), used)) = "{names}";\n'
    for symbol, crc in exports:
        text += f'__asm__(".globl __crc_{symbol}\\n.set __crc_{symbol}, {crc:#x}\\n");\nint {symbol}(void) {{ return 1; }}\n'
    for symbol, _ in needs:
        text += f"extern int {symbol}(void);\n"
    text += f"int {name}_init(void) {{ return 0{''.join(f' + {s}()' for s, _ in needs)}; }}\n"
    subprocess.run(["gcc", "-w", "-x", "c", *options, "-c", "-o", path, "-"], input=text, text=True, check=True)


def put_kernel(m):
    """A kernel with MODVERSIONS and retpolines that exports three symbols."""
    m.put_config(TREE, "CONFIG_MODVERSIONS=y\nCONFIG_RETPOLINE=y\n")
    m.put(SYMVERS, "0x0000000a\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n0x0000000b\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n"
                   "0x0000000c\tdrm_open\tdrivers/gpu/drm/drm\tEXPORT_SYMBOL_GPL\tDRM\n")


def put_modules(m):
    os.makedirs(m.path("m"))
    module(m.path("m/nvidia.ko"), "nvidia", [("module_layout", 0xb), ("printk", 0xa)], [("nv_open", 0x55)])
    module(m.path("m/nvidia-drm.ko"), "nvidia_drm", [("drm_open", 0xc), ("nv_open", 0x55)], license="Dual MIT/GPL")


def worker_check(m, status, detail=None, tree=None):
    """What the worker's check answers about the modules in m."""
    p = subprocess.run([os.environ["NVIDIA_WORKER"], "check", m.path("m"), tree or m.path(TREE)], capture_output=True,
                       text=True, check=False)
    check("Sanitizer" not in p.stderr, p.stderr)
    check_equal(p.returncode, status, f"exit status; {p.stdout}{p.stderr}")
    answers = {}
    for line in p.stdout.splitlines():
        key, _, value = line.partition("=")
        answers.setdefault(key, []).append(value)
    if detail:
        check(detail in answers["detail"][-1], f"{detail!r} in {answers['detail']}")
    return answers


@story("modules that fit the kernel and each other", gpus=0)
def fits(m):
    put_kernel(m)
    put_modules(m)
    answers = worker_check(m, OK)
    check_equal(answers, {"checked": ["4 symbols of 2 modules"]}, "answers")


@story("another CRC, of the kernel, of a module of the kernel and of a sibling; a symbol that is not there", gpus=0)
def crcs(m):
    put_kernel(m)
    put_modules(m)
    good = m.get(SYMVERS)
    for old, new, text in (("0x0000000a", "0x0000000f", "nvidia.ko: printk has CRC 0x0000000a, that of vmlinux has 0x0000000f"),
                           ("0x0000000b", "0x0000000f", "module_layout has CRC 0x0000000b, that of vmlinux has 0x0000000f"),
                           ("0x0000000c", "0x0000000f", "nvidia-drm.ko: drm_open has CRC 0x0000000c, that of drivers/gpu/drm/drm"),
                           ("printk", "prints", "nvidia.ko: neither the kernel nor another module of the build exports printk")):
        m.put(SYMVERS, good.replace(old, new))
        check_equal(len(worker_check(m, SYMBOLS, text)["defect"]), 1, "defects")
    m.put(SYMVERS, good)
    module(m.path("m/nvidia.ko"), "nvidia", [("module_layout", 0xb)], [("nv_open", 0x56)])
    worker_check(m, SYMBOLS, "nvidia-drm.ko: nv_open has CRC 0x00000055, that of nvidia.ko has 0x00000056")
    module(m.path("m/nvidia-drm.ko"), "nvidia_drm", [("drm_open", 0xc)])
    worker_check(m, SYMBOLS, "drm_open is for modules under the GPL only, the licence of this one is 'NVIDIA'")


@story("a module that carries neither vermagic nor retpoline tag, and what a kernel without them wants", gpus=0)
def tags(m):
    put_kernel(m)
    put_modules(m)
    module(m.path("m/nvidia.ko"), "nvidia", [("printk", 0xa)], [("nv_open", 0x55)], vermagic=None, retpoline=False)
    defects = worker_check(m, MISMATCH, "nvidia.ko: the module carries no vermagic at all")["defect"]
    check_equal(len(defects), 2, f"defects: {defects}")
    module(m.path("m/nvidia.ko"), "nvidia", [("printk", 0xa)], [("nv_open", 0x55)], retpoline=False)
    worker_check(m, MISMATCH, "nvidia.ko: it does not carry the retpoline tag")
    m.put(CONFIG, m.get(CONFIG).replace("CONFIG_RETPOLINE=y\n", ""))
    worker_check(m, OK)
    # From 6.9 on the option has another name.
    m.put(CONFIG, m.get(CONFIG) + "CONFIG_MITIGATION_RETPOLINE=y\n")
    worker_check(m, MISMATCH, "nvidia.ko: it does not carry the retpoline tag")


@story("modules without CRCs, for a kernel that wants them, and for those that have them elsewhere or not at all", gpus=0)
def versions(m):
    put_kernel(m)
    put_modules(m)
    with open(m.path("ctl/m.c"), "w", encoding="ascii") as f:
        f.write('static const char i[] __attribute__((section(".modinfo"), used)) = "license=GPL\\0retpoline=Y\\0vermagic='
                f'{MODVERSIONS} ";\nextern int printk(void);\nint f(void) {{ return printk(); }}\n')
    subprocess.run(["gcc", "-c", "-o", m.path("m/nvidia.ko"), m.path("ctl/m.c")], check=True)
    os.unlink(m.path("m/nvidia-drm.ko"))
    worker_check(m, SYMBOLS, "nvidia.ko: its symbols carry no CRCs, which this kernel wants")
    m.put(CONFIG, m.get(CONFIG) + "CONFIG_EXTENDED_MODVERSIONS=y\n")
    worker_check(m, OK)
    m.put(CONFIG, m.get(CONFIG) + "CONFIG_BASIC_MODVERSIONS=y\n")
    worker_check(m, SYMBOLS, "nvidia.ko: its symbols carry no CRCs")


@story("debugging information is told, not refused", gpus=0)
def debug(m):
    put_kernel(m)
    put_modules(m)
    module(m.path("m/nvidia.ko"), "nvidia", [("printk", 0xa)], [("nv_open", 0x55)], options=("-g",))
    check_equal(worker_check(m, OK)["debug"], ["nvidia.ko"], "modules with debugging information")


@story("what cannot be checked is said: no Module.symvers, a bad one, no tree, no modules, a module that is none", gpus=0)
def nothing(m):
    put_kernel(m)
    put_modules(m)
    m.put(SYMVERS, "0x1\tprintk\tvmlinux\tEXPORT_SYMBOL\n0x2\tcut")
    worker_check(m, TREE_UNUSABLE, "Module.symvers: line 2: fewer than four fields")
    os.unlink(m.path(SYMVERS))
    check("so the modules' symbols cannot be checked" in worker_check(m, OK)["note"][0], "the note")
    worker_check(m, TREE_MISSING, "there is no such kernel tree", tree=m.path("nowhere"))
    with open(m.path("m/nvidia.ko"), "wb") as f:
        f.write(b"\x7fELF and nothing more")
    worker_check(m, LINK_FAILED, "nvidia.ko is no kernel module, or a damaged module file")
    os.unlink(m.path("m/nvidia.ko"))
    os.symlink(m.path("m/nvidia-drm.ko"), m.path("m/nvidia.ko"))
    check(worker_check(m, 70)["detail"][0].endswith("Too many levels of symbolic links"), "a symlink is not followed")
    os.unlink(m.path("m/nvidia.ko"))
    os.unlink(m.path("m/nvidia-drm.ko"))
    worker_check(m, LINK_FAILED, "has no modules")


def driver_needs(m, crc):
    """The driver's nvidia-uvm.ko needs printk with this CRC."""
    if os.path.islink(m.path("ctl/objects")):
        os.unlink(m.path("ctl/objects"))
    compile_objects(m.path("ctl/objects"), MODVERSIONS)
    # The kernel's own modules say which vermagic it wants.
    m.copy(m.path("ctl/objects/video.ko"), f"lib/modules/{RELEASE}/kernel/video.ko")
    for name in ("nv-linux.o", "nv-modeset-linux.o", "nvidia-uvm.ko", "nvidia-drm.ko"):
        kernel_name = {"nv-linux.o": "nvidia", "nv-modeset-linux.o": "nvidia_modeset"}.get(name, name[:-3].replace("-", "_"))
        module(m.path(f"ctl/objects/{name}"), kernel_name, [("printk", crc)],
               depends="" if kernel_name == "nvidia" else "nvidia")


@story("a build whose symbols do not fit: code, symbol and both CRCs; nothing in the store, nothing loaded; then one that fits")
def whole(m):
    put_kernel(m)
    driver_needs(m, 0xdead)
    failed(m, m.start(), "symbol-mismatch", SYMBOLS, "printk has CRC 0x0000dead, that of vmlinux has 0x0000000a")
    check_equal((m.compiled(), m.builds(), m.helper_log()), (1, [], []), "compiler runs, builds, helper runs")
    check(m.get(f"{STORE}/failed-build.log").count("defect=") == 3, "all defects are in the log")
    p = m.run("build")
    check_equal(p.returncode, SYMBOLS, p.stderr)
    check("symbol-mismatch (exit status 53)" in p.stderr, p.stderr)
    driver_needs(m, 0xa)
    d = m.start()
    d.wait_ready()
    check("Checked 3 symbols of 3 modules against kernel" in d.log(), d.log())
    d.stop()
    m.check_gone()


main()
