# SPDX-License-Identifier: Apache-2.0
"""A .run file as NVIDIA's: made by the real makeself, whose script gets the one option that only NVIDIA's has."""

import os
import shutil
import subprocess

from harness import DRIVER, SOURCE, Skip, check_equal

HEADER = "/usr/share/makeself/makeself-header.sh"
# The header is itself a here-document of makeself: what its script is to see of a "$" has a "\" before it.
OPTION = r"""    --extract-only)
	@HOOK@
	script=""
	keep=y
	shift
	;;
    --noexec)
"""


def label(version=DRIVER, arch=None):
    return f"NVIDIA Accelerated Graphics Driver for Linux-{arch or os.uname().machine} {version}"


def name_of(version=DRIVER):
    return f"NVIDIA-Linux-{os.uname().machine}-{version}.run"


def put_run_file(m, path, text=None, hook=":", folders=("kernel", "kernel-open")):
    """Packs the machine's driver source, which stays, into PATH."""
    if not shutil.which("makeself") or not os.path.exists(HEADER):
        raise Skip("makeself is not installed")
    packed = m.path("ctl/packed")
    shutil.rmtree(packed, ignore_errors=True)
    os.makedirs(packed)
    for folder in folders:
        shutil.copytree(m.path(SOURCE), f"{packed}/{folder}")
    if "kernel-open" in folders:
        m.put("ctl/packed/kernel-open/nvidia-modeset/nvidia-modeset-linux.c", 'MODULE_LICENSE("Dual MIT/GPL");\n')
    with open(HEADER, encoding="utf-8") as f:
        header = f.read()
    option = "\t--noexec)\n" if "\t--noexec)\n" in header else "    --noexec)\n"
    check_equal(header.count(option), 1, "options --noexec in makeself's header")
    m.put("ctl/header", header.replace(option, OPTION.replace("@HOOK@", hook)))
    os.makedirs(os.path.dirname(m.path(path)), exist_ok=True)
    subprocess.run(["makeself", "--header", m.path("ctl/header"), "--nox11", "--quiet", "--tar-quietly", packed, m.path(path),
                    text or label(), "./nvidia-installer"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    os.chmod(m.path(path), 0o755)
    shutil.rmtree(packed)
