#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A .run file as the driver's source: found, doubted, checked, unpacked in the store, built from."""

import json
import os
import shutil
import signal

from harness import DRIVER, SOURCE, Skip, check, check_equal, main, story
from makeself import label, name_of, put_run_file

FILE = f"opt/nvidia/{name_of()}"
T4, GH200 = "0x1eb8", "0x2342"


def put(m, path=FILE, **how):
    """The only source there is."""
    put_run_file(m, path, **how)
    shutil.rmtree(m.path(SOURCE))


def check_refused(m, code, *texts, arguments=()):
    d = m.start(*arguments)
    check_equal(d.wait(), code, f"exit status, after {d.log()}")
    for text in texts:
        check(text in d.log(), f"{text!r} in {d.log()}")
    check_equal(m.builds() + m.staging() + m.processes(), [], "builds, staging directories and processes")


@story("found by its name, unpacked, built; the file is only read")
def good(m):
    put(m)
    before = m.tree_hash("opt")
    p = m.run("plan", "--json")
    reasons = [x["reason"] for x in json.loads(p.stdout)["plan"] if x["stage"] == "compiling"]
    check_equal(reasons, [f"driver {DRIVER} from {FILE}/kernel, the proprietary modules: the default of {DRIVER}, both drive "
                          "the GPUs"], "plan")
    d = m.start()
    d.wait_ready()
    check(f"Unpacking /{FILE}." in d.log(), d.log())
    check_equal(len(m.builds()), 1, "builds")
    check(f"{DRIVER}-proprietary-" in m.builds()[0], m.builds())
    m.check_store(1)
    d.stop()
    m.check_gone()
    check_equal(m.tree_hash("opt"), before, "the file and its directory")


@story("the open modules in it, named by Source=, by the command")
def open_modules(m):
    put(m, "srv/driver.run")
    m.put("sys/devices/pci0000:00/0000:00:04.0/device", GH200 + "\n")
    p = m.run("build", "--set=Driver.Source=/srv/driver.run")
    check_equal(p.returncode, 0, p.stderr)
    check("compiling (unpacking the .run file)\n" in p.stderr, p.stderr)
    check("compiling 1/10, nvidia" in p.stderr, p.stderr)
    check(f"{DRIVER}-open-" in p.stdout, p.stdout)
    check_equal(m.staging(), [], "staging")


@story("cut off: its own check says so, before anything is unpacked")
def truncated(m):
    put(m, hook=f": >{m.ctl}/was-unpacked")
    os.truncate(m.path(FILE), os.path.getsize(m.path(FILE)) - 700)
    check_refused(m, 12, f"/{FILE} is damaged, by its own checksum: get it again.")
    check(not m.exists("ctl/was-unpacked"), "not unpacked")


@story("for another architecture, of another version than its name says, no driver at all")
def other(m):
    put(m, text=label(arch="s390x"))
    check_refused(m, 12, f"/{FILE} is for s390x, this machine is ")
    m.put_driver_source()
    put(m, text=label(version="535.1.2"))
    check_refused(m, 12, f"/{FILE} calls itself {DRIVER} by its name and 535.1.2 inside: get it again")
    m.put_driver_source()
    put(m, text="Some other product")
    check_refused(m, 12, f"/{FILE} is no .run file of NVIDIA's driver")
    m.put("srv/README", "hello\n")
    check_refused(m, 12, "/srv/README is no .run file", arguments=["--set=Driver.Source=/srv/README"])
    os.mkfifo(m.path("srv/pipe"))
    check_refused(m, 12, "/srv/pipe is neither a directory nor a .run file", arguments=["--set=Driver.Source=/srv/pipe"])


@story("what is in it is not what its head says")
def not_inside(m):
    put_run_file(m, FILE, text=label(version="535.1.2"))
    os.rename(m.path(FILE), m.path("opt/nvidia/renamed.run"))
    shutil.rmtree(m.path(SOURCE))
    named = "--set=Driver.Source=/opt/nvidia/renamed.run"
    check_refused(m, 13, "Unpacked from /opt/nvidia/renamed.run: ", f"holds version {DRIVER}, wanted is 535.1.2", arguments=[named])
    m.put_driver_source()
    put(m, folders=("kernel",))
    check_refused(m, 12, f"/{FILE} has no folder kernel-open.", arguments=["--set=Driver.Type=open"])


