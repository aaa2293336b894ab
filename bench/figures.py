# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks of systemd make of the values of several rounds."""

import json
import statistics


def summary(values):
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values), "values": values}


def seconds(found):
    """A cell of a table, of a summary."""
    return f"{found['median']:.2f} s ({found['lowest']:.2f} to {found['highest']:.2f})"


def write_json(path, head, names, figures):
    """Writes all values of figures, whose keys are tuples of what names tells, with their summaries."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{**dict(zip(names, key, strict=True)), **summary(values)} for key, values in figures.items()]
    path.write_text(json.dumps({**head, "figures": rows}, indent=2) + "\n", encoding="utf-8")
