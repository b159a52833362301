#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nvidia-driver build: for this kernel into the store, for another one into a directory; interrupted; and
what it reads of the running kernel when it is not about that one; what can go wrong before and in the compiler."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess

from harness import DRIVER, SOURCE, STORE, TREE, Skip, check, check_equal, main, note, story, wait_until
from fixture import VERSION
from harness import compile_objects

OTHER = "6.12.95-other"
OTHER_TREE = f"usr/src/kernels/{OTHER}"
MODULES = "--set=Driver.Modules=nvidia nvidia-uvm nvidia-modeset nvidia-drm"


def other_kernel(m):
    m.put_tree(OTHER_TREE, OTHER, "#1 SMP other")
    os.unlink(m.path("ctl/objects"))
    compile_objects(m.path("ctl/objects"), f"{OTHER} SMP mod_unload")
    # Paths on the command line are the caller's and are made absolute; in a fixture they are the root's.
    return ["build", f"--kernel={OTHER}", f"--set=Kernel.Tree=/{OTHER_TREE}", f"--set=Driver.Source=/{SOURCE}"]


@story("a source that somebody patched is another one: another build, and the one that worked stays")
def patched(m):
    check_equal(m.run("build").returncode, 0, "build")
    first = m.builds()
    check_equal(m.run("build").returncode, 0, "the same again")
    check_equal(m.builds(), first, "the same source, the same build")
    before = m.get(f"{STORE}/builds/{first[0]}/manifest.json")
    m.put(f"{SOURCE}/nvidia/nv-fixed.h", "#define FIXED 1\n")
    p = m.run("build")
    check_equal((p.returncode, len(m.builds())), (0, 2), p.stderr)
    check_equal(m.get(f"{STORE}/builds/{first[0]}/manifest.json"), before, "the first one's manifest")
    os.unlink(m.path(f"{SOURCE}/nvidia/nv-fixed.h"))
    os.symlink("/proc/self/mem", m.path(f"{SOURCE}/nvidia/link"))
    p = m.run("build")
    check_equal((p.returncode, len(m.builds())), (0, 3), p.stderr)
    digests = {json.loads(m.get(f"{STORE}/builds/{b}/manifest.json"))["inputs"]["source"] for b in m.builds()}
    check(len(digests) == 3 and all(re.fullmatch("[0-9a-f]{64}", d) for d in digests), digests)


@story("a tree of the same release whose version text is another one: told by plan, build and the daemon")
def other_text(m):
    m.put(f"{TREE}/include/generated/utsversion.h", '#define UTS_VERSION "#2 SMP rebuilt"\n')
    text = f'version text is "#2 SMP rebuilt", the kernel\'s is "{VERSION}"'
    for command in "plan", "build":
        p = m.run(command)
        check(p.returncode == 0 and text in p.stderr, p.stderr)
    # What is in the store needs no tree, and nothing is told about one.
    p = m.run("plan")
    check(p.returncode == 0 and "version text" not in p.stderr, p.stderr)
    shutil.rmtree(m.path(f"{STORE}/builds/{m.builds()[0]}"))
    d = m.start()
    d.wait_ready()
    check(f"Kernel tree: {text}." in d.log(), d.log())
    d.stop()


LATE = "CONFIG_OBJTOOL=y\nCONFIG_X86_KERNEL_IBT=y\nCONFIG_UNWINDER_ORC=y\nCONFIG_MITIGATION_RETHUNK=y\n"
OBJTOOL = f"{TREE}/tools/objtool/objtool"


def put_objtool(m, script, config=LATE):
    m.put_config(TREE, config)
    m.put(OBJTOOL, f'#!/bin/sh\necho "$SRCARCH $*" >>{m.path("ctl/objtool.log")}\nfor object; do :; done\n{script}\n', 0o755)


def interfaces(m):
    """The interface objects of the only build, without what the compiler made of them: what objtool appended."""
    build, found = f"{STORE}/builds/{m.builds()[0]}", []
    for name in ("nv-linux.o", "nv-modeset-linux.o"):
        with open(m.path(f"ctl/objects/{name}"), "rb") as f, open(m.path(f"{build}/{name}"), "rb") as made:
            compiled, stored = f.read(), made.read()
        check(stored.startswith(compiled), f"{name} is what was compiled")
        found.append(stored[len(compiled):])
    return found


