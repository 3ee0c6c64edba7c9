"""What Connect's users do: the request of each action, and what its answer must hold."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args
from urllib.parse import quote

from loadtests.exchange import Answer, Check, Request
from loadtests.profile import ActionName

PROGRAMS, ORGANIZATIONS, USERS = 100_000, 10_000, 10_000
"""The amounts of data that the stand-in release's seed makes (A 1.2 has 100,000+ programs)."""

HOT_ORGANIZATIONS = 200
"""How many organizations the hot matches are about."""

BROWSED_PAGES = 50
"""How far into the list of programs people leaf."""

TOPICS = [
    "Battery",
    "Robotics",
    "Hydrogen",
    "Mobility",
    "Fintech",
    "Farming",
    "Space",
    "Software",
    "Tourism",
    "Solar",
]
KINDS = ["Grant", "Loan", "Voucher", "Fellowship", "Guarantee", "Prize", "Subsidy"]

PICTURE_BYTES = 20_000
BOUNDARY = "----connect-infra-picture"

BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept-Language": "ko,en;q=0.7",
    "Accept-Encoding": "gzip",
}
PAGE = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
DATA = {"Accept": "application/json"}


@dataclass(frozen=True)
class Visitor:
    """What a request may depend on: chance, a session from earlier, the accounts' password."""

    chance: random.Random
    password: str
    token: str = ""


def home(who: Visitor) -> Request:
    """The home page; a nonce in it shows that the answer is to this request."""
    nonce = f"{who.chance.getrandbits(48):012x}"
    wanted = f'<meta name="nonce" content="{nonce}">'.encode()
    return Request(f"/?nonce={nonce}", lambda it: wanted in it.content(), headers=PAGE)


def programs(who: Visitor) -> Request:
    """A page of the list of all programs."""
    page = who.chance.randint(1, BROWSED_PAGES)
    wanted = f"programs, page {page} of ".encode()

    def right(it: Answer) -> bool:
        return wanted in it.content() and it.content().count(b"<tr>") == 21

    return Request(f"/programs?page={page}", right, headers=PAGE)


def search(who: Visitor) -> Request:
    """Programs with two words; every one that is found has both."""
    words = [who.chance.choice(TOPICS), who.chance.choice(KINDS)]

    def right(it: Answer) -> bool:
        titles = [found["title"] for found in it.json()["programs"]]
        return bool(titles) and all(word in title for word in words for title in titles)

    return Request(f"/api/programs?query={quote(' '.join(words))}", right, headers=DATA)


def program(who: Visitor) -> Request:
    """One program."""
    wanted = who.chance.randint(1, PROGRAMS)
    return Request(f"/api/programs/{wanted}", lambda it: it.json()["id"] == wanted, headers=DATA)


def matches_hot(who: Visitor) -> Request:
    """Matches of an organization that many look at: from the cache, after the first time."""
    return _matches(who.chance.randint(1, HOT_ORGANIZATIONS))


def matches_cold(who: Visitor) -> Request:
    """Matches of any organization: mostly from the database."""
    return _matches(who.chance.randint(1, ORGANIZATIONS))


def _matches(organization: int) -> Request:
    def right(it: Answer) -> bool:
        found = it.json()
        scores = [match["score"] for match in found["matches"]]
        own = int(found["organizationId"]) == organization
        return own and len(scores) >= 10 and scores == sorted(scores, reverse=True)

    return Request(f"/api/matches?organizationId={organization}", right, headers=DATA)


def stylesheet(_: Visitor) -> Request:
    """The pages' style sheet."""
    wanted = {"Accept": "text/css,*/*;q=0.1"}
    return Request("/_next/static/app.css", lambda it: b"{" in it.content(), headers=wanted)


def script(_: Visitor) -> Request:
    """The pages' script."""
    return Request("/_next/static/app.js", lambda it: b"use strict" in it.content())


def picture(_: Visitor) -> Request:
    """Something that a user has uploaded."""
    wanted = {"Accept": "image/avif,image/webp,image/png,*/*"}
    return Request(
        "/uploads/connect-infra.png", lambda it: it.body.startswith(b"\x89PNG"), headers=wanted
    )


def login(who: Visitor) -> Request:
    """One of the seeded users logs in; the answer is a token."""
    user = f"user-{who.chance.randint(1, USERS)}@example.com"
    return _posted(
        "/api/login",
        {"user": user, "password": who.password},
        200,
        lambda it: it.json()["token"].count(".") == 2,
    )


def upload(who: Visitor) -> Request:
    """A picture, sent as a browser's form sends it by somebody who has logged in."""
    head = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=file; filename=load.png\r\n"
        "Content-Type: image/png\r\n\r\n"
    )
    body = head.encode() + who.chance.randbytes(PICTURE_BYTES) + f"\r\n--{BOUNDARY}--\r\n".encode()
    return Request(
        "/upload",
        lambda it: it.json()["url"].startswith("/uploads/"),
        "POST",
        {
            "Authorization": f"Bearer {who.token}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        },
        body,
        201,
    )


def scrape(who: Visitor) -> Request:
    """An agency's scrape is put on the queue."""
    payload = {"agency": f"Agency {who.chance.randint(1, 500)}", "ms": 20}
    return _posted("/api/scrapes", payload, 202, lambda it: bool(it.json()["id"]))


def health(who: Visitor) -> Request:
    """The application's health, with a nonce."""
    nonce = f"{who.chance.getrandbits(48):012x}"

    def right(it: Answer) -> bool:
        return bool(it.json()["status"] == "healthy" and it.json()["nonce"] == nonce)

    return Request(f"/api/health?nonce={nonce}", right, headers=DATA)


def _posted(path: str, payload: Mapping[str, object], status: int, check: Check) -> Request:
    headers = {**DATA, "Content-Type": "application/json"}
    return Request(path, check, "POST", headers, json.dumps(payload).encode(), status)


ACTIONS: Mapping[str, Callable[[Visitor], Request]] = {
    name: globals()[name] for name in get_args(ActionName)
}
"""How each action of a mix is asked for."""

LIMITED = frozenset({"search", "program", "matches_hot", "matches_cold", "login", "scrape"})
"""Actions below /api/, which nginx limits for each client address (A 3.5)."""
