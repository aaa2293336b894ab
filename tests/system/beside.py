# SPDX-License-Identifier: LGPL-2.1-or-later
"""One script on stock and on patched systemd, and what it says there: for check-comparison and check-faults."""

import pathlib
import re
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
IMAGES = ("stock", "patched")


def systemd_of(image):
    """What the image's systemd is, in words."""
    folder = subprocess.run(
        [TOP / "scripts/build-image", image], stdout=subprocess.PIPE, encoding="utf-8", check=True
    ).stdout.strip()
    return pathlib.Path(folder, "systemd").read_text(encoding="utf-8").strip()


class Run:
    """What a script of this folder said on one image, and the machine's console."""

    def __init__(self, image, script, *options):
        with tempfile.TemporaryDirectory() as folder:
            console = pathlib.Path(folder) / "console"
            process = subprocess.run(
                [TOP / "tests/system/run-test", script, "--console", console, "--image", image, *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
            self.console = console.read_text(encoding="utf-8", errors="replace") if console.exists() else ""
        self.complete = process.returncode == 0
        self.said = process.stdout
        if not self.complete:
            print(self.said, file=sys.stderr)

    def lines(self, kind):
        """Pairs of key and words of the lines "KIND KEY: WORDS"."""
        return dict(re.findall(rf"^{kind} ([^:\n]+): (.*)$", self.said, re.MULTILINE))


def show(lines, cases, tap):
    """Prints what is to be read, and the cases, each with name, whether it passed, and words; returns a status."""
    for line in lines:
        print(f"# {line}" if tap else line)
    failed = [case for case in cases if not case[1]]
    if tap:
        print(f"1..{len(cases)}")
        for number, (name, passed, words) in enumerate(cases, 1):
            print(f"{'' if passed else 'not '}ok {number} - {name.replace('#', '')}")
            if not passed and words:
                print(f"# {words}")
    # On stderr, too: meson shows that of a test that failed
    for name, _, words in failed:
        print(f"not as it should be: {name}{': ' if words else ''}{words}", file=sys.stderr)
    return 1 if failed else 0
