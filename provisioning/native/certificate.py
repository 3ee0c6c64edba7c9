"""The TLS certificate: on a lab host from the lab's authority, on a server from Let's Encrypt."""

import posixpath

from connect_infra.lab import authority
from connect_infra.targets.lab import state_dir
from provisioning.component import Component, Context
from provisioning.resources import Directory, Ensure, File, Resource

LETSENCRYPT = "/etc/letsencrypt"


def component(ctx: Context) -> Component:
    """The documented files; on a server their absence is an error with what to do about it."""
    chain = ctx.expected("nginx.site443.ssl_certificate")
    key = ctx.expected("nginx.site443.ssl_certificate_key")
    return Component(
        "certificate",
        _from_the_lab(ctx, chain, key) if ctx.target.lab else (_from_outside(ctx, chain, key),),
        after=("layout",),
    )


def _from_the_lab(ctx: Context, chain: str, key: str) -> tuple[Resource, ...]:
    issued = authority.issue(state_dir().absolute(), ctx.target.domain)
    home = posixpath.dirname(chain)
    return (
        Directory(LETSENCRYPT),
        Directory(posixpath.dirname(home), 0o700),
        Directory(home),
        File(f"{home}/cert.pem", issued.leaf),
        File(chain, issued.chain),
        File(key, issued.key, 0o600, secret=True),
    )


def _from_outside(ctx: Context, chain: str, key: str) -> Resource:
    domain = ctx.target.domain
    how = f"certbot certonly --standalone -d {domain} -d www.{domain}"
    return Ensure(
        f"certificate of {domain}",
        f"test -s {chain} && test -s {key}",
        f"echo 'there is none; nothing but its owner can get one: run {how}'; exit 1",
    )
