"""Document S's own procedures as drills: deploy to the other colour, go back at once, or fully.

They use the host's own scripts, as an operator does; afterwards both colours run what they ran.
"""

from chaos.faults.base import BEFORE, Fault

SCRIPTS = "/opt/connect/scripts"

VERSION = "0.0.0-drill"
"""What the release of a drill calls itself; removed with it."""

RECORDS = f"/opt/connect/state/deployments/*-{VERSION}*.txt"
"""The checklists of its deployment, as far as they were ticked."""

FUNCTIONS = f"""
package=/var/lib/connect-infra/drill-release.tar.gz
images=/opt/connect/images
served() {{
  curl -fsS --max-time 5 --insecure https://localhost/api/health | jq -r .version
}}
drilled() {{ test "$(served)" = {VERSION}; }}
"""

# The stand-in's own package under another version: a release that differs in nothing else.
PACKAGE = f"""{FUNCTIONS}
work=$(mktemp -d)
tar -xzf "$(ls /opt/connect/build/connect/connect-*.tar.gz | head -1)" -C "$work"
echo {VERSION} > "$work/VERSION"
tar -czf "$package" -C "$work" .
rm -rf "$work"
"""

DEPLOY = f'{SCRIPTS}/deploy.sh "$package"\n'

GONE = f"""{FUNCTIONS}
test -e "$package" || exit 0
if drilled; then {SCRIPTS}/rollback.sh || {SCRIPTS}/rollback-full.sh previous; fi
if drilled; then exit 1; fi
{SCRIPTS}/confirm.sh
sed -i '/^{VERSION}$/d' /opt/connect/state/history
docker tag "connect:$(served)" connect:latest
docker image rm --force connect:{VERSION} || true
rm -f "$images/connect-{VERSION}.tar.gz" "$package" {RECORDS}
"""

NOT_SERVED = f'{FUNCTIONS}test ! -e "$package" && ! drilled\n'


def blue_green_deploy(number: int) -> Fault:
    """Deploy a release with another version to the colour that does not serve, and switch."""
    served = f"{FUNCTIONS}ls {RECORDS} >/dev/null\ndrilled\n"
    return Fault(PACKAGE, FUNCTIONS + DEPLOY, served, GONE, NOT_SERVED, version=VERSION)


def instant_roll_back(number: int) -> Fault:
    """Switch back to the colour that was left behind."""
    return Fault(
        PACKAGE + DEPLOY, f"{SCRIPTS}/rollback.sh", f"{FUNCTIONS}! drilled\n", GONE, NOT_SERVED,
        version=BEFORE,
    )  # fmt: skip


def full_roll_back(number: int) -> Fault:
    """Both colours run the bad release; the one of before is loaded from its saved image."""
    return Fault(
        PACKAGE + DEPLOY + f"{SCRIPTS}/confirm.sh\n", f"{SCRIPTS}/rollback-full.sh previous",
        f"{FUNCTIONS}! drilled\n", GONE, NOT_SERVED, version=BEFORE,
    )  # fmt: skip
