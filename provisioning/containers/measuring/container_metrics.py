#!/usr/bin/python3
"""CPU and memory of every container, from the engine's own socket, as a text file for Prometheus.

Runs on the host as root, so that nothing in a container needs the engine's socket. Writes the file
that is named as its argument every 15 s, whole or not at all.
"""

import http.client
import json
import os
import socket
import sys
import time
from typing import Any

SOCKET = "/var/run/docker.sock"
PAUSE = 15.0

HELP = {
    "container_cpu_seconds_total": ("counter", "Processor time that the container has taken."),
    "container_memory_bytes": ("gauge", "Memory that it holds, without what can be dropped."),
    "container_memory_limit_bytes": ("gauge", "Memory that it may take."),
}


class Engine(http.client.HTTPConnection):
    """The engine's API, over its socket."""

    def connect(self) -> None:
        """Open the socket instead of a TCP connection."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)


def ask(path: str) -> Any:
    """One answer of the engine; OSError when there is none."""
    engine = Engine("localhost", timeout=10)
    try:
        engine.request("GET", path)
        answer = engine.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise OSError(f"{path}: {answer.status}")
        return json.loads(text)
    finally:
        engine.close()


def measured(stats: dict[str, Any]) -> dict[str, float]:
    """The values of one container, by metric; of one that has just ended there are none."""
    memory, cpu = stats.get("memory_stats", {}), stats.get("cpu_stats", {})
    if "usage" not in memory:
        return {}
    droppable = memory.get("stats", {})
    cache = droppable.get("total_inactive_file", droppable.get("inactive_file", 0))
    return {
        "container_cpu_seconds_total": cpu["cpu_usage"]["total_usage"] / 1e9,
        "container_memory_bytes": memory["usage"] - cache,
        "container_memory_limit_bytes": memory["limit"],
    }


def page() -> str:
    """All containers, in Prometheus' text format."""
    found = {
        one["Names"][0].strip("/"): measured(
            ask(f"/containers/{one['Id']}/stats?stream=false&one-shot=true")
        )
        for one in ask("/containers/json")
    }
    lines = []
    for metric, (kind, text) in HELP.items():
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} {kind}"]
        lines += [
            f'{metric}{{name="{name}"}} {values[metric]}'
            for name, values in sorted(found.items())
            if metric in values
        ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Write, wait, and again; what the engine did not answer is left out once."""
    path = sys.argv[1]
    while True:
        try:
            text = page()
            with open(path + ".new", "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(path + ".new", 0o644)
            os.replace(path + ".new", path)
        except (OSError, ValueError, KeyError) as problem:
            print(f"not measured: {problem}", file=sys.stderr, flush=True)
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
