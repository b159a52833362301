#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The developer container: which one, from where, and what becomes of it when the server, the line, the disk or this
program itself gives out half-way. The program is the real one, the server is one that does as it is told."""

import bz2
import contextlib
import ctypes
import gzip
import hashlib
import http.server
import lzma
import os
import random
import signal
import subprocess
import threading
import time

from harness import FETCH, STORE, Skip, check, check_equal, check_sanitizers, main, note, story, wait_until

CACHE = f"{STORE}/toolchain"
VERSION, BOARD = "4230.2.3", "amd64-usr"
NAME = "flatcar_developer_container.bin.bz2"
OS_RELEASE = f'NAME="Flatcar Container Linux by Kinvolk"\nID=flatcar\nVERSION={VERSION}\nFLATCAR_BOARD="{BOARD}"\n'
OK, NO_SPACE, LOCKED, FAILED, INVALID, USAGE = 0, 22, 55, 57, 58, 2
STALL = "2s"

random.seed(4230)
# Some data, and holes in between; bz2 does not make random bytes smaller.
IMAGE = random.randbytes(700_000) + bytes(3_000_000) + random.randbytes(500_001) + bytes(1_000_000)
PACKED = bz2.compress(IMAGE)
SHA512 = hashlib.sha512(PACKED).hexdigest()


def digests(data, name=NAME):
    return (f"# MD5 HASH\n{hashlib.md5(data).hexdigest()}  {name}\n# SHA1 HASH\n{hashlib.sha1(data).hexdigest()}  {name}\n"
            f"# SHA512 HASH\n{hashlib.sha512(data).hexdigest()}  {name}\n").encode()


class Server:
    """Serves self.files on loopback. The lists say what the next answers about the image are like, one entry each."""

    def __init__(self):
        self.files = {f"/{VERSION}/{NAME}": PACKED, f"/{VERSION}/{NAME}.DIGESTS": digests(PACKED)}
        self.ranges = True
        self.range_shift = 0
        self.cuts = []  # bytes of the body after which the line breaks
        self.statuses = []  # instead of the file
        self.headers = {}
        self.redirect = {}  # path: URL
        self.stall_at = None  # bytes after which nothing comes any more
        self.length = True  # says how long the answer is
        self.pause = 0  # after each 64 kB
        self.log = []  # (path, Range)
        self.gone = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gone.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def images(self):
        return [r for path, r in self.log if not path.endswith(".DIGESTS")]

    def answer(self, h):
        path, wanted = h.path, h.headers.get("Range")
        self.log.append((path, wanted))
        with contextlib.suppress(OSError):
            if path in self.redirect:
                h.send_response(302)
                h.send_header("Location", self.redirect[path])
                h.end_headers()
            elif path not in self.files:
                h.send_error(404)
            elif path.endswith(".DIGESTS"):
                self.send(h, 200, self.files[path], 0)
            elif self.statuses:
                h.send_response(self.statuses.pop(0))
                for key, value in self.headers.items():
                    h.send_header(key, value)
                h.send_header("Content-Length", "5")
                h.end_headers()
                h.wfile.write(b"sorry")
            else:
                self.send_image(h, self.files[path], wanted)

    def send_image(self, h, data, wanted):
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start > 0 and start >= len(data):
            h.send_error(416)
        else:
            self.send(h, 206 if start else 200, data, start)

    def send(self, h, status, data, start):
        h.send_response(status)
        if self.length:
            h.send_header("Content-Length", str(len(data) - start))
        if status == 206:
            h.send_header("Content-Range", f"bytes {start + self.range_shift}-{len(data) - 1}/{len(data)}")
        h.end_headers()
        body = data[start:]
        is_image = not h.path.endswith(".DIGESTS")
        cut = self.cuts.pop(0) if is_image and self.cuts else len(body)
        stall = self.stall_at if is_image and self.stall_at is not None else len(body)
        for at in range(0, min(cut, stall), 65536):
            h.wfile.write(body[at:min(at + 65536, cut, stall)])
            h.wfile.flush()
            if self.pause and self.gone.wait(self.pause):
                return
        if stall < cut:
            self.gone.wait(60)
        h.close_connection = True


def put(m, name, data):
    os.makedirs(os.path.dirname(m.path(name)), exist_ok=True)
    with open(m.path(name), "wb") as f:
        f.write(data)


def host(m, os_release=OS_RELEASE, group="stable"):
    m.put("etc/os-release", os_release)
    m.put("usr/share/flatcar/update.conf", f"GROUP={group}\n")


def command(m, *mirrors, checksum="", stall=2_000_000, root=None):
    return [FETCH, "container", root or m.root, f"/{STORE}", checksum, str(stall), *mirrors]


def environment():
    return {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}


def fetch(m, *mirrors, **more):
    """(exit status, {key: [values]})."""
    p = subprocess.run(command(m, *mirrors, **more), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                       env=environment(), check=False)
    check_sanitizers(p.stderr)
    check_equal(p.stderr, "", "stderr")
    answers = {}
    for line in p.stdout.splitlines():
        key, _, value = line.partition("=")
        answers.setdefault(key, []).append(value)
    return p.returncode, answers


def check_image(m, answer):
    check_equal(answer[0], OK, str(answer[1]))
    check(answer[1]["image"][0].startswith("/"), "an absolute path in the root")
    image = answer[1]["image"][0][1:]
    check(image.startswith(f"{CACHE}/flatcar-developer-container-{VERSION}-{BOARD}-"), image)
    with open(m.path(image), "rb") as f:
        check(f.read() == IMAGE, "the image is what was packed")
    name = os.path.basename(image).removesuffix(".img")
    check_equal(sorted(m.list(CACHE)), [f"{name}.img", f"{name}.manifest", "lock"], "in the cache")
    return image


def check_refused(answer, status, *texts):
    check_equal(answer[0], status, str(answer[1]))
    check("image" not in answer[1], "no image is named")
    for text in texts:
        check(text in answer[1]["detail"][0], f"\"{text}\" is not in {answer[1]['detail']}")


def parts(m):
    return [os.path.getsize(m.path(f"{CACHE}/{f}")) for f in m.list(CACHE) if f.endswith(".part")]


def images(m):
    return [f for f in m.list(CACHE) if f.endswith((".img", ".new"))]


@story("cold: download, verify, decompress; warm: nobody is asked")
def cold(m):
    host(m)
    with Server() as s:
        answer = fetch(m, s.url + "/%v")
        image = check_image(m, answer)
        for what in ("downloading", "decompressing"):
            check(any(p.startswith(f"{what} the developer container, ") and p.endswith("% of 1 MB")
                      for p in answer[1].get("progress", [])), f"{what}: {answer[1].get('progress')}")
        check_equal([p for p, _ in s.log], [f"/{VERSION}/{NAME}.DIGESTS", f"/{VERSION}/{NAME}"], "requests")
        manifest = m.get(image.removesuffix(".img") + ".manifest")
        check(f"checksum=sha512:{SHA512}\n" in manifest and f"source={s.url}/{VERSION}/{NAME}\n" in manifest, manifest)
        st = os.stat(m.path(image))
        check(st.st_blocks * 512 < len(IMAGE) / 2, f"zeros are holes: {st.st_blocks * 512} of {len(IMAGE)}")

        s.log.clear()
        check_image(m, fetch(m, s.url + "/%v"))
        check_image(m, fetch(m))
        check_image(m, fetch(m, "http://192.0.2.1/", checksum=f"sha512:{SHA512}"))
        check_equal(s.log, [], "requests when warm")
        check_equal(os.stat(m.path(image)).st_ino, st.st_ino, "the same image")


@story("a cut connection is continued where it broke")
def cut(m):
    host(m)
    with Server() as s:
        s.cuts = [300_000, 200_000]
        answer = fetch(m, s.url + "/%v")
        check_image(m, answer)
        check_equal(s.images(), [None, "bytes=300000-", "bytes=500000-"], "requests")
        check(any("trying again in 1s" in n for n in answer[1]["note"]), str(answer[1]["note"]))


@story("a server that does not continue sends it all again")
def without_range(m):
    host(m)
    with Server() as s:
        s.ranges = False
        s.cuts = [300_000]
        check_image(m, fetch(m, s.url + "/%v"))
        check_equal(s.images(), [None, "bytes=300000-"], "requests")


@story("a server that continues elsewhere than asked is not believed")
def wrong_range(m):
    host(m)
    with Server() as s:
        s.cuts = [300_000]
        s.range_shift = 7
        check_image(m, fetch(m, s.url + "/%v"))
        check_equal(s.images(), [None, "bytes=300000-", None], "requests")


@story("corrupted content is refused, and forgotten")
def corrupted(m):
    host(m)
    bad = bytearray(PACKED)
    bad[400_000] ^= 1
    with Server() as s:
        s.files[f"/{VERSION}/{NAME}"] = bytes(bad)
        check_refused(fetch(m, s.url + "/%v"), FAILED, "is not what its checksum says (sha512)", VERSION, BOARD)
        check_equal((images(m), parts(m)), ([], []), "left in the cache")
        s.files[f"/{VERSION}/{NAME}"] = PACKED
        check_image(m, fetch(m, s.url + "/%v"))


@story("the rest of another file is found out, and it is begun again")
def mixed(m):
    host(m)
    with Server() as s:
        m.put(f"{CACHE}/flatcar-developer-container-{VERSION}-{BOARD}-{SHA512[:12]}.part", "x" * 100_000)
        answer = fetch(m, s.url + "/%v")
        check_image(m, answer)
        check_equal(s.images(), ["bytes=100000-", None], "requests")
        check(any("beginning again" in n for n in answer[1]["note"]), str(answer[1]["note"]))


@story("a file that is too short or too long is none")
def wrong_length(m):
    host(m)
    with Server() as s:
        for data in (PACKED[:-1], PACKED + b"x", b""):
            s.files[f"/{VERSION}/{NAME}"] = data
            check_refused(fetch(m, s.url + "/%v"), FAILED, "is not what its checksum says")
            check_equal(images(m), [], "images")
        # Nobody says how long it is, so the end of the connection is the end of the file.
        s.files[f"/{VERSION}/{NAME}"] = PACKED
        s.length = False
        s.cuts = [300_000]
        check_refused(fetch(m, s.url + "/%v"), FAILED, "is not what its checksum says")
        check_image(m, fetch(m, s.url + "/%v"))
        # More has arrived than there is.
        os.unlink(m.path(f"{CACHE}/{images(m)[0]}"))
        s.length = True
        m.put(f"{CACHE}/flatcar-developer-container-{VERSION}-{BOARD}-{SHA512[:12]}.part", "x" * (len(PACKED) + 1))
        check_image(m, fetch(m, s.url + "/%v"))


@story("what is not there: one sentence, and no second attempt")
def absent(m):
    host(m)
    with Server() as s:
        s.files.clear()
        check_refused(fetch(m, s.url + "/%v"), FAILED, f"{s.url}/{VERSION}/{NAME}: the server has no such file, or no .DIGESTS")
        check_equal(len(s.log), 5, "requests, one for each compression")
        check_refused(fetch(m, s.url + "/%v", checksum=f"sha512:{SHA512}"), FAILED, "the server has no such file.")
        check_equal((images(m), parts(m)), ([], []), "left in the cache")
        s.log.clear()
        s.files[f"/{VERSION}/{NAME}"] = PACKED
        s.statuses = [403]
        check_refused(fetch(m, s.url + "/%v", checksum=f"sha512:{SHA512}"), INVALID, "status 403")
        check_equal(len(s.log), 1, "requests")


@story("a server that is busy is asked again, and not for ever")
def busy(m):
    host(m)
    with Server() as s:
        s.statuses = [503, 429]
        check_image(m, fetch(m, s.url + "/%v"))
        check_equal(len(s.images()), 3, "requests")
        os.unlink(m.path(f"{CACHE}/{images(m)[0]}"))
        s.log.clear()
        s.statuses = [503] * 10
        check_refused(fetch(m, s.url + "/%v"), FAILED, "status 503")
        check_equal(len(s.images()), 4, "requests")
        s.statuses = [503]
        s.headers = {"Retry-After": "3"}
        began = time.monotonic()
        check_image(m, fetch(m, s.url + "/%v"))
        check(time.monotonic() - began >= 3, "the server's wish is respected")


@story("nobody listens: it says so")
def unreachable(m):
    host(m)
    with Server() as s:
        url = s.url
    check_refused(fetch(m, url + "/%v"), FAILED, url)


@story("a line that stands still is left, and continued")
def stalled(m):
    host(m)
    with Server() as s:
        s.stall_at = 262144
        p = subprocess.Popen(command(m, s.url + "/%v"), stdout=subprocess.PIPE, text=True, env=environment())
        wait_until(lambda: len(s.images()) == 2, "the second attempt")
        s.stall_at = None
        out, _ = p.communicate(timeout=120)
        check_equal(p.returncode, OK, out)
        check(s.images()[1] == "bytes=262144-", str(s.images()))
        check("trying again" in out, out)


@story("the disk is full: nothing is begun that does not fit, and what was begun is removed")
def disk_full(m):
    host(m)
    if os.geteuid() != 0:
        raise Skip("needs root to mount a file system of a size")
    libc = ctypes.CDLL(None, use_errno=True)
    os.makedirs(m.path(CACHE))
    with Server() as s:
        for size, length, what in (("400k", True, "announced"), ("400k", False, "found out"), ("1600k", True, "decompressed")):
            if libc.mount(b"tmpfs", m.path(CACHE).encode(), b"tmpfs", 0, f"size={size}".encode()) != 0:
                raise Skip(f"mount: {os.strerror(ctypes.get_errno())}")
            try:
                s.log.clear()
                s.length = length
                check_refused(fetch(m, s.url + "/%v"), NO_SPACE, "No space left on device")
                check_equal(images(m), [], f"images, {what}")
                check(sum(parts(m)) in (0, len(PACKED)), f"{what}: {parts(m)}")
                check_equal(len(s.images()), 1, "requests: a full disk is not tried again")
            finally:
                libc.umount2(m.path(CACHE).encode(), 2)


@story("directories and servers in their order; what a directory has, no server is asked for")
def local(m):
    host(m, group="beta")
    with Server() as s:
        put(m, f"srv/beta/{BOARD}/{VERSION}/{NAME}", PACKED)
        put(m, f"srv/beta/{BOARD}/{VERSION}/{NAME}.DIGESTS", digests(PACKED))
        answer = fetch(m, "/empty", "/srv/%c/%b/%v", s.url + "/%v")
        check_image(m, answer)
        check_equal(s.log, [], "requests")
        check(any(n.startswith("/empty: there is no flatcar_developer_container.bin") for n in answer[1]["note"]), str(answer))
        os.unlink(m.path(f"{CACHE}/{images(m)[0]}"))
        # Damaged in the directory: the server has it.
        put(m, f"srv/beta/{BOARD}/{VERSION}/{NAME}", PACKED[:-9])
        answer = fetch(m, "file:///srv/%c/%b/%v/", s.url + "/%v")
        check_image(m, answer)
        check(any("is not what its checksum says" in n for n in answer[1]["note"]), str(answer))
        check_equal(len(s.images()), 1, "requests")


@story("a single file, in every compression and in none")
def single(m):
    host(m)
    zstd = subprocess.run(["zstd", "-qc"], input=IMAGE, capture_output=True, check=True).stdout
    half = len(IMAGE) // 2
    for name, data in (("a.img.gz", gzip.compress(IMAGE)), ("a.raw.xz", lzma.compress(IMAGE)), ("a.bin.zst", zstd),
                       ("a.img", IMAGE), ("b.bin.bz2", bz2.compress(IMAGE[:half]) + bz2.compress(IMAGE[half:]))):
        put(m, f"srv/{name}", data)
        check_image(m, fetch(m, f"/srv/{name}", checksum=f"sha256:{hashlib.sha256(data).hexdigest()}"))
        os.unlink(m.path(f"srv/{name}"))


@story("what its checksum vouches for and is no image: refused with the reason")
def no_image(m):
    host(m)
    for data, text in ((PACKED[:400_000], "cannot be decompressed"), (b"", "cannot be decompressed"),
                       (bz2.compress(b""), "cannot be decompressed")):
        put(m, "srv/a.bin.bz2", data)
        check_refused(fetch(m, "/srv/a.bin.bz2", checksum=f"sha256:{hashlib.sha256(data).hexdigest()}"), INVALID,
                      "is what its checksum says, but", text)
        check_equal(images(m), [], "images")


@story("without a digest that can be believed nothing is used")
def unvouched(m):
    host(m)
    put(m, f"srv/{NAME}", PACKED)
    check_refused(fetch(m, "/srv"), INVALID, "nothing vouches for it", "Checksum=", f"{NAME}.DIGESTS")
    put(m, f"srv/{NAME}.DIGESTS", digests(PACKED, "other.bz2"))
    check_refused(fetch(m, "/srv"), INVALID, "does not say one digest")
    # Plain http to another machine; 192.0.2.1 is nobody's, and is not even asked.
    check_refused(fetch(m, "http://192.0.2.1/%v"), INVALID, "plain http proves nothing", "Checksum=")
    with Server() as s:
        del s.files[f"/{VERSION}/{NAME}.DIGESTS"]
        check_refused(fetch(m, s.url + "/%v"), FAILED, "or no .DIGESTS beside it")
        s.files[f"/{VERSION}/{NAME}.DIGESTS"] = digests(PACKED, "other.bz2")
        check_refused(fetch(m, s.url + "/%v"), INVALID, f"{NAME}.DIGESTS: it does not say one digest of that file")
        s.files[f"/{VERSION}/{NAME}.DIGESTS"] = b"#" * 70000
        for s.length in (False, True):
            check_refused(fetch(m, s.url + "/%v"), INVALID, f"{NAME}.DIGESTS: it has more than 65536 bytes")
        check_equal(s.images(), [], "requests for the image")
        check_image(m, fetch(m, s.url + "/%v", checksum=f"sha512:{SHA512}"))
        os.unlink(m.path(f"{CACHE}/{images(m)[0]}"))
        # Led on to plain http, the digest is not believed; the image may come from there.
        s.files[f"/{VERSION}/{NAME}.DIGESTS"] = s.files["/else.DIGESTS"] = digests(PACKED)
        s.redirect[f"/{VERSION}/{NAME}.DIGESTS"] = f"{s.url}/else.DIGESTS"
        check_refused(fetch(m, s.url + "/%v"), INVALID, f"{NAME}.DIGESTS: ")
        del s.redirect[f"/{VERSION}/{NAME}.DIGESTS"]
        s.files["/else"] = PACKED
        s.redirect[f"/{VERSION}/{NAME}"] = f"{s.url}/else"
        check_image(m, fetch(m, s.url + "/%v"))
        os.unlink(m.path(f"{CACHE}/{images(m)[0]}"))
        s.redirect[f"/{VERSION}/{NAME}"] = f"{s.url}/{VERSION}/{NAME}"
        check_refused(fetch(m, s.url + "/%v"), INVALID, "redirects")
        s.redirect[f"/{VERSION}/{NAME}"] = "file:///etc/passwd"
        check_refused(fetch(m, s.url + "/%v"), INVALID, "file")


@story("an image that changed in the cache is found, removed and got again")
def damaged(m):
    host(m)
    with Server() as s:
        def flip(path):
            with open(path, "r+b") as f:
                f.seek(1000)
                b = f.read(1)
                f.seek(1000)
                f.write(bytes([b[0] ^ 1]))

        def replace(path):
            os.unlink(path)
            os.symlink("/dev/zero", path)

        for spoil, text in ((flip, "its content has changed"), (lambda p: os.truncate(p, 1000), "its size has changed"),
                            (replace, "it cannot be opened"),
                            (lambda p: os.unlink(p.removesuffix(".img") + ".manifest"), "its manifest cannot be read"),
                            (lambda p: os.truncate(p.removesuffix(".img") + ".manifest", 40), "its manifest cannot be read")):
            path = m.path(check_image(m, fetch(m, s.url + "/%v")))
            spoil(path)
            answer = fetch(m, s.url + "/%v")
            check_image(m, answer)
            check(any("is damaged" in n and text in n for n in answer[1]["note"]), f"{text}: {answer[1]['note']}")
            flip(path)
            check_refused(fetch(m), INVALID, "none is in the store, and Mirror= in [Toolchain] names no place")


@story("another version, another checksum: another image; the old one goes")
def versions(m):
    host(m)
    other = bz2.compress(IMAGE + b"more")
    with Server() as s:
        check_image(m, fetch(m, s.url + "/%v"))
        host(m, OS_RELEASE.replace("4230.2.3", "4231.0.0"))
        check_refused(fetch(m, s.url + "/%v"), FAILED, "4231.0.0")
        check_equal(len(images(m)), 1, "kept while there is no other")
        s.files[f"/4231.0.0/{NAME}"] = other
        s.files[f"/4231.0.0/{NAME}.DIGESTS"] = digests(other)
        status, answers = fetch(m, s.url + "/%v")
        check_equal(status, OK, str(answers))
        check_equal([f"/{CACHE}/{i}" for i in images(m)], answers["image"], "images")
        check("4231.0.0" in answers["image"][0], answers["image"][0])
        # A rebuilt release, pinned.
        s.files[f"/4231.0.0/{NAME}"] = PACKED
        status, answers = fetch(m, s.url + "/%v", checksum=f"sha512:{SHA512}")
        check_equal(status, OK, str(answers))
        check(SHA512[:12] in answers["image"][0] and len(images(m)) == 1, answers["image"][0])


@story("a host that is not Flatcar, or does not say which, is told so")
def foreign(m):
    for text, why in (("ID=debian\nVERSION_ID=12\n", "ID=debian"), ("ID=flatcar\nVERSION=1.2.3\n", "FLATCAR_BOARD="),
                      (OS_RELEASE + "VERSION=../../etc\n", "VERSION=../../etc"), ("", "ID=")):
        m.put("etc/os-release", text)
        check_refused(fetch(m, "/srv"), INVALID, why)
    check(not os.path.exists(m.path(CACHE)), "nothing is made")


class Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]


class Program(ctypes.Structure):
    _fields_ = [("n", ctypes.c_ushort), ("filters", ctypes.POINTER(Filter))]


def forbid_network():
    """As RestrictAddressFamilies= does: socket(AF_INET) and socket(AF_INET6) say EAFNOSUPPORT. x86-64 only."""
    steps = [(0x20, 0, 0, 0), (0x15, 0, 4, 41), (0x20, 0, 0, 16), (0x15, 1, 0, 2), (0x15, 0, 1, 10),
             (0x06, 0, 0, 0x00050000 | 97), (0x06, 0, 0, 0x7fff0000)]
    filters = (Filter * len(steps))(*(Filter(*s) for s in steps))
    program = Program(len(steps), filters)
    libc = ctypes.CDLL(None)
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, ctypes.byref(program)) != 0:
        os._exit(99)


@story("a sandbox without network is named, and the image in the store serves all the same")
def sandboxed(m):
    if os.uname().machine != "x86_64":
        raise Skip("the filter is written for x86-64")
    host(m)
    with Server() as s:
        run = lambda: subprocess.run(command(m, s.url + "/%v"), capture_output=True, text=True, env=environment(),
                                     preexec_fn=forbid_network, check=False)
        p = run()
        check_equal(p.returncode, INVALID, p.stdout + p.stderr)
        check("the sandbox of the service has no network" in p.stdout and "nvidia-driver toolchain fetch" in p.stdout, p.stdout)
        check_equal(s.log, [], "requests")
        check_image(m, fetch(m, s.url + "/%v"))
        p = run()
        check_equal(p.returncode, OK, p.stdout + p.stderr)


@story("nonsense on the command line")
def usage(m):
    host(m)
    check_equal(fetch(m, "/srv", checksum="md5:x")[0], USAGE, "checksum")
    check_equal(fetch(m, "ftp://host/")[0], USAGE, "mirror")
    check_equal(fetch(m, "/srv", stall="soon")[0], USAGE, "time")


@story("links and FIFOs in the cache lead nowhere")
def links(m):
    host(m)
    m.put("etc/precious", "precious")
    name = f"flatcar-developer-container-{VERSION}-{BOARD}-{SHA512[:12]}"
    os.makedirs(m.path(CACHE))
    with Server() as s:
        os.symlink(m.path("etc/precious"), m.path(f"{CACHE}/{name}.part"))
        check_equal(fetch(m, s.url + "/%v")[0], 26, "a link instead of a download")
        os.unlink(m.path(f"{CACHE}/{name}.part"))
        os.mkfifo(m.path(f"{CACHE}/{name}.part"))
        check_equal(fetch(m, s.url + "/%v")[0], 26, "a FIFO instead of a download")
        os.unlink(m.path(f"{CACHE}/{name}.part"))
        os.symlink(m.path("etc/precious"), m.path(f"{CACHE}/{name}.new"))
        os.symlink(m.path("etc/precious"), m.path(f"{CACHE}/{name}.img"))
        # Of one that was killed while it wrote the manifest.
        m.put(f"{CACHE}/.#0123456789abcdef", "half a man")
        check_image(m, fetch(m, s.url + "/%v"))
        check_equal(m.get("etc/precious"), "precious", "the file that the links lead to")


@story("two at a time: one gets it, the other waits and has it")
def two(m):
    host(m)
    with Server() as s:
        s.pause = 0.05
        both = [subprocess.Popen(command(m, s.url + "/%v"), stdout=subprocess.PIPE, text=True, env=environment()) for _ in "ab"]
        outs = [p.communicate(timeout=120)[0] for p in both]
        check_equal([p.returncode for p in both], [OK, OK], str(outs))
        check_equal(len(s.images()), 1, "requests")
        check(any("waiting for it to end" in o for o in outs), str(outs))


@story("killed at any instant, it goes on the next time")
def killed(m):
    host(m)
    with Server() as s:
        s.pause = 0.04
        kills = 0
        resumed = 0
        generator = random.Random(1)
        for attempt in range(40):
            p = subprocess.Popen(command(m, s.url + "/%v"), stdout=subprocess.DEVNULL, env=environment())
            # From the first system calls to beyond the end of an undisturbed run.
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(generator.uniform(0.01, 1.2))
            if p.poll() is None:
                p.send_signal(generator.choice([signal.SIGKILL, signal.SIGTERM]))
                p.wait()
                kills += 1
            for name in images(m):
                if name.endswith(".img"):
                    with open(m.path(f"{CACHE}/{name}"), "rb") as f:
                        check(f.read() == IMAGE, f"the image after {attempt + 1} attempts")
            if p.returncode == OK:
                check_image(m, fetch(m))
                os.unlink(m.path(f"{CACHE}/{images(m)[0]}"))
        resumed = sum(1 for r in s.images() if r)
        check_image(m, fetch(m, s.url + "/%v"))
        note(f"{kills} of 40 killed, {resumed} downloads continued")
        check(kills >= 10 and resumed >= 3, "this was a test")


@story("SIGTERM ends it at once, in whatever it is")
def terminated(m):
    host(m)
    with Server() as s:
        s.stall_at = 100_000
        p = subprocess.Popen(command(m, s.url + "/%v", stall=0), stdout=subprocess.DEVNULL, env=environment())
        wait_until(s.images, "the request")
        wait_until(lambda: parts(m) == [100_000], "what has arrived is on the disk")
        p.terminate()
        p.wait(2)
        check_equal(parts(m), [100_000], "what has arrived")


@story("nvidia-driver toolchain fetch: progress and reasons on stderr, the path on stdout")
def command_line(m):
    host(m)
    p = m.run("toolchain", "fetch")
    check_equal((p.returncode, p.stdout), (INVALID, ""), p.stderr)
    check("Mirror= in [Toolchain] names no place" in p.stderr and "toolchain-invalid" in p.stderr, p.stderr)
    with Server() as s:
        s.cuts = [300_000]
        p = m.run("toolchain", "fetch", f"--set=Toolchain.Mirror=/empty {s.url}/%v", env=environment())
        check_equal(p.returncode, OK, p.stderr)
        check_image(m, (0, {"image": p.stdout.splitlines()}))
        for text in ("downloading the developer container, ", "/empty: there is no", "trying again in 1s"):
            check(text in p.stderr, f"{text}: {p.stderr}")
        s.log.clear()
        p = m.run("toolchain", "fetch", f"--set=Toolchain.Mirror={s.url}/%v", f"--set=Toolchain.Checksum=sha512:{SHA512}")
        check_equal((p.returncode, p.stderr, s.log), (OK, "", []), "warm")
    for arguments in ([], ["get"], ["fetch", "x"]):
        check_equal(m.run("toolchain", *arguments).returncode, USAGE, str(arguments))


if __name__ == "__main__":
    main()
