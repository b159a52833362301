#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signatures in packages: detached where the module is not in it, attached when it is linked; and the old command line, which made them."""

import io
import json
import os
import subprocess
import tarfile

from harness import DRIVER, RELEASE, SOURCE, STORE, check, check_equal, compile_objects, main, story

KEY, CERT = "etc/keys/k.pem", "etc/keys/k.crt"
SIGNING = [f"--set=Signing.Key=/{KEY}", f"--set=Signing.Certificate=/{CERT}"]
NAME = "Package Key"
INVALID, UNUSABLE, USAGE, REQUIRED = 54, 51, 2, 50
ENFORCE = "sys/module/module/parameters/sig_enforce"
OTHER = "6.12.95-other"
OTHER_TREE = f"usr/src/kernels/{OTHER}"


def run(*argv, **options):
    return subprocess.run(argv, check=True, capture_output=True, **options).stdout


def put_key(m, name=NAME):
    os.makedirs(m.path("etc/keys"), exist_ok=True)
    run("openssl", "req", "-new", "-x509", "-nodes", "-days", "2", "-newkey", "rsa:2048", "-subj", f"/CN={name}", "-keyout", m.path(KEY),
        "-out", m.path(CERT))
    os.chmod(m.path(KEY), 0o600)


def command(m, *arguments, code=0, says=""):
    p = m.run(*arguments)
    check_equal(p.returncode, code, f"{arguments}: {p.stderr}")
    check(says in p.stderr + p.stdout, f"{says!r} in {p.stderr}{p.stdout}")
    return p


def members(package):
    with tarfile.open(fileobj=io.BytesIO(run("zstd", "-dc", package))) as tar:
        return [(i, tar.extractfile(i).read()) for i in tar.getmembers()]


