"""What the controller calls: looks, or changes one component."""

import os

from provisioning.host_side.change import change
from provisioning.host_side.commands import Json, Refused
from provisioning.host_side.home import held, in_words, release
from provisioning.host_side.looks import observe
from provisioning.host_side.making import install
from provisioning.host_side.way_in import proven, take_back


def main(request: Json) -> Json:
    """Look or change, as asked; failures come back as data, never as a traceback."""
    os.umask(0o022)
    if request["do"] == "observe":
        return observe(request)
    if request["do"] == "release":
        return release(request["lease"])
    try:
        with held(request["lease"]) as busy:
            if busy:
                return {"busy": busy}
            if request["do"] == "begin":
                return observe(request)
            if request["do"] == "packages":
                return install(request)
            if request["do"] == "proven":
                return proven(request["name"])
            if request["do"] == "take back":
                return {"back": take_back(request["name"])}
            return change(request)
    except OSError as problem:
        return failed(Refused("write on the host", in_words(problem)))
    except Refused as refusal:
        return failed(refusal)


def failed(refusal: Refused) -> Json:
    """A failure as the controller reads it."""
    words = {"step": refusal.step, "message": refusal.message, "state": refusal.state}
    return {"failed": words}