@story("a kernel that runs objtool late: the interface objects go through it once, before the link, and are kept so")
def objtool(m):
    check_equal(m.run("build").returncode, 0, "build for a kernel that runs it early")
    early = m.builds()[0]
    check_equal(interfaces(m), [b"", b""], "interface objects")
    shutil.rmtree(m.path(f"{STORE}/builds/{early}"))
    put_objtool(m, 'echo "seen" >>"$object"')
    p = m.run("build")
    check_equal(p.returncode, 0, p.stderr)
    calls = m.get("ctl/objtool.log").splitlines()
    check_equal(len(calls), 2, "runs of objtool")
    for call in calls:
        check(re.fullmatch(r"x86 --orc --rethunk --link --module \S+/staging/[0-9a-f]+/objtool.o", call), call)
    check_equal(interfaces(m), [b"seen\n"] * 2, "interface objects")
    log = m.get(f"{STORE}/builds/{m.builds()[0]}/build.log").splitlines()
    commands = [x for x in log if x.startswith("+ ") and ("objtool.o" in x or " -T " in x)]
    order = ["ld" if x.startswith("+ ld") else "cp" if x.startswith("+ cp") else "objtool" for x in commands]
    check_equal(order, ["cp", "objtool", "ld"] * 2, "the commands")
    check("needs objtool" not in p.stderr, p.stderr)
    inputs = json.loads(m.get(f"{STORE}/builds/{m.builds()[0]}/manifest.json"))["inputs"]
    check("tools/objtool/objtool" in inputs, f"inputs: {inputs}")
    # Another objtool is another build.
    put_objtool(m, 'echo "seen again" >>"$object"')
    check_equal((m.run("build").returncode, len(m.builds())), (0, 2), "builds")
    m.check_store(2)


@story("objtool is missing where it is needed: refused; it fails or does not start: told with the consequence, built without")
def no_objtool(m):
    m.put_config(TREE, LATE)
    p = m.run("build")
    check_equal((p.returncode, m.compiled()), (15, 0), p.stderr)
    check("lacks tools/objtool/objtool" in p.stderr, p.stderr)
    m.put(f"{STORE}/builds/nothing", "")
    for script, told in (('echo "objtool: can\'t find it" >&2; echo broken >"$object"; exit 255',
                          "status 255: objtool: can't find it"), ("kill -SEGV $$", "signal 11")):
        shutil.rmtree(m.path(f"{STORE}/builds"))
        put_objtool(m, script)
        p = m.run("build")
        check_equal(p.returncode, 0, p.stderr)
        for name in ("nv-linux.o", "nv-modeset-linux.o"):
            check(f"{name} of 6.1.192-fixture needs objtool, and that failed ({told})" in p.stderr, p.stderr)
        check("taint W" in p.stderr, p.stderr)
        check_equal(interfaces(m), [b"", b""], "a copy that objtool destroyed is not used")
        inputs = json.loads(m.get(f"{STORE}/builds/{m.builds()[0]}/manifest.json"))["inputs"]
        check("tools/objtool/objtool" not in inputs, f"inputs: {inputs}")
    m.put(OBJTOOL, "#!/nonexistent/interpreter\n", 0o755)
    shutil.rmtree(m.path(f"{STORE}/builds"))
    p = m.run("build")
    check_equal(p.returncode, 0, p.stderr)
    check("and that failed (status 127: cannot execute " in p.stderr and "No such file" in p.stderr, p.stderr)


@story("objtool that finds the disk full, and says so only in a warning: no-space, not a build without")
def objtool_full(m):
    put_objtool(m, 'echo "$object: warning: objtool: elf_update: cannot write data to file" >&2')
    p = m.run("build")
    check_equal((p.returncode, m.builds()), (22, []), p.stderr)
    check("objtool could not write nv-linux.o" in p.stderr, p.stderr)


@story("objtool that never ends: stopped with the build")
def objtool_hangs(m):
    put_objtool(m, "sleep 1000")
    p = m.run("build", "--set=Build.TimeoutSec=5s")
    check_equal((p.returncode, m.builds()), (27, []), p.stderr)