def pack(package, entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, data in entries:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with open(package, "wb") as f:
        f.write(run("zstd", "-c", input=out.getvalue()))


def export(m):
    """A signed build, exported, and its files kept in ctl/."""
    put_key(m)
    command(m, "build", *SIGNING)
    name = m.builds()[0]
    command(m, "builds", "export", name, m.path("package"))
    os.rename(m.path(f"{STORE}/builds/{name}"), m.path(f"ctl/{name}"))
    return name


def signers(m, name):
    base = m.path(f"{STORE}/builds/{name}")
    files = sorted(f for f in os.listdir(base) if f.endswith(".ko"))
    return {f: run("modinfo", "-F", "signer", f"{base}/{f}", text=True).strip() for f in files}


@story("a signed build through a package: signatures detached, attached again, the same bytes, no key in it; then it loads where it must")
def round_trip(m):
    name = export(m)
    entries = members(m.path("package"))
    names = [i.name for i, _ in entries]
    check({"nvidia.ko.sig", "nvidia-modeset.ko.sig"} <= set(names), f"detached signatures: {names}")
    check(not {"nvidia.ko", "nvidia-modeset.ko", "nvidia-uvm.ko.sig"} & set(names), f"linked modules, and signatures of whole ones: {names}")
    secret = m.get(KEY).splitlines()[5].encode()
    check(not any(secret in data for _, data in entries), "the key is not in it")

    for path in (KEY, CERT):
        os.unlink(m.path(path))
    command(m, "builds", "import", m.path("package"), says=name)
    m.check_store(1)
    check_equal(m.list(f"{STORE}/builds/{name}"), m.list(f"ctl/{name}"), "files")
    for file in m.list(f"ctl/{name}"):
        with open(m.path(f"{STORE}/builds/{name}/{file}"), "rb") as a, open(m.path(f"ctl/{name}/{file}"), "rb") as b:
            check(file == "manifest.json" or a.read() == b.read(), f"{file} is what it was")
    check_equal(set(signers(m, name).values()), {NAME}, "modinfo -F signer")
    check_equal(json.loads(m.get(f"{STORE}/builds/{name}/manifest.json"))["signer"]["name"], NAME, "signer in the manifest")

    # Enforced, and the kernel does not show its keys: a signed build is tried, an unsigned one would be refused.
    m.put(ENFORCE, "Y\n")
    d = m.start()
    d.wait_ready()
    check_equal(m.compiled(), 1, "compiler runs: none since the first")
    d.stop()
    m.check_gone()


@story("an open driver's package has its modules whole, with their signatures")
def whole(m):
    file = f"{SOURCE}/nvidia-modeset/nvidia-modeset-linux.c"
    m.put(file, m.get(file).replace('"NVIDIA"', '"Dual MIT/GPL"'))
    name = export(m)
    check(f"{DRIVER}-open-" in name, name)
    names = [i.name for i, _ in members(m.path("package"))]
    check({"nvidia.ko", "nvidia-modeset.ko"} <= set(names) and not any(n.endswith(".sig") for n in names), f"members: {names}")
    check(m.get(f"ctl/{name}/build.log").count(" --strip-debug\n") == 2, "the open core's debugging information is left out")
    os.rename(m.path(SOURCE), m.path("ctl/source"))
    command(m, "builds", "import", m.path("package"), says=name)
    check_equal(signers(m, name), {f: NAME for f in names if f.endswith(".ko")}, "signers")


@story("signatures in a package that are gone, cut, of another module or another key: refused, nothing is left")
def tampered(m):
    export(m)
    good = members(m.path("package"))
    sig = dict((i.name, d) for i, d in good)
    at = [i.name for i, _ in good].index("nvidia.ko.sig")

    def replaced(data):
        return good[:at] + [(good[at][0], data)] + good[at + 1:]

    put_key(m, "Foreign Key")
    content = m.path("ctl/content")
    m.put("ctl/content", "something else\n")
    run("openssl", "cms", "-sign", "-binary", "-noattr", "-nocerts", "-nosmimecap", "-md", "sha256", "-outform", "DER", "-in", content,
        "-signer", m.path(CERT), "-inkey", m.path(KEY), "-out", m.path("ctl/foreign"))
    with open(m.path("ctl/foreign"), "rb") as f:
        foreign = f.read()
    unsigned = dict(json.loads(good[0][1]), format=1)
    del unsigned["xxh64"]
    for f in unsigned["files"]:
        f.pop("unsignedSha256", None)
    claims = json.dumps(unsigned).encode()
    cases = [
        (good[:at] + good[at + 1:], "nvidia.ko.sig: it is not there or no signature"),
        (replaced(b""), "nvidia.ko.sig"),
        (replaced(sig["nvidia.ko.sig"][:-7]), "nvidia.ko.sig"),
        (replaced(sig["nvidia-modeset.ko.sig"]), "nvidia.ko: it is not what was built"),
        (replaced(foreign), "nvidia.ko: it is not what was built"),
        ([(good[0][0], claims)] + good[1:], "has no business in it"),
    ]
    for entries, why in cases:
        pack(m.path("bad"), entries)
        p = m.run("builds", "import", m.path("bad"))
        check_equal(p.returncode, INVALID, f"exit status for {why!r}: {p.stderr}")
        check(why in p.stderr, f"{why!r} in {p.stderr}")
        check_equal((m.builds(), m.staging()), ([], []), f"what is left after: {why}")


def callers(m, name):
    """A path of the caller, who knows nothing of a root: the machine is found below itself, too."""
    link = m.path(m.root[1:])
    os.unlink(link)
    os.symlink("/".join([".."] * (m.root.count("/") - 1)), link)
    return m.path(name)


def for_another_kernel(m):
    m.put_tree(OTHER_TREE, OTHER, "#1 SMP other")
    os.unlink(m.path("ctl/objects"))
    compile_objects(m.path("ctl/objects"), f"{OTHER} SMP mod_unload")
    return [f"--set=Kernel.Tree=/{OTHER_TREE}", f"--set=Driver.Source=/{SOURCE}"]


@story("update -k KV -s KEY -t TAG -m N -a: for that kernel, signed, with N compilers; what means nothing any more is said")
def update(m):
    put_key(m)
    both = m.get(KEY) + m.get(CERT)
    m.put(KEY, both, 0o600)
    p = command(m, "update", "-k", OTHER, "-s", callers(m, KEY), "-t", "builtin", "-m", "2", "-a", *for_another_kernel(m))
    check("--tag=builtin: builds are known by what they are made of, ignoring" in p.stderr, p.stderr)
    check("--accept-license: nothing here asks for it, ignoring" in p.stderr, p.stderr)
    check_equal(len(m.builds()), 1, "builds in the store")
    name = m.builds()[0]
    check(f"{DRIVER}-proprietary-{OTHER}-" in name, name)
    check_equal(set(signers(m, name).values()), {NAME}, "signers")
    log = m.get(f"{STORE}/builds/{name}/build.log")
    check(" -j2 " in log, "the number of compilers")
    manifest = m.get(f"{STORE}/builds/{name}/manifest.json")
    check(RELEASE not in manifest.replace(OTHER, ""), "nothing of the running kernel (trap T6)")
    check("fixture" not in json.loads(manifest)["kernelVersion"], "nor its version text")


@story("update -s with what is no key: refused before compiling; it never goes on without a signature")
def no_key(m):
    p = command(m, "update", "-s", "production-key-7", code=UNUSABLE, says="production-key-7: No such file or directory")
    check("it takes a PEM file or a pkcs11: URI" in p.stderr and "signing-key-unusable" in p.stderr, p.stderr)
    m.put("etc/keys/text", "no key\n")
    command(m, "update", "-s", callers(m, "etc/keys/text"), code=UNUSABLE, says="holds no certificate")
    env_says = m.run("update", "-s", "pkcs11:token=nowhere;object=y", env={"ASAN_OPTIONS": "detect_leaks=0"})
    check_equal(env_says.returncode, UNUSABLE, env_says.stderr)
    check("Certificate= has to name its certificate" in env_says.stderr, env_says.stderr)
    check_equal((m.compiled(), m.builds()), (0, []), "compiler runs, builds")


@story("init -a -m N becomes the daemon; init -k is refused: it is for the running kernel")
def init(m):
    m.run("plan")
    command(m, "init", "-k", OTHER, code=USAGE, says=f"update --kernel={OTHER} builds for that one")
    driverd, os.environ["NVIDIA_DRIVERD"] = os.environ["NVIDIA_DRIVERD"], os.environ["NVIDIA_DRIVER"]
    try:
        d = m.start("init", "-a", "-m", "3", env={"NVIDIA_DRIVERD_DAEMON": driverd})
    finally:
        os.environ["NVIDIA_DRIVERD"] = driverd
    d.wait_ready()
    check("--accept-license: nothing here asks for it, ignoring" in d.log(), d.log())
    check(" -j3 " in m.get(f"{STORE}/builds/{m.builds()[0]}/build.log"), "the number of compilers")
    d.stop()
    m.check_gone()


main()
