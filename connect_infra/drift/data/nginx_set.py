"""On the host: nginx_set.py FILE ID KEY EXPECTED VALUE puts another value into nginx' files.

KEY is a control's path (`server > location /api/ > proxy_pass`); without a VALUE the directive goes.
"""

import re
import shlex
import sys

path, control, key, expected, value = sys.argv[1:]
*blocks, last = key.split(" > ")
name, _, argument = last.rstrip("]").partition("[")
site = "443" if "site443" in control else "80"
lines = open(path, encoding="utf-8").read().splitlines()


def fits(line, inside):
    """Whether a line is the directive at the path."""
    words = line.strip().rstrip(";").split(None, 2)
    if inside != blocks or words[:1] != [name]:
        return False
    return not argument or words[1] == argument or f"zone={argument}:" in line


inside, server, found = [], "", []
for number, line in enumerate(lines):
    text = line.strip()
    if text.endswith("{"):
        inside.append(text.rstrip("{ "))
        server = "" if inside == ["server"] else server
    elif text == "}":
        inside.pop()
    elif inside == ["server"] and text.startswith("listen ") and not server:
        server = re.search(r"(\d+)[ ;]", text)[1]
    if fits(line, inside) and (server == site or not inside[:1] == ["server"]):
        found.append(number)
if len(found) > 1:
    wanted = [shlex.split(expected), expected.split()]
    found = [n for n in found if lines[n].strip().rstrip(";").split()[1:] in wanted]
if len(found) != 1:
    sys.exit(f"{len(found)} lines of {path} are {key}")
keyed = argument and name in ("add_header", "proxy_set_header", "log_format")
start = f"{name} {argument} " if keyed else f"{name} "
lines[found[0] : found[0] + 1] = [f"    {start}{value};"] if value else []
open(path, "w", encoding="utf-8").write("\n".join(lines) + "\n")
