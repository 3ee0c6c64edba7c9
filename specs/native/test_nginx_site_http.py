"""Architecture v2.0, 3.5: the site on port 80, which sends everybody to HTTPS."""

import shlex

import pytest

from connect_infra.facts import nginx

WORDS = {"words", "set"}
PORT = 80
TEST_PATH = "/connect-infra?a=b&c=%20d"


@pytest.mark.controls(component="nginx-site-http")
def test_the_site_has(control, facts, found):
    path = control.key.removeprefix("server > ")
    quoted = control.control.type in WORDS
    texts = [
        shlex.join(arguments) if quoted else " ".join(arguments)
        for arguments in nginx.values(facts.nginx.server(str(PORT)), path)
    ]
    assert control.value in [control.parse(text) for text in found(texts)]


@pytest.mark.controls(component="nginx-site-http")
def test_the_running_workers_have_read_it(control, facts, found):
    late = found(facts.nginx.unloaded_files)
    assert late == (), "nginx runs with older files than those on disk: reload it"


@pytest.mark.controls("nginx.site80.listen4", "nginx.site80.listen6")
def test_nginx_listens_on_every_address(control, facts, found):
    address = "::" if control.id.endswith("6") else "0.0.0.0"
    sockets = {one.address: one for one in facts.host.listeners(PORT)}
    assert address in found(set(sockets))
    assert {name for name, _ in sockets[address].processes} == {"nginx"}


@pytest.mark.controls("nginx.site80[/].return", "nginx.site80.server_name")
def test_every_name_is_sent_to_https(control, site, found):
    for name in (site.domain, f"www.{site.domain}"):
        answer = site.ask(TEST_PATH, port=PORT, headers={"Host": name})
        got = f"{answer.status} {answer.one('location')}"
        assert found(got) == f"301 https://{site.domain}{TEST_PATH}"


@pytest.mark.controls("nginx.site80[/].return")
def test_the_redirect_has_the_security_headers(control, site, expectations, found):
    answer = site.ask(TEST_PATH, port=PORT)
    documented = {
        name.partition("[")[2].rstrip("]"): one.value[0]
        for name, one in expectations.items()
        if name.startswith("nginx.site443.add_header[")
    }
    # Without TLS a server must not send it (RFC 6797, 7.2).
    del documented["Strict-Transport-Security"]
    wrong = [name for name, value in documented.items() if answer.all(name) != (value,)]
    assert found(wrong) == [], "missing, or not once"


@pytest.mark.controls("nginx.site80[/.well-known/acme-challenge/].root")
def test_the_challenge_of_the_authority_is_not_redirected(control, site, found):
    answer = site.ask("/.well-known/acme-challenge/connect-infra", port=PORT)
    assert found(answer.status) == 404, "no file of that name is there, and no redirect either"
