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
    with tempfile.TemporaryDirectory(dir=directory.parent) as prefix:
        wanted = [f"{name}@{version}" for name, version in TOOLS.items()]
        install(["--global", "--prefix", prefix, *wanted], what="PM2 and npm", where="base image")
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


def install(arguments: list[str], *, what: str, where: str) -> None:
    """Run this machine's `npm install`; LabError when there is none, or when it fails."""
    if shutil.which("npm") is None:
        raise LabError(
            expected=f"npm on this machine, to fetch {what}",
            found="none",
            where=where,
            remedy="apt-get install npm, or run make setup",
        )
    command = ["npm", "install", "--no-fund", "--no-audit", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if "npm ERR" in line or "error" in line]
        raise LabError(
            expected=f"npm to fetch {what}",
            found=said[0] if said else f"exit code {done.returncode}",
            where=where,
            remedy="see whether this machine's npm reaches its registry",
        )
