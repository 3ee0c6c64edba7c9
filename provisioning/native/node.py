"""Node.js, npm and PM2: the package, and the tools that come from npm."""

from provisioning.component import Component, Context
from provisioning.resources import Ensure, Package

PM2_MAJOR = "7"
NPM_MAJOR = "9"
"""npm 9 is the last that runs on Debian's Node 18.13 and later."""

ARCHIVE = "/opt/connect-archive/npm"
"""Where a lab host has both as files, because it reaches no registry."""

MODULES = "/usr/local/lib/node_modules"

INSTALL_NPM = f"""
if [ -e {ARCHIVE}/npm.tgz ]; then
  mkdir -p {MODULES}/npm
  tar -xzf {ARCHIVE}/npm.tgz -C {MODULES}/npm --strip-components=1 --no-same-owner
  ln -sf ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
  ln -sf ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
else
  apt-get install -y -q npm
fi
"""

INSTALL_PM2 = f"""
export HOME=/root
wanted=pm2@{PM2_MAJOR}
if [ -e {ARCHIVE}/pm2.tgz ]; then wanted='--offline {ARCHIVE}/pm2.tgz'; fi
npm install --global --prefix /usr/local --no-audit --no-fund --loglevel=error $wanted
"""


def component(ctx: Context) -> Component:
    """Node from apt; npm and PM2 from the host's archive, or where there is none from outside."""
    return Component(
        "node",
        (
            Package("nodejs"),
            Ensure("npm", "command -v npm", INSTALL_NPM),
            Ensure(
                f"pm2 {PM2_MAJOR}",
                f'grep -q \'"version": "{PM2_MAJOR}\\.\' {MODULES}/pm2/package.json '
                "&& test -x /usr/local/bin/pm2",
                INSTALL_PM2,
            ),
        ),
        after=("host",),
    )
