"""Pages of recorded results, and Debian's chromium to look at them: load, look, click, print.

Its DevTools protocol is JSON over a WebSocket: no library is needed beyond the socket's.
"""

import base64
import dataclasses
import itertools
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import websocket

from connect_infra.report import results
from connect_infra.report.page import html, inputs

DATA = Path(__file__).parent / "data"
"""Results of real runs; load.json and drift.json are made up, to have everything there can be."""

HOSTILE = '"><img src=x onerror="document.title=1"><script>document.title=2</script>' + "x" * 3000

FREE = ("drift", "found", "title", "text", "why", "note", "source", "meaning", "started", "detail")
"""Keys of results whose text comes from a host or a person."""

PROGRAM = "chromium"
START_SECONDS = 60
ANSWER_SECONDS = 60


class Browser:
    """One headless chromium with one page; network requests are noted as they are sent."""

    def __init__(self, directory: Path) -> None:
        if shutil.which(PROGRAM) is None:
            raise AssertionError(f"expected {PROGRAM} on the PATH, found none; run: make browser")
        self._session: str | None = None
        self._socket: websocket.WebSocket | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        """Errors and refusals (such as the content security policy's) since the last `open`."""
        self._numbers = itertools.count(1)
        self._log = (directory / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            [
                PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--no-first-run", "--no-default-browser-check", "--disable-extensions",
                "--remote-debugging-port=0", "--remote-allow-origins=http://127.0.0.1",
                f"--user-data-dir={directory / 'profile'}", "about:blank",
            ],
            stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            self._socket = self._connected(directory / "profile" / "DevToolsActivePort")
        except BaseException:
            self.close()
            raise
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def _connected(self, port_file: Path) -> websocket.WebSocket:
        deadline = START_SECONDS * 10
        for _ in range(deadline):
            if port_file.exists() and len(lines := port_file.read_text().splitlines()) == 2:
                url = f"ws://127.0.0.1:{lines[0]}{lines[1]}"
                return websocket.create_connection(
                    url, timeout=ANSWER_SECONDS, origin="http://127.0.0.1", max_size=None
                )
            try:
                self._process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            break
        raise AssertionError(f"chromium did not start; see {self._log.name}")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result; AssertionError if chromium refuses it."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        assert self._socket is not None
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv())
            self._note(answer)
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])
        if event.get("method") in {"Log.entryAdded", "Runtime.exceptionThrown"}:
            self.complaints.append(json.dumps(event["params"]))

    def js(self, expression: str) -> Any:
        """Return the value of a JavaScript expression on the page."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, path: Path, width: int, height: int = 900, scheme: str = "light") -> None:
        """Load a file in a window of that width, in the light or the dark scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        self.media("screen", scheme)
        self.requests.clear()
        self.complaints.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.js("new Promise(done => document.readyState == 'complete' ? done() "
                ": addEventListener('load', done))")  # fmt: skip

    def media(self, kind: str, scheme: str) -> None:
        """Show the page as on screen or in print, in a colour scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=kind, features=features)

    def press(self, key: str) -> None:
        """Press and release a key, such as Tab, Enter or a letter."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
        text = {"text": "\r" if key == "Enter" else key} if key not in {"Tab", "Escape"} else {}
        code = codes.get(key, ord(key[0].upper()))
        for kind in ("keyDown", "keyUp"):
            typed = text if kind == "keyDown" else {}
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **typed
            )

    def picture(self, path: Path, whole: bool = False) -> None:
        """Save what the window shows, or the whole page, as PNG."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def close(self) -> None:
        """End the browser."""
        if self._socket is not None:
            self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """One chromium for all tests of the page."""
    chromium = Browser(tmp_path_factory.mktemp("chromium"))
    yield chromium
    chromium.close()


def _write(directory, *runs):
    made = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
    path = directory / "report.html"
    path.write_text(html.page(runs, made).text, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def write_page():
    """A function that writes a page of results into a directory and returns its path."""
    return _write


@pytest.fixture(scope="session")
def recorded():
    """A function that reads recorded results by the name of their file."""
    return lambda name: inputs.load(DATA / f"{name}.json")


@pytest.fixture(scope="session")
def broken():
    return results.load(DATA / "verify_broken.json")


@pytest.fixture(scope="session")
def fine():
    return results.load(DATA / "verify_ok.json")


@pytest.fixture(scope="session")
def page(broken, tmp_path_factory):
    return _write(tmp_path_factory.mktemp("page"), broken)


@pytest.fixture(scope="session")
def full_page(tmp_path_factory):
    """A page with results of every kind."""
    files = ("verify_broken", "drift", "coverage", "load", "drill_journal")
    runs = [inputs.load(DATA / f"{name}.json") for name in files]
    return _write(tmp_path_factory.mktemp("full"), *runs)


@pytest.fixture(scope="session")
def hostile_page(broken, tmp_path_factory):
    """A page of a run whose every text wants to be markup and has no place to break."""
    first, *rest = broken.controls
    worst = dataclasses.replace(
        first, id=HOSTILE, status="fail", expected=HOSTILE, found=HOSTILE, message=HOSTILE
    )
    waived = dataclasses.replace(worst, status="waived", id="sshd.Port", message=(
        f"{HOSTILE} (waived by {HOSTILE} until 2027-01-01: {HOSTILE})"))  # fmt: skip
    run = dataclasses.replace(
        broken, target=HOSTILE, started=HOSTILE, sizing=HOSTILE, controls=(worst, waived, *rest)
    )
    others = [
        inputs.recognised(_hostile(json.loads((DATA / f"{name}.json").read_text())), DATA)
        for name in ("drift", "load", "drill_journal")
    ]
    return _write(tmp_path_factory.mktemp("hostile"), run, *others)


def _hostile(data):
    """Replace every text that is free to be anything."""
    if isinstance(data, dict):
        return {
            key: HOSTILE if key in FREE and isinstance(value, str) else _hostile(value)
            for key, value in data.items()
        }
    return [_hostile(each) for each in data] if isinstance(data, list) else data
