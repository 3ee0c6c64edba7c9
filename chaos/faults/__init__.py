"""Every kind of fault, by the name that drills give it."""

from collections.abc import Callable, Mapping

from chaos.faults import containers, images, network, procedures, processes, releases, settings
from chaos.faults.base import BEFORE, PRELUDE, Fault

Parameters = Mapping[str, str | int | float]

KINDS: Mapping[str, Callable[..., Fault]] = {
    function.__name__: function
    for function in (
        processes.kill,
        processes.freeze,
        processes.stop,
        processes.burn,
        processes.out_of_memory,
        processes.few_files,
        network.drop,
        network.squeeze,
        settings.replace_file,
        settings.certificate_expired,
        settings.redis_full,
        images.power_cut,
        images.disk_full,
        procedures.deploy,
        procedures.roll_back,
        procedures.lost_data,
        procedures.corrupt_pages,
        procedures.bad_migration,
        procedures.lost_application,
        containers.container_killed,
        containers.container_frozen,
        containers.container_stopped,
        containers.container_cut_off,
        containers.replica_lost,
        containers.patroni_without,
        containers.haproxy_reloaded,
        releases.blue_green_deploy,
        releases.instant_roll_back,
        releases.full_roll_back,
    )
}

MACHINE = ("reboot", "power")
"""Kinds that are done to the host itself."""


def make(kind: str, parameters: Parameters, number: int) -> Fault:
    """The fault of that kind; `number` tells it from others of the same drill."""
    if kind == "reboot":
        return Fault(machine="reboot")
    if kind == "power":
        return Fault(machine="power")
    return KINDS[kind](number, **parameters)


__all__ = ["BEFORE", "KINDS", "MACHINE", "PRELUDE", "Fault", "Parameters", "make"]
