# SPDX-License-Identifier: Apache-2.0
"""How a daemon that cannot go on must say so: in its log, to the service manager, and in the status afterwards."""

import json

from harness import check, check_equal, wait_until


def failed(m, d, code, status, *texts):
    check_equal(d.wait(), status, "exit status")
    check_equal(d.sent("READY"), [], "READY")
    check(f"[{code}]" in d.log() and "Next step:" in d.log(), f"code and next step in the log:\n{d.log()}")
    check(any(t.startswith("Failed: ") and t.endswith(f"({code})") for t in d.texts()), f"STATUS: {d.texts()}")
    p = m.run("status")
    check_equal(p.returncode, 3, "exit status of nvidia-driver status")
    check(f"[{code}]" in p.stdout and "Next step:" in p.stdout, p.stdout)
    for text in texts:
        check(text in d.log(), f"{text!r} in the log:\n{d.log()}")
        check(text in p.stdout, f"{text!r} in the status:\n{p.stdout}")
    j = json.loads(m.run("status", "--json").stdout)
    check_equal((j["state"], j["code"]), ("failed", code), "status --json")
    wait_until(lambda: not m.staging(), f"staging directories that are left: {m.staging()}")
    wait_until(lambda: not m.processes(), f"processes that are left: {m.processes()}")
