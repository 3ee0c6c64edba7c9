"""The system below the services: tools, the application's user, kernel settings."""

from provisioning.component import Component, Context
from provisioning.resources import File, Group, Package, Resource, Sysctl, User

USER = "connect"
HOME = "/home/connect"

TOOLS = ("curl", "jq", "cron", "logrotate", "openssl", "netcat-openbsd")
"""What the documents' own commands and schedules call."""

OVERCOMMIT = "vm.overcommit_memory"


def component(ctx: Context) -> Component:
    """Tools, user connect, and memory overcommit as Redis asks for it.

    Redis forks to write its append-only file anew; the kernel must not refuse the fork because
    the copy could, in theory, need the memory twice. PostgreSQL's 24 GB of shared buffers need it
    on a host with less memory than documented.
    """
    resources: list[Resource] = [Package(name) for name in TOOLS]
    resources += [Group(USER), User(USER, USER, HOME, "/bin/bash")]
    if not ctx.target.lab:  # a lab host shares its kernel with the machine, which isn't ours
        resources.append(File("/etc/sysctl.d/60-connect.conf", f"{OVERCOMMIT} = 1\n".encode()))
        resources.append(Sysctl(OVERCOMMIT, "1"))
    return Component("host", tuple(resources))
