# SPDX-License-Identifier: Apache-2.0
"""A kernel source that must be prepared. fixtures/component/kernel has its Makefile: the real make runs it."""

import os
import shutil

from harness import FIXTURES, RELEASE

KERNEL = "usr/src/linux"
BUILD = f"usr/src/linux-build-{RELEASE}"
NEW = ["CONFIG_ALPHA=y", "CONFIG_BETA=m", 'CONFIG_GAMMA="two words"', "CONFIG_DELTA=n"]


def put_source(m, dirty=False):
    """With the configuration in a tree of its own beside the source, or in the source itself (dirty)."""
    for name in ("Makefile", "Kconfig"):
        m.copy(os.path.join(FIXTURES, "kernel", name), f"{KERNEL}/{name}")
    m.put(f"{KERNEL}/Makefile", m.get(f"{KERNEL}/Makefile").replace("@CTL@", m.ctl))
    for name in ("init/main.c", "scripts/Makefile.build", "scripts/module.lds", "include/linux/module.h",
                 "drivers/a/very/deep/file.c"):
        m.put(f"{KERNEL}/{name}", f"/* {name} */\n" if name.endswith((".c", ".h")) else "")
    m.put(f"{KERNEL}/scripts/module.lds", "SECTIONS { }\n")
    base = KERNEL if dirty else BUILD
    m.put_config(base)
    if dirty:
        m.put(f"{KERNEL}/include/config/auto.conf", "")
    else:
        m.put(f"{BUILD}/Makefile", "include ../linux/Makefile\n")
    os.makedirs(m.path(f"lib/modules/{RELEASE}"), exist_ok=True)
    os.symlink(f"../../../{base}", m.path(f"lib/modules/{RELEASE}/build"))
    return base


def remove(m):
    shutil.rmtree(m.path(KERNEL))
