"""Faults of settings: wrong files, a certificate that has ended, a queue without memory."""

import shlex

from chaos.faults.base import Fault


def replace_file(number: int, path: str, content: str, then: str, undone: str) -> Fault:
    """Put another content into a file and run `then`; afterwards the old file and `undone`."""
    kept = _kept(number)
    return Fault(
        prepare=f"cp -a --dereference {path} {kept}",
        inject=f"printf '%b' {shlex.quote(content)} > {path}\n{then}",
        happened=f"! cmp -s {path} {kept}",
        undo=f"test -e {kept} || exit 0\ncat {kept} > {path}\n{undone}\nrm -f {kept}",
        healed=f"test ! -e {kept}",
    )


def certificate_expired(number: int, site: str) -> Fault:
    """Give nginx a certificate, of its own key, that ended yesterday."""
    kept = _kept(number)
    paths = f"""
chain=$(sed -n 's/^ *ssl_certificate \\(.*\\);/\\1/p' {site} | head -1)
key=$(sed -n 's/^ *ssl_certificate_key \\(.*\\);/\\1/p' {site} | head -1)
"""
    return Fault(
        prepare=f'{paths}cp -a --dereference "$chain" {kept}',
        inject=f"""{paths}
openssl req -new -key "$key" -subj /CN=drill > $drill/request-{number}
openssl x509 -req -in $drill/request-{number} -signkey "$key" -days -1 > "$chain" 2>/dev/null
systemctl reload nginx.service
""",
        happened=f'{paths}! openssl x509 -in "$chain" -noout -checkend 0 >/dev/null',
        undo=f"""test -e {kept} || exit 0
{paths}
cat {kept} > "$chain"
systemctl reload nginx.service
rm -f {kept}
""",
        healed=f'{paths}test ! -e {kept} && openssl x509 -in "$chain" -noout -checkend 0',
    )


def redis_full(number: int, port: int, config: str) -> Fault:
    """Give Redis half of the memory that it uses now: it refuses whatever needs more."""
    cli = f"REDISCLI_AUTH=$(sed -n 's/^requirepass //p' {config}) redis-cli -p {port}"
    used = f"{cli} INFO memory | sed -n 's/^used_memory:\\([0-9]*\\).*/\\1/p'"
    limit = f"{cli} CONFIG GET maxmemory | tail -1"
    documented = f"sed -n 's/^maxmemory //p' {config}"
    return Fault(
        inject=f"{cli} CONFIG SET maxmemory $(($({used}) / 2)) | grep -q OK",
        happened=f'test "$({used})" -ge "$({limit})"',
        undo=f'{cli} CONFIG SET maxmemory "$({documented})" | grep -q OK',
        healed=f'test "$({used})" -lt "$({limit})"',
    )


def _kept(number: int) -> str:
    """Where the drill of that number keeps what it replaces, on the host."""
    return f"/var/lib/connect-infra/drill-kept-{number}"
