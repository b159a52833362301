# SPDX-License-Identifier: Apache-2.0
"""Small real ELF files by the real compiler, and the compile step that hands them out."""

import os
import shutil
import subprocess
import tempfile

from fixture import DRIVER, VERMAGIC


def _info(name, depends, vermagic, srcversion):
    pairs = [f"name={name}", f"vermagic={vermagic} ", f"version={DRIVER}", f"srcversion={srcversion}",
             f"depends={depends}", "license=NVIDIA",
             "parmtype=NVreg_EnableMSI:int", "parmtype=NVreg_EnableGpuFirmware:int",
             "parm=NVreg_RegistryDwords:Words: and text", "parmtype=NVreg_RegistryDwords:charp"]
    text = "".join(f'"{p}\\0" ' for p in pairs)
    return f'static const char info[] __attribute__((used, section(".modinfo"))) = {text};\n' \
           f"int {name}_init(void) {{ return 0; }}\n"


def compile_objects(directory, vermagic=VERMAGIC):
    """What the driver's make leaves behind, and NVIDIA's two core objects."""
    parts = {
        "nv-linux.o": _info("nvidia", "video", vermagic, "A" * 23),
        "nv-modeset-linux.o": _info("nvidia_modeset", "nvidia,backlight", vermagic, "B" * 23),
        "nvidia-uvm.ko": _info("nvidia_uvm", "nvidia", vermagic, "C" * 23),
        "nvidia-drm.ko": _info("nvidia_drm", "nvidia,nvidia-modeset", vermagic, "D" * 23),
        "video.ko": _info("video", "", vermagic, "E" * 23),
        "nv-kernel.o_binary": "int rm_init(void) { return 1; }\n",
        "nv-modeset-kernel.o_binary": "int kms_init(void) { return 1; }\n",
    }
    os.makedirs(directory, exist_ok=True)
    for name, text in parts.items():
        subprocess.run(["gcc", "-x", "c", "-c", "-o", os.path.join(directory, name), "-"], input=text, text=True,
                       check=True)


_objects = None


def objects():
    global _objects
    if not _objects:
        _objects = tempfile.mkdtemp(prefix="driverd-objects-")
        compile_objects(_objects)
    return _objects


COMPILE = r"""#!/bin/sh
# Called by the fixture's Makefile in the staging copy of the driver source.
set -e
ctl=@CTL@
gate() {
        [ -p "$ctl/gate-$1" ] || return 0
        : >"$ctl/at-$1"
        read -r _ <"$ctl/gate-$1" || :
}
cd "$1"
echo "$1" >>"$ctl/compiled"
announce() { echo "  CC [M]  $PWD/$1"; }
announce nvidia/nv.o
[ ! -e "$ctl/compile-hook" ] || . "$ctl/compile-hook"
gate compile
for object in nvidia/nv-pci.o nvidia-modeset/nvidia-modeset-linux.o nvidia-uvm/uvm.o nvidia-uvm/uvm_gpu.o; do
        announce "$object"
done
cp "$ctl/objects/nv-linux.o" "$ctl/objects/nv-modeset-linux.o" "$ctl/objects/nvidia-uvm.ko" "$ctl/objects/nvidia-drm.ko" .
"""


def remove_objects():
    if _objects:
        shutil.rmtree(_objects, ignore_errors=True)
