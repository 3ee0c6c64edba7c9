"""On the host: `nginx_set FILE ID KEY EXPECTED VALUE` puts another value into a file of nginx.

KEY is a control's path (`server > location /api/ > proxy_pass`); with an empty VALUE the directive
goes. Where several lines are at the path, it is the one that has what is EXPECTED.
"""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

KEYED = ("add_header", "proxy_set_header", "log_format")
"""Directives whose first argument belongs to their name."""


def main(path: str, control: str, key: str, expected: str, value: str) -> None:
    """Change one line; end with a message when there is no such line."""
    *blocks, last = key.split(" > ")
    name, _, argument = last.rstrip("]").partition("[")
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    found = [
        number
        for number, inside in _places(lines, "443" if "site443" in control else "80")
        if inside == blocks and _fits(lines[number], name, argument)
    ]
    if len(found) > 1:
        wanted = [shlex.split(expected), expected.split()]
        found = [n for n in found if lines[n].strip().rstrip(";").split()[1:] in wanted]
    if len(found) != 1:
        sys.exit(f"{len(found)} lines of {path} are {key}")
    start = f"{name} {argument}" if argument and name in KEYED else name
    lines[found[0] : found[0] + 1] = [f"    {start} {value};"] if value else []
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _places(lines: list[str], port: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each line's number and the blocks that it is in, without those of other servers."""
    inside: list[str] = []
    server = ""
    for number, line in enumerate(lines):
        text = line.strip()
        if text.endswith("{"):
            inside.append(text.rstrip("{ "))
            server = "" if inside == ["server"] else server
        elif text == "}":
            inside.pop()
        elif inside == ["server"] and not server:
            listens = re.match(r"listen (?:\S*:)?(\d+)", text)
            server = listens[1] if listens else ""
        if inside[:1] != ["server"] or server == port:
            yield number, list(inside)


def _fits(line: str, name: str, argument: str) -> bool:
    words = line.strip().rstrip(";").split(None, 2)
    if words[:1] != [name]:
        return False
    return not argument or words[1:2] == [argument] or f"zone={argument}:" in line


main(*sys.argv[1:])
