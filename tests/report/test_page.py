"""The page as a person meets it: in Debian's chromium, wide and narrow, light and dark."""

import dataclasses
import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from connect_infra import document
from connect_infra.report import html, results

DATA = Path(__file__).parent / "data"
MADE = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
WIDE, NARROW = 1280, 375

HOSTILE = '"><img src=x onerror="document.title=1"><script>document.title=2</script>' + "x" * 3000

CONTRAST = """(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || !parent.checkVisibility() || parent.closest("script")) continue;
    const style = getComputedStyle(parent);
    const front = parse(parent.closest("svg") ? style.fill : style.color);
    const [a, b] = [light(front), light(behind(parent))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    seen += 1;
    if (ratio < 4.5) poor.push(`${parent.className} ${text} ${ratio}`);
  }
  return { seen, poor: [...new Set(poor)] };
})()"""

OVERFLOW = """(() => {
  const wide = document.documentElement.clientWidth;
  const out = [...document.querySelectorAll("body *")].filter((element) => element.checkVisibility()
    && element.getBoundingClientRect().right > wide + 1 && !element.closest(".away, .skip, thead"));
  const scroll = document.documentElement.scrollWidth - wide;
  return { scroll, out: out.map((element) => element.outerHTML.slice(0, 200)) };
})()"""


