# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks make of the values of several rounds."""

import datetime
import json
import pathlib
import statistics
import subprocess

TOP = pathlib.Path(__file__).resolve().parent.parent


def systemd_of(image):
    """What the systemd in an image is, which is made for that if it is not there."""
    folder = subprocess.run(
        [TOP / "scripts/build-image", image], stdout=subprocess.PIPE, encoding="utf-8", check=True
    ).stdout.strip()
    return pathlib.Path(folder, "systemd").read_text(encoding="utf-8").strip()


def summary(values):
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values), "values": values}


def seconds(found):
    """A cell of a table, of a summary."""
    return f"{found['median']:.2f} s ({found['lowest']:.2f} to {found['highest']:.2f})"


def rows(names, figures):
    """All values of figures, whose keys are tuples of what names tells, with their summaries."""
    return [{**dict(zip(names, key, strict=True)), **summary(values)} for key, values in figures.items()]


def add_to_json(path, benchmark, head, figures):
    """Writes the figures of this benchmark, and leaves those that others have written to the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        everything = {key: value for key, value in found.items() if "figures" in value}
    except (FileNotFoundError, ValueError, AttributeError, TypeError):
        everything = {}  # not one of these
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    everything[benchmark] = {"date": date, **head, "figures": figures}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")
    new.replace(path)
