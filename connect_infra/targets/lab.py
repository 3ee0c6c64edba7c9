"""Where the lab says how to reach its host: a file that it writes and the inventory reads.

So the inventory needs to know nothing else of the lab.
"""

import os
from pathlib import Path

NAME = "lab"
LAB_FILE = "lab-target.toml"
"""Holds the keys of one target, without a heading."""


def state_dir() -> Path:
    """Return the directory of the lab's keys and files ($CONNECT_INFRA_STATE, else .lab)."""
    return Path(os.environ.get("CONNECT_INFRA_STATE", ".lab"))