def write(directory, *runs, name="report.html"):
    path = directory / name
    path.write_text(html.page(runs, document.load(), MADE), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def broken():
    return results.load(DATA / "verify_broken.json")


@pytest.fixture(scope="module")
def fine():
    return results.load(DATA / "verify_ok.json")


@pytest.fixture(scope="module")
def page(broken, tmp_path_factory):
    return write(tmp_path_factory.mktemp("page"), broken)


@pytest.fixture(scope="module")
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
    return write(tmp_path_factory.mktemp("hostile"), run)


def shown(browser):
    """The ids of the controls that are on the screen."""
    return browser.js(
        "[...document.querySelectorAll('#controls tr[data-status]')]"
        ".filter(row => row.checkVisibility()).map(row => row.id)"
    )


def type_into_search(browser, text):
    browser.js("document.querySelector('[name=search]').focus()")
    browser.call("Input.insertText", text=text)


def click(browser, selector):
    x, y = browser.js(
        f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
        " e.scrollIntoView({block: 'center'}); const box = e.getBoundingClientRect();"
        " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
    )
    for kind in ("mousePressed", "mouseReleased"):
        browser.call(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
        )  # fmt: skip


# --- it is one file, and what it shows is text -------------------------------------------------


@pytest.mark.parametrize("which", ["page", "hostile_page"])
def test_it_loads_nothing_and_complains_of_nothing(browser, which, request):
    path = request.getfixturevalue(which)
    browser.open(path, WIDE)
    assert browser.requests == [path.as_uri()]
    assert browser.complaints == []
    assert browser.js("document.scripts.length") == 1
    assert browser.js("document.images.length") == 0
    assert browser.js("document.title").endswith("is not as documented")


def test_a_script_that_got_in_would_not_run(browser, page, tmp_path):
    doctored = page.read_text().replace(
        "</main>", "<img src='http://127.0.0.1:9/x.png'><script>document.title = 'owned'</script>"
    )
    path = tmp_path / "doctored.html"
    path.write_text(doctored)
    browser.open(path, WIDE)
    assert browser.js("document.title") == "lab is not as documented"
    assert "Content Security Policy" in " ".join(browser.complaints)


# --- what it says -------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_verdict_is_the_first_thing_on_the_screen(browser, page, width):
    browser.open(page, width, 700)
    top, bottom, text = browser.js(
        "(() => { const box = document.querySelector('h1').getBoundingClientRect();"
        " return [box.top, box.bottom, document.querySelector('h1').innerText]; })()"
    )
    assert 0 < top < bottom < 350
    assert "lab is not as documented" in text
    lead = browser.js("document.querySelector('.lead').innerText")
    assert lead == (
        "Of 370 controls, 17 fail and 13 could not be observed; "
        "333 pass, 1 waived and 6 not applicable to this host."
    )


def test_a_run_without_trouble_has_no_section_of_trouble(browser, fine, tmp_path):
    browser.open(write(tmp_path, fine), WIDE)
    assert "lab is as documented" in browser.js("document.querySelector('h1').innerText")
    assert browser.js("document.querySelector('.head.good') !== null")
    assert browser.js("document.querySelector('#wrong, #waivers')") is None
    assert browser.js("document.querySelectorAll('details.component[open]').length") == 0


def test_what_is_wrong_shows_expected_and_found_once_for_each_cause(browser, page):
    browser.open(page, WIDE)
    troubles = browser.js("[...document.querySelectorAll('.trouble')].map(each => each.innerText)")
    (memory,) = [each for each in troubles if "postgresql.work_mem" in each]
    assert [line for line in memory.splitlines() if line.strip()][1:] == [
        *("expected", "4MB", "found", "1GB")
    ]
    down = [each for each in troubles if "Connection refused" in each and "error" in each]
    assert len(down) == 1
    assert "redis-queue.maxmemory" in down[0]
    assert "redis-queue.appendonly" in down[0]


def test_every_control_is_there_with_documented_and_found(browser, page, broken):
    browser.open(page, WIDE)
    click(browser, "[name=all]")
    assert sorted(shown(browser)) == sorted(result.id for result in broken.controls)
    row = browser.js("document.getElementById('redis-cache.maxmemory').innerText")
    for part in ("pass", "E06", "15gb", "here: 960mb", "1006632960"):
        assert part in row


def test_waivers_errata_and_timings_have_their_places(browser, page):
    browser.open(page, WIDE)
    waivers = browser.js("document.querySelector('#waivers tbody').innerText")
    for part in (
        "sshd.MaxAuthTries",
        "Kim",
        "2027-03-31",
        "the backup robot still offers four keys",
    ):
        assert part in waivers
    assert browser.js("document.querySelector('#E30 h4').innerText").startswith("E30")
    assert browser.js("document.querySelector('#E13')") is None  # refuted: not in force
    assert "3.9 s in all, 25 round trips" in browser.js(
        "document.querySelector('#timings').innerText"
    )


# --- finding something --------------------------------------------------------------------------


def test_search_finds_values_names_and_errata(browser, page):
    browser.open(page, WIDE)
    type_into_search(browser, "noeviction nowhere")
    assert shown(browser) == []
    assert browser.js("document.querySelector('.nothing').checkVisibility()")
    browser.press("Escape")
    type_into_search(browser, "REDIS-cache noeviction")
    assert shown(browser) == ["redis-cache.maxmemory-policy"]
    assert browser.js("document.querySelector('.tools output').innerText") == "1 of 370 shown"
    browser.press("Escape")
    type_into_search(browser, "E06")
    assert "redis-cache.maxmemory" in shown(browser)


def test_statuses_filter_together_with_the_search(browser, page, broken):
    browser.open(page, WIDE)
    click(browser, "[name=status][value=error]")
    errors = {result.id for result in broken.controls if result.status == "error"}
    assert set(shown(browser)) == errors
    click(browser, "[name=status][value=waived]")
    assert set(shown(browser)) == errors | {"sshd.MaxAuthTries"}
    type_into_search(browser, "appendonly")
    assert shown(browser) == ["redis-queue.appendonly"]


def test_a_link_opens_what_it_leads_to_even_when_it_was_filtered_away(browser, page):
    browser.open(page, WIDE)
    type_into_search(browser, "pgbackrest")
    browser.js("location.hash = 'sshd.Port'")
    browser.js("new Promise(done => setTimeout(done, 50))")
    assert "sshd.Port" in shown(browser)
    box = "document.getElementById('sshd.Port').getBoundingClientRect()"
    assert 0 < browser.js(f"{box}.top") < 900


def test_it_can_be_used_with_the_keyboard_alone(browser, page):
    browser.open(page, WIDE)
    browser.press("Tab")
    assert browser.js("document.activeElement.className") == "skip"
    browser.press("/")
    assert browser.js("document.activeElement.name") == "search"
    for letter in "work_mem":
        browser.press(letter)
    assert "postgresql.work_mem" in shown(browser)
    browser.press("Tab")
    browser.press(" ")
    assert shown(browser) == ["postgresql.work_mem"]  # `fail` is the first box
    browser.js("document.querySelector('#component-1 summary').focus()")
    browser.js("document.querySelector('[name=search]').form.reset()")


def test_a_component_opens_with_enter(browser, page):
    browser.open(page, WIDE)
    browser.js("document.querySelector('#component-1 summary').focus()")
    assert "host.os" not in shown(browser)
    browser.press("Enter")
    assert "host.os" in shown(browser)


# --- how it looks -------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["page", "hostile_page"])
@pytest.mark.parametrize("width", [WIDE, 768, NARROW])
def test_nothing_scrolls_sideways(browser, which, width, request):
    browser.open(request.getfixturevalue(which), width)
    browser.js("document.querySelectorAll('details').forEach(each => each.open = true)")
    found = browser.js(OVERFLOW)
    assert found["out"] == []
    assert found["scroll"] <= 0


def test_a_wide_window_is_used(browser, page):
    browser.open(page, WIDE)
    nav, main = browser.js(
        "['nav', 'main'].map(each => document.querySelector(each).getBoundingClientRect())"
        ".map(box => [box.left, box.right])"
    )
    assert nav[1] < main[0]
    assert main[1] - nav[0] > 0.9 * WIDE


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(browser, page, scheme, width):
    browser.open(page, width, scheme=scheme)
    browser.js("document.querySelectorAll('details').forEach(each => each.open = true)")
    found = browser.js(CONTRAST)
    assert found["seen"] > 2000
    assert found["poor"] == []


def test_dark_is_dark_and_paper_is_white(browser, page):
    background = "getComputedStyle(document.body).backgroundColor"
    browser.open(page, WIDE, scheme="dark")
    assert browser.js(background) == "rgb(20, 23, 27)"
    browser.media("print", "dark")
    assert browser.js(background) == "rgb(255, 255, 255)"
    for gone in ("nav", ".tools"):
        assert not browser.js(f"document.querySelector('{gone}').checkVisibility()")


def test_paper_shows_everything_and_the_screen_is_as_it_was(browser, page):
    browser.open(page, WIDE)
    opened = "document.querySelectorAll('details[open]').length"
    total = browser.js("document.querySelectorAll('details').length")
    before = browser.js(opened)
    browser.js(f"addEventListener('beforeprint', () => globalThis.onPaper = {opened})")
    browser.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
    assert browser.js("onPaper") == total > before
    assert browser.js(opened) == before


# --- for those who listen to it -----------------------------------------------------------------


def test_headings_go_down_one_level_at_a_time(browser, page):
    browser.open(page, WIDE)
    levels = browser.js(
        "[...document.querySelectorAll('h1,h2,h3,h4,h5')].map(each => +each.tagName[1])"
    )
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_tables_keep_their_headers_at_any_width(browser, page, width):
    browser.open(page, width)
    browser.js("document.querySelectorAll('details').forEach(each => each.open = true)")
    roles = [
        node["role"]["value"]
        for node in browser.call("Accessibility.getFullAXTree")["nodes"]
        if not node["ignored"]
    ]
    assert roles.count("columnheader") > 100
    assert roles.count("rowheader") > 370
    assert browser.js("document.querySelectorAll('th:not([scope])').length") == 0


def test_everything_that_can_be_used_has_a_name(browser, page):
    browser.open(page, WIDE)
    browser.js("document.querySelectorAll('details').forEach(each => each.open = true)")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    usable = {"button", "link", "checkbox", "searchbox", "image", "img"}
    found = [
        (node["role"]["value"], node["name"]["value"])
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in usable
    ]
    assert {role for role, _ in found} >= {"button", "link", "checkbox", "searchbox"}
    assert [one for one in found if not one[1].strip()] == []


def test_no_status_is_told_by_colour_alone(browser, page):
    browser.open(page, WIDE)
    marks = browser.js(
        "[...document.querySelectorAll('.status')].map(each => [each.className.split(' ')[1],"
        " each.textContent, getComputedStyle(each, '::before').content])"
    )
    by_kind = {kind: mark for kind, _, mark in marks}
    assert len(set(by_kind.values())) == len(by_kind) == 5
    assert all(words.strip() for _, words, _ in marks)
