"""The password of the seeded users who log in: never in a plan, an argument list or a result."""

import os

from connect_infra.errors import LoadError

VARIABLE = "CONNECT_LOAD_PASSWORD"
LAB = "connect-lab"
"""What the stand-in release's seed gives its users on lab hosts."""


def password(*, lab: bool) -> str:
    """The users' password; LoadError when a site that is no lab host has none here."""
    found = os.environ.get(VARIABLE, LAB if lab else "")
    if not found:
        raise LoadError(
            expected="the password of the seeded users",
            found=f"no ${VARIABLE}",
            where="this machine's environment",
            remedy=f"export {VARIABLE}, on every machine that makes load",
        )
    return found
