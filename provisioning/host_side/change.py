"""Changing one component, in an order that can be killed at any point."""

import base64
import os
import shutil

from provisioning.host_side import home
from provisioning.host_side.commands import Json, Refused, must_shell
from provisioning.host_side.effect import run_again, take_effect
from provisioning.host_side.files import ids, link, write
from provisioning.host_side.home import in_words
from provisioning.host_side.making import MAKERS, all_ensured
from provisioning.host_side.memory import begin, finish, keep, restore
from provisioning.host_side.way_in import arm, take_back


def change(request: Json) -> Json:
    """Bring one component to its desired state; what a way in needs stays to be proven."""
    begin(request)
    resources, changed = request["resources"], set(request["changed"])
    todo = [resource for name, resource in resources.items() if name in changed]
    ensures = [resource for resource in todo if resource["kind"] == "ensure"]
    for resource in todo:
        if resource["kind"] in MAKERS:
            MAKERS[resource["kind"]](resource)
    files = [resource for resource in todo if resource["kind"] in ("file", "symlink")]
    try:
        if request["paths"]:
            stage_and_validate(request)
        if request["way_in"]:
            arm(request)
        put_in_place(request, files)
        take_effect(request, todo)
        if request["way_in"]:
            all_ensured(ensures)
    except OSError as problem:
        raise undone(request, Refused("write on the host", in_words(problem))) from problem
    except Refused as refusal:
        raise undone(request, refusal) from refusal
    if not request["way_in"]:
        finish(request)
        all_ensured(ensures)
    return {"done": True}


def stage_and_validate(request: Json) -> None:
    """Lay out all the component's files under $STAGE and let the service's checker judge them."""
    stage = os.path.join(home.STAGED, request["name"])
    shutil.rmtree(stage, ignore_errors=True)
    try:
        for resource in request["resources"].values():
            if resource["kind"] == "file":
                path = stage + resource["path"]
                os.makedirs(os.path.dirname(path), exist_ok=True)
                content = base64.b64decode(resource["content"])
                write(path, content, resource["mode"], *ids(resource))
        if request["validate"]:
            must_shell("validate the new files", request["validate"], {"STAGE": stage})
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def put_in_place(request: Json, files: list[Json]) -> None:
    """Keep what is there, then rename the new ones over it."""
    for resource in files:
        keep(request["name"], resource["path"])
        if resource["kind"] == "symlink":
            link(resource["path"], resource["target"])
        else:
            content = base64.b64decode(resource["content"])
            write(resource["path"], content, resource["mode"], *ids(resource))


def undone(request: Json, refusal: Refused) -> Refused:
    """Put the old files back and let the service run with them; the refusal then says so."""
    taken_back = request["way_in"] and take_back(request["name"])
    if taken_back or put_back(request):
        refusal.state = "what was there before is in use again"
        finish(request)
    else:
        refusal.state = "the old files are back, but the service does not work with them either"
    return refusal


def put_back(request: Json) -> bool:
    """Restore every kept file; returns whether the service works with them."""
    index = restore(request["name"]) if request["paths"] else {}
    if not index or not request["activation"]:
        return True
    return run_again(request["activation"]["unit"], request["verify"])
