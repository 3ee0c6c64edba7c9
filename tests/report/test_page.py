"""What the page says, and finding it: in Debian's chromium, as a person does."""

import json

import pytest

WIDE, NARROW = 1280, 375


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


@pytest.mark.parametrize("which", ["page", "full_page", "hostile_page"])
def test_it_loads_nothing_and_complains_of_nothing(browser, which, request):
    path = request.getfixturevalue(which)
    browser.open(path, WIDE)
    assert browser.requests == [path.as_uri()]
    assert browser.complaints == []
    assert browser.js("document.scripts.length") == 1
    assert browser.js("document.images.length") == 0
    assert browser.js("document.title") == browser.js("document.querySelector('h1').innerText")


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


def test_a_run_without_trouble_has_no_section_of_trouble(browser, fine, write_page, tmp_path):
    browser.open(write_page(tmp_path, fine), WIDE)
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
    # One cause, and as many troubles as there are sets of errata that explain it.
    told = [line for each in down for line in each.splitlines() if line.startswith("Errat")]
    assert len(down) == len(set(told)) + any("Errat" not in each for each in down)
    for name in ("redis-queue.maxmemory", "redis-queue.appendonly"):
        assert sum(name in each.split() for each in down) == 1


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


def test_several_proofs_stand_side_by_side_under_the_worst_verdict(browser, full_page):
    browser.open(full_page, WIDE)
    assert browser.js("document.querySelector('h1').innerText") == (
        "Does not hold: verification, drift, coverage and load (documented)"
    )
    parts = browser.js("[...document.querySelectorAll('.parts li')].map(each => each.innerText)")
    assert [part.split(chr(10))[0] for part in parts] == [
        *("Verification does not hold", "Drift does not hold", "Coverage does not hold"),
        *("Load (documented) does not hold", "Drills not known"),
    ]
    tops = browser.js(
        "[...document.querySelectorAll('.parts li')].map(each => each.getBoundingClientRect().top)"
    )
    assert len(set(tops)) <= 2


def test_a_control_shows_what_became_of_its_drifts(browser, full_page):
    browser.open(full_page, WIDE)
    row = "document.getElementById('redis-cache.{}').innerText"
    assert "survived" in browser.js(row.format("maxmemory-policy"))
    assert "killed" in browser.js(row.format("timeout"))


def test_drifts_can_be_searched_apart_from_controls(browser, full_page):
    browser.open(full_page, WIDE)
    click(browser, "#drifts [name=status][value=void]")
    rows = "[...document.querySelectorAll('#drifts tr[data-status]')]"
    visible = f"{rows}.filter(row => row.checkVisibility()).map(row => row.innerText)"
    (only,) = browser.js(visible)
    assert "the host still shows 4MB" in only
    assert browser.js("document.querySelector('#controls output').innerText") == ""


def test_what_is_not_covered_stands_first(browser, full_page):
    browser.open(full_page, WIDE)
    table = browser.js("document.querySelector('#coverage table').innerText")
    assert "capacity.database_records" in table
    assert "no load profile" in table
    assert "\tcovered" not in table


def test_a_load_run_is_drawn_with_its_objectives(browser, full_page):
    browser.open(full_page, WIDE)
    text = browser.js("document.querySelector('#load-1').innerText")
    for part in ("error_rate", "at most 0 %", "0.036 %", "The knee", "503 of /api/auth/login"):
        assert part in text
    labels = browser.js(
        "[...document.querySelectorAll('#load-1 svg.plot')].map(e => e.getAttribute('aria-label'))"
    )
    assert "Latency from the intended start: p50, p95, p99" in labels
    assert "Latency by percentile: latency" in labels
    lines = "[...document.querySelectorAll('#load-1 .stretched')]"
    assert browser.js(f"Math.min(...{lines}.map(e => e.getBoundingClientRect().width))") > 300


def test_a_drill_shows_its_probes_events_and_ledger(browser, full_page):
    browser.open(full_page, WIDE)
    drill = "document.querySelector('#drill-postgres-killed')"
    text = browser.js(f"{drill}.innerText")
    for part in (
        "233 probes every 50 ms: 120 ok, 40 bad, 73 void",
        "rto_writes",
        "the fault is there",
    ):
        assert part in text
    assert browser.js(f"{drill}.querySelectorAll('.strip').length") == 3
    assert browser.js(f"{drill}.querySelectorAll('.slot.bad').length") > 3


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