@story("somebody else could have written it: never run, and how to mend that")
def foreign(m):
    put(m, hook=f": >{m.ctl}/was-run")
    os.chmod(m.path(FILE), 0o757)
    check_refused(m, 12, f"/{FILE} can be written by others (mode 0757), and would be run as root", "chmod go-w it")
    os.chmod(m.path(FILE), 0o755)
    os.chmod(m.path("opt/nvidia"), 0o777)
    check_refused(m, 12, f"the directory {m.path('opt/nvidia')} can be written by others", "mode 0777")
    os.chmod(m.path("opt/nvidia"), 0o755)
    os.symlink(name_of(), m.path("opt/nvidia/link.run"))
    check_refused(m, 12, "/opt/nvidia/link.run is a symbolic link: name the file itself",
                  arguments=["--set=Driver.Source=/opt/nvidia/link.run"])
    os.rename(m.path(FILE), m.path("opt/nvidia/a b.run"))
    check_refused(m, 12, "/opt/nvidia/a b.run has signs in its path",
                  arguments=["--set=Driver.Source=/opt/nvidia/a b.run"])
    if os.geteuid() != 0:
        raise Skip("to give a file away takes root")
    os.rename(m.path("opt/nvidia/a b.run"), m.path(FILE))
    os.chown(m.path(FILE), 1000, 1000)
    check_refused(m, 12, f"/{FILE} is owned by user 1000, and would be run as root: if you trust it, chown root:root it")
    check(not m.exists("ctl/was-run"), "never run")


@story("given away after the plan was made: looked at again before it is run")
def late(m):
    put(m, hook=f": >{m.ctl}/was-unpacked")
    # The compiler is asked after COMPILE has begun; PREPARE ends before. The check itself is the only place to stand.
    with open(m.path(FILE), encoding="utf-8", errors="surrogateescape", newline="") as f:
        text = f.read()
    check_equal(text.count("\nORIG_UMASK="), 1, "beginnings of the script")
    # --check runs this, too; it breaks the trust in its own file.
    with open(m.path(FILE), "w", encoding="utf-8", errors="surrogateescape", newline="") as f:
        f.write(text.replace("\nORIG_UMASK=", '\nchmod o+w "$0"; exit 0\nORIG_UMASK=', 1))
    check_refused(m, 12, "can be written by others (mode 0757)")
    check(not m.exists("ctl/was-unpacked"), "not unpacked")


def gate(m):
    """Shell code that stands at the gate "unpack"; in makeself's header a "$" would be makeself's own."""
    return f": >{m.ctl}/at-unpack; [ ! -p {m.ctl}/gate-unpack ] || read -r line <{m.ctl}/gate-unpack"


@story("killed while it is unpacked: the next start builds as if nothing had been")
def killed(m):
    put(m, hook=gate(m))
    m.close("unpack")
    d = m.start()
    m.wait_at("unpack")
    d.kill()
    m.open("unpack")
    d = m.start()
    d.wait_ready()
    m.check_store(1)
    d.stop()
    m.check_gone()


@story("stopped while it is unpacked: at once")
def stopped(m):
    put(m, hook=gate(m))
    m.close("unpack")
    d = m.start()
    m.wait_at("unpack")
    d.wait_status("Compiling (unpacking the .run file)")
    d.send(signal.SIGTERM)
    check_equal(d.wait(), 0, "exit status")
    check_equal(m.builds(), [], "builds")
    m.check_gone()


@story("the script fails while it unpacks: by status, and by the signal it sends itself")
def fails(m):
    put(m, hook="echo no room in my head; exit 3")
    check_refused(m, 12, f"/{FILE} could not be unpacked. Its script ended with status 3. Last line: no room in my head")
    m.put_driver_source()
    put(m, hook=r"kill -15 \$\$")
    check_refused(m, 12, f"/{FILE} could not be unpacked. Its script ended with signal 15.")
    m.put_driver_source()
    put(m, hook="sleep 1000")
    d = m.start("--set=Build.TimeoutSec=2s", "--set=Retry.Attempts=1", "--set=Retry.DelaySec=10ms")
    check_equal(d.wait(), 27, d.log())
    check("It was stopped after 2s." in d.log(), d.log())
    check_equal(m.staging() + m.processes(), [], "staging directories and processes")


@story("a package cannot be linked from it: what to do instead")
def importing(m):
    p = m.run("build")
    check_equal(p.returncode, 0, p.stderr)
    p = m.run("builds", "export", m.builds()[0], m.path("p.nvpkg"))
    check_equal(p.returncode, 0, p.stderr)
    shutil.rmtree(m.path("var/lib/nvidia-driverd"))
    put(m)
    p = m.run("builds", "import", m.path("p.nvpkg"))
    check_equal(p.returncode, 11, p.stderr)
    check(f"Unpack them: sh /{FILE} --extract-only --target DIR" in p.stderr, p.stderr)


main()
