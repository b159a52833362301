#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signing: what is built is signed, what is there is signed without compiling, a key that is of no use is found
before anything is compiled, and what the kernel would refuse before anything is loaded."""

import json
import os
import shutil
import signal
import subprocess
import time

from failurechecks import failed
from harness import DRIVER, RELEASE, STORE, check, check_equal, main, note, story, wait_until

KEY, CERT, PIN = "etc/keys/k.pem", "etc/keys/k.crt", "etc/keys/pin"
ENFORCE = "sys/module/module/parameters/sig_enforce"
SIGNING = [f"--set=Signing.Key=/{KEY}", f"--set=Signing.Certificate=/{CERT}"]
UNUSABLE, REQUIRED, SIGN_FAILED = 51, 50, 52
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]


def run(*argv, **options):
    return subprocess.run(argv, check=True, capture_output=True, **options).stdout


def put_key(m, key=KEY, cert=CERT, name="Fixture Module Key", new=("-newkey", "rsa:2048"), days="2"):
    os.makedirs(os.path.dirname(m.path(key)), exist_ok=True)
    run("openssl", "req", "-new", "-x509", "-nodes", "-days", days, *new, "-subj", f"/CN={name}", "-keyout", m.path(key),
        "-out", m.path(cert))
    os.chmod(m.path(key), 0o600)


def key_id(m, cert=CERT):
    text = run("openssl", "x509", "-in", m.path(cert), "-noout", "-ext", "subjectKeyIdentifier", text=True)
    return text.splitlines()[1].strip().replace(":", "").lower()


def put_keys(m, *ids):
    """/proc/keys of a kernel with these keys built in."""
    keyring = "0a000001 I------     1 perm 1f0b0000     0     0 keyring   .builtin_trusted_keys: "
    lines = [keyring + (str(len(ids)) if ids else "empty")]
    lines += [f"0b000001 I------     1 perm 1f030000     0     0 asymmetri Vendor: {i}: X509.rsa {i[-8:]} []" for i in ids]
    m.put("proc/keys", "\n".join(lines) + "\n")


def manifest(m, build):
    return json.loads(m.get(f"{STORE}/builds/{build}/manifest.json"))


def modules(m, build):
    return [f for f in manifest(m, build)["files"] if "module" in f]


def check_signed(m, build, name="Fixture Module Key", n=3):
    """All modules carry a signature with this name, as modinfo sees it, and openssl finds it good."""
    check_equal(manifest(m, build)["signer"]["name"], name, "signer in the manifest")
    check_equal(len(modules(m, build)), n, "modules")
    for f in modules(m, build):
        path = m.path(f"{STORE}/builds/{build}/{f['name']}")
        check_equal(run("modinfo", "-F", "signer", path, text=True).strip(), name, f"signer of {f['name']}")
        with open(path, "rb") as file:
            data = file.read()
        size = int.from_bytes(data[-32:-28], "big")
        for name_, part in (("sig", data[-40 - size:-40]), ("content", data[:-40 - size])):
            with open(m.path(f"ctl/{name_}"), "wb") as file:
                file.write(part)
        run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", m.path("ctl/sig"), "-content",
            m.path("ctl/content"), "-certfile", m.path(CERT), "-noverify", "-out", "/dev/null")


def worker_calls(m, operation):
    log = m.get("ctl/worker.log").splitlines() if m.exists("ctl/worker.log") else []
    return len([x for x in log if x.split()[0] == operation])


def worker(m, *arguments, status=0):
    p = subprocess.run([os.environ["NVIDIA_WORKER"], *arguments], capture_output=True, text=True, check=False)
    check("Sanitizer" not in p.stderr, p.stderr)
    check_equal(p.returncode, status, f"exit status of {arguments[0]}; {p.stdout}{p.stderr}")
    return p.stdout


@story("a build is signed: modinfo shows who; the second start neither compiles nor signs; the key is nowhere")
def cold(m):
    put_key(m)
    d = m.start(*SIGNING)
    d.wait_ready()
    m.check_store(1)
    build = m.builds()[0]
    check_signed(m, build)
    check_equal(m.status()[1]["signature"], "not enforced, build signed by 'Fixture Module Key'", "status")
    d.stop()
    check_equal(manifest(m, build)["signer"]["keyId"], key_id(m), "key id in the manifest")
    check_equal((worker_calls(m, "signer"), worker_calls(m, "sign")), (1, 1), "key checks, signings")
    d = m.start(*SIGNING)
    d.wait_ready()
    d.stop()
    check_equal((m.compiled(), worker_calls(m, "signer"), worker_calls(m, "sign")), (1, 1, 1),
                "compiler runs, key checks, signings after the second start")
    secret, found = m.get(KEY).splitlines()[5], []
    for directory, _, files in os.walk(m.root):  # does not follow the link to /
        for name in files:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as f:
                    found += [path] if secret.encode() in f.read() else []
    check_equal(found, [m.path(KEY)], "files with a line of the key")
    m.check_gone()


@story("a build that is there is signed without compiling, and stays as it is; without the key it is used again")
def base(m):
    put_key(m)
    d = m.start()
    d.wait_ready()
    check_equal(m.status()[1]["signature"], "not enforced, build unsigned", "status")
    d.stop()
    unsigned = m.builds()[0]
    before = m.tree_hash(f"{STORE}/builds/{unsigned}")
    p = m.run("plan", "--set=Driver.Modules=nvidia nvidia-uvm nvidia-modeset", *SIGNING)
    check_equal(p.returncode, 0, p.stderr)
    check(f"sign build {unsigned} as 'Fixture Module Key'" in p.stdout and "only has to be signed" in p.stdout, p.stdout)
    d = m.start(*SIGNING)
    d.wait_ready()
    d.stop()
    m.check_store(2)
    check_equal(m.compiled(), 1, "compiler runs")
    signed = [b for b in m.builds() if b != unsigned][0]
    check_signed(m, signed)
    check_equal(m.tree_hash(f"{STORE}/builds/{unsigned}"), before, "the base")
    for f, g in zip(modules(m, unsigned), modules(m, signed)):
        check_equal(g["unsignedSha256"], f["sha256"], "what is signed is the base's module")
    check("+ make -C" in m.get(f"{STORE}/builds/{signed}/build.log"), "the log of the base goes with it")
    put_key(m, name="Another Key")
    d = m.start(*SIGNING)
    d.wait_ready()
    d.stop()
    m.check_store(3)
    check_equal(m.compiled(), 1, "compiler runs after another key")
    m.check_gone()


def encrypted(m):
    run("openssl", "pkcs8", "-topk8", "-in", m.path(KEY), "-out", m.path("etc/keys/e.pem"), "-passout", "pass:geheim")
    return "/etc/keys/e.pem"


def other_cert(m):
    put_key(m, "etc/keys/o.pem", "etc/keys/o.crt", "Other", EC)
    return "/etc/keys/o.crt"


def expired(m):
    run("openssl", "req", "-new", "-key", m.path(KEY), "-subj", "/CN=old", "-out", m.path("ctl/csr"))
    conf = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nserial=serial\npolicy=p\ndefault_md=sha256\n[p]\ncommonName=supplied\n"
    os.makedirs(m.path("ctl/ca"))
    for name, text in (("conf", conf), ("index", ""), ("serial", "01\n")):
        m.put(f"ctl/ca/{name}", text)
    run("openssl", "ca", "-batch", "-config", "conf", "-selfsign", "-keyfile", m.path(KEY), "-in", m.path("ctl/csr"), "-out",
        m.path("etc/keys/x.crt"), "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", cwd=m.path("ctl/ca"))
    return "/etc/keys/x.crt"


def ed25519(m):
    put_key(m, "etc/keys/ed.pem", "etc/keys/ed.crt", "ed", ["-newkey", "ed25519"])
    return "/etc/keys/ed.pem"


def pin(m, text):
    m.put(PIN, text, 0o600)
    return f"/{PIN}"


# What is wrong, the settings that are, and what is said of it.
BAD = [
    ("no such key", lambda m: {"Key": "/etc/keys/none.pem"}, "/etc/keys/none.pem: No such file or directory"),
    ("no such certificate", lambda m: {"Certificate": "/etc/keys/none.crt"}, "/etc/keys/none.crt: No such file or directory"),
    ("the key of another certificate", lambda m: {"Certificate": other_cert(m)}, "is not the key of the certificate"),
    ("a certificate that has expired", lambda m: {"Certificate": expired(m)}, "the certificate expired on 2020-02-01 00:00:00 UTC"),
    ("no certificate in the key's file", lambda m: {"Certificate": ""}, "it holds no certificate"),
    ("an encrypted key without a passphrase", lambda m: {"Key": encrypted(m)}, "it is encrypted, and there is no PinFile="),
    ("an encrypted key with another passphrase", lambda m: {"Key": encrypted(m), "PinFile": pin(m, "falsch\n")}, "it cannot be decrypted"),
    ("a file of the passphrase that is not there", lambda m: {"PinFile": "/etc/keys/none"}, "/etc/keys/none: No such file"),
    ("a kind of key that kernels do not know", lambda m: {"Key": ed25519(m), "Certificate": "/etc/keys/ed.crt"},
     "neither an RSA nor an EC key"),
    ("a key in a token, without a certificate", lambda m: {"Key": "pkcs11:token=x;object=y", "Certificate": ""},
     "Certificate= has to name its certificate"),
    ("a token that does not exist", lambda m: {"Key": "pkcs11:token=nowhere;object=y"}, "the token does not give the key"),
]


def settings(change):
    values = {"Key": f"/{KEY}", "Certificate": f"/{CERT}"}
    values.update(change)
    return [f"--set=Signing.{k}={v}" for k, v in values.items()]


for _what, _change, _words in BAD:
    @story(f"{_what}: stops before compiling, in plan, build and start")
    def bad_key(m, change=_change, words=_words):
        put_key(m, new=EC)
        arguments = settings(change(m))
        env = {"ASAN_OPTIONS": "detect_leaks=0"}  # libp11 leaks when a key is not found
        for verb in ("plan", "build"):
            p = m.run(verb, *arguments, env=env)
            check_equal(p.returncode, UNUSABLE, f"exit status of {verb}: {p.stderr}{p.stdout}")
            check(words in p.stderr + p.stdout, f"{words!r} in the words of {verb}: {p.stderr}{p.stdout}")
        began = time.monotonic()
        d = m.start(*arguments, env=env)
        d.wait()
        note(f"start to the end: {1000 * (time.monotonic() - began):.0f} ms")
        failed(m, d, "signing-key-unusable", UNUSABLE, words)
        check_equal((m.compiled(), m.builds(), m.helper_log()), (0, [], []), "compiler runs, builds, helper runs")
        for secret in ("geheim", "falsch"):
            check(secret not in d.log(), "the passphrase is not in the log")


@story("an encrypted key with its passphrase, its certificate in the same file, and another hash")
def passphrase(m):
    put_key(m)
    key = encrypted(m)
    m.put("etc/keys/e.pem", m.get("etc/keys/e.pem") + m.get(CERT), 0o600)
    d = m.start(f"--set=Signing.Key={key}", f"--set=Signing.PinFile={pin(m, 'geheim')}", "--set=Signing.Hash=sha512")
    d.wait_ready()
    build = m.builds()[0]
    check_signed(m, build)
    check_equal(manifest(m, build)["signer"]["hash"], "sha512", "hash in the manifest")
    path = m.path(f"{STORE}/builds/{build}/nvidia.ko")
    check_equal(run("modinfo", "-F", "sig_hashalgo", path, text=True).strip(), "sha512", "hash as modinfo sees it")
    check("can be read by others" not in d.log(), "no warning about the key's mode")
    d.stop()


@story("the hash is the kernel's own, from its configuration")
def kernel_hash(m):
    put_key(m)
    tree = f"lib/modules/{RELEASE}/build/.config"
    m.put(tree, m.get(tree) + 'CONFIG_MODULE_SIG_HASH="sha384"\n')
    p = m.run("build", *SIGNING)
    check_equal(p.returncode, 0, p.stderr)
    check_equal(manifest(m, m.builds()[0])["signer"]["hash"], "sha384", "hash in the manifest")
    check_signed(m, m.builds()[0], n=4)


@story("a key that others can read: signed, with a warning")
def exposed(m):
    put_key(m)
    os.chmod(m.path(KEY), 0o640)
    d = m.start(*SIGNING)
    d.wait_ready()
    check(f"{KEY} can be read by others than its owner" in d.log(), d.log())
    d.stop()


@story("a key that is of no use, and a build that is there: loaded unsigned, with a warning")
def useless_but_not_needed(m):
    d = m.start()
    d.wait_ready()
    d.stop()
    arguments = ["--set=Signing.Key=/etc/keys/none.pem", "--set=Signing.Certificate=/etc/keys/none.crt"]
    d = m.start(*arguments)
    d.wait_ready()
    check("none.crt: No such file or directory, ignoring: nothing has to be signed" in d.log(), d.log())
    d.stop()
    m.check_store(1)


@story("enforced, no key: refused in a second before compiling, and an unsigned build before loading")
def enforced(m):
    m.put(ENFORCE, "Y\n")
    put_keys(m)
    for words in ("the build to be made is not signed", f"build {DRIVER}-proprietary-{RELEASE}-"):
        began = time.monotonic()
        d = m.start()
        d.wait()
        took = time.monotonic() - began
        note(f"start to the end: {1000 * took:.0f} ms")
        failed(m, d, "signature-required", REQUIRED, words, "Signatures are enforced (module.sig_enforce)")
        p = m.run("plan")
        check_equal(p.returncode, REQUIRED, p.stdout + p.stderr)
        check("Signature: enforced (module.sig_enforce), build unsigned" in p.stdout, p.stdout)
        check_equal(m.helper_log(), [], "helper runs")
        if not m.builds():
            check_equal(m.compiled(), 0, "compiler runs")
            p = m.run("build")
            check_equal(p.returncode, REQUIRED, p.stderr)
            # In a directory it may be for another machine. (Below a --root the directory is not found then.)
            check("It cannot be loaded on this machine as it is." in m.run("build", f"--output={m.path('out')}").stderr,
                  "the warning")
            m.put(ENFORCE, "N\n")
            d = m.start()
            d.wait_ready()
            d.stop()
            os.unlink(m.path("ctl/helper.log"))
            m.put(ENFORCE, "Y\n")


@story("locked down, a key that the kernel does not have: refused before compiling; once it has it: built, signed, loaded")
def unknown_key(m):
    put_key(m)
    m.put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    put_keys(m, "6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1")
    failed(m, m.start(*SIGNING), "signature-required", REQUIRED, "lockdown integrity",
           f"the kernel does not have the key of 'Fixture Module Key' (id {key_id(m)})")
    check_equal(m.compiled(), 0, "compiler runs")
    put_keys(m, "6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1", key_id(m))
    d = m.start(*SIGNING)
    d.wait_ready()
    check_equal(m.status()[1]["signature"], "enforced (lockdown integrity), build signed by 'Fixture Module Key'", "status")
    d.stop()
    check_signed(m, m.builds()[0])
    # The configuration forgets the key: the build still serves.
    d = m.start()
    d.wait_ready()
    d.stop()
    check_equal(m.compiled(), 1, "compiler runs")


@story("enforced, and the kernel does not show its keys: it is tried")
def hidden_keys(m):
    put_key(m)
    m.put(ENFORCE, "Y\n")
    d = m.start(*SIGNING)
    d.wait_ready()
    d.stop()


@story("for another kernel the enforcement of this one does not count")
def other_kernel(m):
    m.put(ENFORCE, "Y\n")
    put_keys(m)
    p = m.run("build", f"--kernel={RELEASE}", f"--set=Kernel.Tree=/lib/modules/{RELEASE}/build")
    check_equal(p.returncode, 0, p.stderr)
    tree = f"lib/modules/{RELEASE}/build/.config"
    m.put(tree, m.get(tree) + "CONFIG_MODULE_SIG_FORCE=y\n")
    p = m.run("build", f"--kernel={RELEASE}", f"--set=Kernel.Tree=/lib/modules/{RELEASE}/build")
    check_equal(p.returncode, 0, p.stderr)
    check("This kernel only loads signed modules (CONFIG_MODULE_SIG_FORCE)" in p.stderr, p.stderr)


@story("stopped and killed while the key is asked, and while it signs: nothing half made, and the next start signs")
def interrupted(m):
    put_key(m)
    for at in ("signer", "sign"):
        m.close(at)
        d = m.start(*SIGNING)
        m.wait_at(at)
        note(f"{at}: stopped in {d.stop():.2f} s")
        check_equal(m.builds(), [], "builds")
        m.check_gone()
        os.unlink(m.path(f"ctl/at-{at}"))
        d = m.start(*SIGNING)
        m.wait_at(at)
        d.kill()
        m.open(at)
        check_equal(m.builds(), [], "builds")
    d = m.start(*SIGNING)
    d.wait_ready()
    m.check_store(1)
    check_signed(m, m.builds()[0])
    wait_until(lambda: not m.staging(), f"staging of the killed ones goes away: {m.staging()}", 10)
    d.stop()
    m.check_gone()


@story("a key that does not answer while modules are signed: said, nothing is left; then it does")
def silent(m):
    put_key(m)
    p = m.run("build")
    check_equal(p.returncode, 0, p.stderr)
    m.close("sign")
    p = m.run("build", "--set=Build.TimeoutSec=15s", *SIGNING)
    check_equal((p.returncode, len(m.builds()), m.staging()), (27, 1, []), p.stderr)
    check("The key did not answer in time." in p.stderr and "build-timeout" in p.stderr, p.stderr)
    m.open("sign")
    p = m.run("build", *SIGNING)
    check_equal((p.returncode, m.compiled(), len(m.builds())), (0, 3, 2), p.stderr)


@story("a damaged base is not signed: set aside, and made again")
def damaged_base(m):
    put_key(m)
    d = m.start()
    d.wait_ready()
    d.stop()
    path = m.path(f"{STORE}/builds/{m.builds()[0]}/nvidia.ko")
    with open(path, "r+b") as f:
        f.seek(100)
        f.write(b"X")
    d = m.start(*SIGNING, "--set=Retry.DelaySec=10ms")
    d.wait_ready()
    check("[build-damaged]" in d.log(), d.log())
    check_equal(m.compiled(), 2, "compiler runs")
    m.check_store(1)
    check_signed(m, m.builds()[0])
    d.stop()


@story("a key that fails when it has to sign: code and words, nothing in the store")
def fails_late(m):
    put_key(m)
    m.close("sign")
    d = m.start(*SIGNING)
    m.wait_at("sign")
    os.unlink(m.path(KEY))
    m.open("sign")
    failed(m, d, "signing-key-unusable", UNUSABLE, "k.pem: No such file or directory")
    check_equal(m.builds(), [], "builds")


@story("linked twice: the same bytes, so a detached signature of one is good for the other")
def reproducible(m):
    put_key(m)
    results = []
    for directory in ("/out-one", "/out-two"):
        p = m.run("build", f"--set=Store.Directory={directory}", *(SIGNING if directory == "/out-one" else []))
        check_equal(p.returncode, 0, p.stderr)
        results.append(p.stdout.strip())
    check_equal(m.compiled(), 2, "compiler runs")
    signed, unsigned = results
    for name in ("nvidia.ko", "nvidia-modeset.ko", "nvidia-uvm.ko"):
        one, two, sig = os.path.join(signed, name), os.path.join(unsigned, name), m.path(f"ctl/{name}.sig")
        copy = m.path(f"ctl/{name}")
        shutil.copy(one, copy)
        worker(m, "detach", copy, sig)
        check_equal(run("sha256sum", copy).split()[0], run("sha256sum", two).split()[0], f"{name} without its signature")
        worker(m, "detach", copy, m.path("ctl/again"), status=SIGN_FAILED)
        worker(m, "attach", two, sig)
        check_equal(run("sha256sum", one).split()[0], run("sha256sum", two).split()[0], f"{name} with its signature")
    m.put("ctl/text", "no signature\n")
    check("it is no signed data" in worker(m, "attach", os.path.join(unsigned, "nvidia.ko"), m.path("ctl/text"), status=SIGN_FAILED),
          "what is no signature")


@story("a sealed build says who signed it, also when it was signed elsewhere; some signed and some not is no build")
def sealed(m):
    put_key(m)
    p = m.run("build", "--set=Store.Directory=/out")
    check_equal(p.returncode, 0, p.stderr)
    build = p.stdout.strip()
    staged, builds = m.path("s/staging/x/build"), m.path("s/builds")
    os.makedirs(builds)

    def stage():
        shutil.rmtree(m.path("s/staging"), ignore_errors=True)
        shutil.copytree(build, staged)

    stage()
    worker(m, "sign", staged, "sha256", m.path(KEY), m.path(CERT), "")
    result = worker(m, "seal", staged, builds).strip().removeprefix("build=")
    with open(os.path.join(result, "manifest.json"), encoding="utf-8") as f:
        text = json.load(f)
    check_equal((text["signer"]["issuer"], text["signer"]["hash"]), ("Fixture Module Key", "sha256"), "signer from the modules")
    check("fingerprint" not in text["signer"], "a signature does not tell the certificate")
    check(os.path.basename(result) != os.path.basename(build), "another build than the unsigned one")

    stage()
    run("cp", "-a", f"{result}/nvidia.ko", staged)
    check("is not signed, unlike" in worker(m, "seal", staged, builds, status=SIGN_FAILED), "one of them is signed")
    put_key(m, "etc/keys/o.pem", "etc/keys/o.crt", "Other", EC)
    worker(m, "sign", staged, "sha256", m.path("etc/keys/o.pem"), m.path("etc/keys/o.crt"), "")
    run("cp", "-a", f"{result}/nvidia-uvm.ko", staged)
    check("is signed by" in worker(m, "seal", staged, builds, status=SIGN_FAILED), "two signers")
    stage()
    with open(f"{staged}/nvidia.ko", "ab") as f:
        f.write(bytes(11) + b"\x08" + b"~Module signature appended~\n")
    check("nvidia.ko: what is at its end is no PKCS#7 signature" in worker(m, "seal", staged, builds, status=SIGN_FAILED),
          "a trailer without a signature")
    check_equal(len(os.listdir(builds)), 1, "builds")


@story("a key in a PKCS#11 token")
def token(m):
    put_key(m)
    m.put("softhsm2.conf", f"directories.tokendir = {m.path('tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.makedirs(m.path("tokens"))
    env = {"SOFTHSM2_CONF": m.path("softhsm2.conf"), "ASAN_OPTIONS": "detect_leaks=0"}  # libp11 leaks
    run("softhsm2-util", "--init-token", "--free", "--label", "modules", "--pin", "1234", "--so-pin", "4321",
        env={**os.environ, **env})
    run("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", m.path(KEY), "-out", m.path("ctl/k.p8"))
    run("softhsm2-util", "--import", m.path("ctl/k.p8"), "--token", "modules", "--label", "signer", "--id", "01", "--pin", "1234",
        env={**os.environ, **env})
    arguments = ["--set=Signing.Key=pkcs11:token=modules;object=signer;type=private", f"--set=Signing.Certificate=/{CERT}"]
    os.unlink(m.path(KEY))
    failed(m, m.start(*arguments, env=env), "signing-key-unusable", UNUSABLE, "the token does not give the key, and there is no PinFile=")
    failed(m, m.start(*arguments, f"--set=Signing.PinFile={pin(m, '9999')}", env=env), "signing-key-unusable", UNUSABLE,
           "the token does not give the key")
    check_equal(m.compiled(), 0, "compiler runs")
    d = m.start(*arguments, f"--set=Signing.PinFile={pin(m, '1234')}", env=env)
    d.wait_ready()
    check_signed(m, m.builds()[0])
    d.stop(signal.SIGTERM)


main()
