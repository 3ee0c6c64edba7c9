"""PM2 and npm as files that install without any registry.

A lab host reaches no network, so each tool is packed once, with everything it depends on inside,
when the base image is built. What a registry's client notes about its registry is left out.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from connect_infra.errors import LabError

TOOLS = {"npm": "9", "pm2": "7"}
"""Major versions: npm 9 is the last that Debian's Node 18.13 and later runs, PM2 as measured."""


def fill(directory: Path) -> None:
    """Put one archive a tool (`pm2.tgz`, `npm.tgz`) into `directory`; LabError when npm can't."""
    directory.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="connect-infra-npm-") as prefix:
        wanted = [f"{name}@{version}" for name, version in TOOLS.items()]
        _npm("install", "--global", "--prefix", prefix, "--no-fund", "--no-audit", *wanted)
        for name in TOOLS:
            _pack(Path(prefix, "lib/node_modules", name), directory / f"{name}.tgz")


def _pack(installed: Path, archive: Path) -> None:
    manifest = installed / "package.json"
    content = json.loads(manifest.read_text())
    content["bundleDependencies"] = sorted(content.get("dependencies", {}))
    for unneeded in ("scripts", "optionalDependencies"):
        content.pop(unneeded, None)
    manifest.write_text(json.dumps(content, indent=2))
    (installed / "node_modules/.package-lock.json").unlink(missing_ok=True)
    rename = f"--transform=s,^{installed.name},package,"
    where = ("-C", str(installed.parent))
    subprocess.run(
        ["tar", "--owner=0", "--group=0", rename, *where, "-czf", str(archive), installed.name],
        check=True,
    )


def _npm(*arguments: str) -> None:
    if shutil.which("npm") is None:
        raise LabError(
            expected="npm on this machine, to fetch PM2 for the lab's hosts",
            found="none",
            where="base image",
            remedy="apt-get install npm, or run make setup",
        )
    done = subprocess.run(["npm", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if "npm ERR" in line or "error" in line]
        raise LabError(
            expected="npm to fetch " + ", ".join(TOOLS),
            found=said[0] if said else f"exit code {done.returncode}",
            where="base image",
            remedy="see whether this machine's npm reaches its registry",
        )
