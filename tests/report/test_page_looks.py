"""How the page looks, wide and narrow, light, dark and on paper, and to those who listen to it."""

from itertools import pairwise

import pytest

WIDE, NARROW = 1280, 375

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


# --- how it looks -------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["full_page", "hostile_page"])
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
def test_every_text_stands_out_from_what_is_behind_it(browser, full_page, scheme, width):
    browser.open(full_page, width, scheme=scheme)
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


def test_paper_shows_everything_and_the_screen_is_as_it_was(browser, full_page):
    browser.open(full_page, WIDE)
    opened = "document.querySelectorAll('details[open]').length"
    total = browser.js("document.querySelectorAll('details').length")
    before = browser.js(opened)
    browser.js(f"addEventListener('beforeprint', () => globalThis.onPaper = {opened})")
    browser.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
    assert browser.js("onPaper") == total > before
    assert browser.js(opened) == before


# --- for those who listen to it -----------------------------------------------------------------


def test_headings_go_down_one_level_at_a_time(browser, full_page):
    browser.open(full_page, WIDE)
    levels = browser.js(
        "[...document.querySelectorAll('h1,h2,h3,h4,h5')].map(each => +each.tagName[1])"
    )
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_tables_keep_their_headers_at_any_width(browser, full_page, width):
    browser.open(full_page, width)
    browser.js("document.querySelectorAll('details').forEach(each => each.open = true)")
    roles = [
        node["role"]["value"]
        for node in browser.call("Accessibility.getFullAXTree")["nodes"]
        if not node["ignored"]
    ]
    assert roles.count("columnheader") > 100
    assert roles.count("rowheader") > 370
    assert browser.js("document.querySelectorAll('th:not([scope])').length") == 0


def test_everything_that_can_be_used_has_a_name(browser, full_page):
    browser.open(full_page, WIDE)
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