@story("for the running kernel, into the store; the daemon then only loads")
def store(m):
    p = m.run("build")
    check_equal(p.returncode, 0, p.stderr)
    check_equal(p.stdout.strip(), m.path(f"{STORE}/builds/{m.builds()[0]}"), "stdout is the build's path")
    check_equal([x for x in p.stderr.splitlines() if x.endswith(": done")],
                [f"{x}: done" for x in ("compiling", "linking", "publishing")], "stages on stderr")
    check("compiling 1/10, nvidia" in p.stderr, "progress on stderr")
    m.check_store(1)
    manifest = json.loads(m.get(f"{STORE}/builds/{m.builds()[0]}/manifest.json"))
    made_of = {f["name"]: (f["interface"], f["core"]) for f in manifest["files"] if "core" in f}
    check_equal(made_of, {"nvidia.ko": ("nv-linux.o", "nvidia/nv-kernel.o_binary"),
                          "nvidia-modeset.ko": ("nv-modeset-linux.o", "nvidia-modeset/nv-modeset-kernel.o_binary")},
                "what modules are linked from")
    for _, core in made_of.values():
        with open(m.path(f"{SOURCE}/{core}"), "rb") as f:
            check_equal(manifest["inputs"][core], hashlib.sha256(f.read()).hexdigest(), f"digest of {core}")
    check_equal(m.get(f"{STORE}/builds/{m.builds()[0]}/module.lds"), m.get(f"{TREE}/scripts/module.lds"), "linker script")
    d = m.start()
    d.wait_ready()
    check_equal(m.compiled(), 1, "compiler runs")
    d.stop()
    m.check_gone()


@story("--help and --version of everything")
def usage(m):
    for program in ("NVIDIA_DRIVERD", "NVIDIA_DRIVER"):
        for option in ("--help", "--version"):
            p = subprocess.run([os.environ[program], option], capture_output=True, text=True, check=False)
            check_equal((p.returncode, p.stderr), (0, ""), f"{program} {option}")
            check(p.stdout.startswith("nvidia-driver"), p.stdout)
        p = subprocess.run([os.environ[program], "--nonsense"], capture_output=True, text=True, check=False)
        check_equal(p.returncode, 2, "exit status for nonsense")


def output_of(m, *more, env=None):
    os.makedirs(m.path("out"), exist_ok=True)
    p = m.run(*other_kernel(m), f"--output={m.path('out')}", *more, env=env)
    check_equal(p.returncode, 0, p.stderr)
    return p


def check_output(m):
    names = m.list("out")
    check_equal(len(names), 1, f"in the output directory: {names}")
    check(f"{DRIVER}-proprietary-{OTHER}-" in names[0], names[0])
    text = m.get(f"out/{names[0]}/manifest.json")
    check(OTHER in text and "fixture" not in text.replace(m.root, ""), "the manifest knows of no other kernel")


@story("for another kernel: osrelease and version of this one are unreadable, nothing misses them", gpus=0)
def poisoned(m):
    for name in ("osrelease", "version"):
        os.unlink(m.path(f"proc/sys/kernel/{name}"))
        os.mkdir(m.path(f"proc/sys/kernel/{name}"))
    # --output is a path of the caller; below a --root it must lie in it.
    p = m.run(*other_kernel(m), "--set=Store.Directory=/out")
    check_equal(p.returncode, 0, p.stderr)
    check(f"-{OTHER}-" in p.stdout, p.stdout)
    # Whereas for this kernel they are needed.
    check(m.run("build").returncode != 0, "the poison works")


@story("for another kernel, on this machine, under strace: the kernel's identity is never opened")
def traced(m):
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    other_kernel(m)
    trace = m.path("ctl/trace")
    p = subprocess.run(["strace", "-f", "-qq", "-e", "trace=open,openat,openat2,readlink,uname", "-o", trace,
                        os.environ["NVIDIA_DRIVER"], "--root=/", "build", f"--kernel={OTHER}", f"--kernel-tree={m.path(OTHER_TREE)}",
                        f"--driver-source={m.path(SOURCE)}", f"--output={m.path('out')}"],
                       capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                       env=m.environment(ASAN_OPTIONS="detect_leaks=0"))
    if "Operation not permitted" in p.stderr and "ptrace" in p.stderr:
        raise Skip("strace may not trace here")
    check_equal(p.returncode, 0, p.stderr)
    check_output(m)
    opened = m.get("ctl/trace").splitlines()
    # The programs of others (sh, make) ask uname(2) as they like; ours, until their exec, may not.
    ours, own = {opened[0].split()[0]}, []
    for line in opened:
        if line.split()[0] in ours:
            own.append(line)
    check(len(own) > 20 and any(OTHER in x for x in own), f"the trace saw {len(own)} calls of ours")
    bad = [x for x in own if re.search(r"osrelease|/proc/version|proc/sys/kernel/version|uname\(", x)]
    # ASan's runtime asks uname(2) once, before main.
    bad = [x for x in bad if "uname(" not in x]
    check_equal(bad, [], "calls that read the running kernel's identity")
    running = os.uname().release
    check(not any(f"modules/{running}" in x for x in opened), "nothing of the running kernel's modules is opened")


