"""What tests on lab hosts share: a script that must succeed, and patience."""

import time


def sh(host, script, limit=120):
    """Run a script on the host as root; it must succeed."""
    code, output = host.exec(f"set -e\n{script}", limit)
    assert code == 0, output
    return output.strip()


def eventually(check, limit=30.0, pause=0.3):
    """What `check` returns once it is true, or at last."""
    deadline = time.monotonic() + limit
    while not (found := check()) and time.monotonic() < deadline:
        time.sleep(pause)
    return found
