# SPDX-License-Identifier: Apache-2.0
"""What a story claims, and how long it waits for it."""

import subprocess
import time

PATIENCE = 120.0  # seconds that a loaded machine gets for anything that must happen
SLACK = 60.0  # what it may add to something that has a limit; how fast things are is measured elsewhere


class Failed(Exception):
    """The product did not do what the story says."""


class Skip(Exception):
    """This machine cannot tell the story."""


def check(condition, text):
    if not condition:
        raise Failed(text)


def check_equal(found, expected, what):
    check(found == expected, f"{what}: {found!r}, expected {expected!r}")


def wait_until(condition, what, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Failed(f"still not after {patience:.0f} s: {what}")
        time.sleep(0.02)


def check_sanitizers(text):
    for mark in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
        check(mark not in text, f"a sanitizer complains:\n{text}")


def first_line(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()[0]
