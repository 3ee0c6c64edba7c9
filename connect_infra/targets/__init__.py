"""Which hosts there are, how to reach them, and what may be done to them."""

from connect_infra.targets.inventory import DEFAULT_FILE, Inventory, load_inventory
from connect_infra.targets.secrets import NAMES, Secrets, generate_secrets, load_secrets
from connect_infra.targets.target import Guards, Target
from connect_infra.targets.waivers import Waiver, load_waivers

__all__ = [
    "DEFAULT_FILE",
    "NAMES",
    "Guards",
    "Inventory",
    "Secrets",
    "Target",
    "Waiver",
    "generate_secrets",
    "load_inventory",
    "load_secrets",
    "load_waivers",
]
