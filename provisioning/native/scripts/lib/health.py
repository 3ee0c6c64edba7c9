"""Is this host healthy? One line for each check, each of which can fail; or the same as JSON.

Run by health-check.sh and, for some of the checks, by other scripts, under the host's own Python.
Which checks there are, checks.py says: another one for each topology.
"""

import argparse
import json
import sys

from checks import CHECKS
from watching import Wrong


def judged(name):
    """Return one check's result; whatever keeps it from seeing anything is a failure."""
    section, check = CHECKS[name]
    try:
        return {"section": section, "check": name, "ok": True, "found": check()}
    except Wrong as wrong:
        found = str(wrong)
    except Exception as problem:  # an observation that can't be made is never a pass
        found = f"could not be observed: {type(problem).__name__}: {problem}"
    return {"section": section, "check": name, "ok": False, "found": found}


def main():
    """Run the checks; exit code 0 when all are well."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default=",".join(CHECKS))
    options = parser.parse_args()
    results = []
    for name in options.only.split(","):
        results.append(judged(name))
        if not options.json:
            mark = "ok  " if results[-1]["ok"] else "FAIL"
            print(f"{mark}  {name:12} {results[-1]['found']}", flush=True)
    healthy = all(result["ok"] for result in results)
    if options.json:
        print(json.dumps({"healthy": healthy, "checks": results}, indent=1))
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