@story("--output on this machine: one directory with the build, nothing beside it")
def output(m):
    other_kernel(m)
    p = subprocess.run([os.environ["NVIDIA_DRIVER"], "--root=/", "build", f"--kernel={OTHER}", f"--kernel-tree={m.path(OTHER_TREE)}",
                        f"--driver-source={m.path(SOURCE)}", f"--output={m.path('out')}"], capture_output=True, text=True,
                       check=False, stdin=subprocess.DEVNULL, env=m.environment())
    check_equal(p.returncode, 0, p.stderr)
    check_output(m)
    check_equal(p.stdout.strip(), m.path(f"out/{m.list('out')[0]}"), "stdout")


@story("the tree of another kernel than the one named is refused with both names")
def wrong_tree(m):
    p = m.run("build", "--kernel=6.6.1-wrong", f"--set=Kernel.Tree=/{TREE}")
    check_equal(p.returncode, 16, "exit status")
    check("6.6.1-wrong" in p.stderr and "6.1.192-fixture" in p.stderr, p.stderr)
    check_equal(m.compiled(), 0, "compiler runs")


def interrupted(m, number, arguments, where):
    m.close("compile")
    p = subprocess.Popen([os.environ["NVIDIA_DRIVER"], *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, env=m.environment(), start_new_session=True)
    try:
        wait_until(lambda: m.exists("ctl/at-compile") or p.poll() is not None, "make runs")
        check(len(m.processes()) >= 3, "make and its compilers run")
        p.send_signal(number)
        out, err = p.communicate(timeout=10)
    finally:
        if p.poll() is None:
            p.kill()
    check_equal(p.returncode, 46, f"exit status; {err}")
    check_equal(out, "", "stdout")
    check("interrupted, nothing was changed" in err, err)
    check("Sanitizer" not in err, err)
    check_equal(m.list(where), [], f"files in {where}")
    check_equal(m.processes(), [], "processes")


for _number in (signal.SIGINT, signal.SIGTERM):
    @story(f"{_number.name} to a build for the store leaves nothing")
    def in_store(m, number=_number):
        interrupted(m, number, [f"--root={m.root}", "build"], f"{STORE}/builds")
        check_equal(m.staging(), [], "staging directories")

    @story(f"{_number.name} to a build with --output leaves nothing")
    def in_output(m, number=_number):
        other_kernel(m)
        interrupted(m, number, ["--root=/", "build", f"--kernel={OTHER}", f"--kernel-tree={m.path(OTHER_TREE)}",
                                f"--driver-source={m.path(SOURCE)}", f"--output={m.path('out')}"], "out")


@story("a build on the command line while the daemon builds: they do not disturb each other")
def both(m):
    m.close("compile")
    d = m.start()
    m.wait_at("compile")
    check_equal(len(m.staging()), 1, "staging directories")
    os.unlink(m.path("ctl/at-compile"))
    p = subprocess.Popen([os.environ["NVIDIA_DRIVER"], f"--root={m.root}", "build", "--set=Build.DebugInfo=yes"],
                         env=m.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        m.wait_at("compile")
        check_equal(len(m.staging()), 2, "staging directories")
        m.open("compile")
        out, _ = p.communicate(timeout=30)
        check_equal(p.returncode, 0, out)
    finally:
        if p.poll() is None:
            p.kill()
    d.wait_ready()
    m.check_store(2)
    note(f"builds: {m.builds()}")
    d.stop()
    m.check_gone()


@story("compile error on the command line: exit status 20 and the first error line")
def error(m):
    m.put("ctl/compile-hook", 'echo "x.c:1:1: error: no such thing"; exit 2\n')
    p = m.run("build")
    check_equal(p.returncode, 20, "exit status")
    check("First error: x.c:1:1: error: no such thing" in p.stderr and "compile-failed (exit status 20)" in p.stderr, p.stderr)
    check_equal((m.builds(), m.staging(), m.list(STORE)), ([], [], ["failed-build.log", "staging"]), "what is left")


@story("a compiler is killed for lack of memory: once more with one job; a second time it is said, and with one job at once")
def memory(m):
    killed = 'echo "gcc-12: fatal error: Killed signal terminated program cc1"; exit 2'
    m.put("ctl/compile-hook", f'[ "$(wc -l <"$ctl/compiled")" -gt 1 ] || {{ {killed}; }}\n')
    p = m.run("build", "--set=Build.Jobs=4")
    check_equal(p.returncode, 0, p.stderr)
    check("The compiler was killed for lack of memory, retrying with one job." in p.stderr, p.stderr)
    commands = [x for x in m.get(f"{STORE}/builds/{m.builds()[0]}/build.log").splitlines() if "NV_KERNEL_MODULES" in x]
    check_equal([re.search(r" -j(\d+)", x).group(1) for x in commands], ["4", "1"], "jobs of the two attempts")
    check_equal(m.compiled(), 2, "compiler runs")
    shutil.rmtree(m.path(STORE))
    m.put("ctl/compile-hook", killed)
    for jobs, runs in ((4, 2), (1, 1)):
        m.put("ctl/compiled", "")
        p = m.run("build", f"--set=Build.Jobs={jobs}")
        check_equal((p.returncode, m.compiled()), (21, runs), f"exit status and compiler runs of {jobs} jobs")
        check("out-of-memory (exit status 21)" in p.stderr and killed.split('"')[1] in p.stderr, p.stderr)


@story("another compiler than the kernel's: refused with both, built on demand; none at all; one that cannot be compared")
def compiler(m):
    ours = re.search(r'TEXT="(.*)"', m.get(f"{TREE}/.config")).group(1)
    theirs = "gcc-4 (Old) 4.9.2"
    m.put(f"{TREE}/.config", m.get(f"{TREE}/.config").replace(ours, theirs))
    words = f'compiler is "{ours}", the kernel was built with "{theirs}": another major version'
    p = m.run("build")
    check_equal((p.returncode, m.compiled()), (28, 0), p.stderr)
    check(words in p.stderr and "compiler-mismatch (exit status 28)" in p.stderr, p.stderr)
    p = m.run("build", "--set=Build.IgnoreCompilerMismatch=yes")
    check_equal((p.returncode, m.compiled()), (0, 1), p.stderr)
    check(words in p.stderr, p.stderr)
    p = m.run("build", "--set=Build.Compiler=/no/such/compiler")
    check_equal(p.returncode, 19, p.stderr)
    check("No compiler was found, tried /no/such/compiler." in p.stderr and "toolchain-missing" in p.stderr, p.stderr)
    m.put(f"{TREE}/.config", m.get(f"{TREE}/.config").replace(theirs, "what was it"))
    p = m.run("build")
    check_equal(p.returncode, 0, p.stderr)
    check(f'compiler is "{ours}", the kernel was built with "what was it": cannot be compared' in p.stderr, p.stderr)


@story("make says that it succeeded and leaves no interface: said by name, nothing in the store")
def nothing_made(m):
    m.put("ctl/compile-hook", 'mv() { :; }; cp() { :; }\n')
    p = m.run("build")
    check_equal((p.returncode, m.builds(), m.staging()), (20, [], []), p.stderr)
    check("make did not leave nv-linux.o: No such file or directory." in p.stderr, p.stderr)


@story("a kernel without any tree: said with the place that was named", tree=False)
def no_tree(m):
    p = m.run("build", f"--kernel={OTHER}", f"--set=Driver.Source=/{SOURCE}")
    check_equal(p.returncode, 14, p.stderr)
    check(f"Kernel {OTHER} has none." in p.stderr and "kernel-tree-missing" in p.stderr, p.stderr)
    p = m.run("build", "--set=Kernel.Tree=/usr/src/none")
    check_equal(p.returncode, 14, p.stderr)
    check("/usr/src/none" in p.stderr, p.stderr)


@story("on a terminal: one line of progress that is written over, and nothing of it is left")
def terminal(m):
    text, status = m.terminal("build")
    check_equal(status, 0, text)
    check("\r\x1b[K" in text and "compiling 1/10, nvidia" in text, repr(text))
    shown = [re.sub(r".*\r\x1b\[K", "", line) for line in text.split("\r\n")]
    check_equal([x for x in shown if "/10" in x], [], f"what is left of progress in {text!r}")


main()
