"""Whether the site answers at all, before users are sent to it."""

import http.client
import json
import ssl

from connect_infra.errors import ConnectInfraError, LoadError
from connect_infra.targets import Target
from connect_infra.web import Site


def require_answer(target: Target) -> None:
    """LoadError unless the site answers as healthy, over TLS, under its own name."""
    try:
        answer = Site(target).ask("/api/health")
    except ssl.SSLCertVerificationError as problem:
        found = f"a certificate that is refused: {problem.verify_message}"
    except ssl.SSLError as problem:
        found = f"TLS that fails: {problem.reason}"
    except ConnectInfraError as problem:
        found = f"no connection: {problem.found}"
    except (OSError, http.client.HTTPException) as problem:
        found = str(problem) or type(problem).__name__
    else:
        if answer.status == 200:
            return
        found = f"status {answer.status}"
    raise LoadError(
        expected="a healthy answer to /api/health",
        found=found,
        where=f"https://{target.domain}, {target.host}",
        remedy="see that the site runs there under that name: connect-infra verify",
    )


def queue_depth(target: Target) -> tuple[int, int]:
    """Jobs that are not finished, and jobs that were given up; LoadError when it won't say."""
    try:
        found = json.loads(Site(target).ask("/api/jobs").body)
        return int(found["unfinished"]), int(found["dead"])
    except (ConnectInfraError, OSError, http.client.HTTPException, ValueError, KeyError) as problem:
        raise LoadError(
            expected="the depth of the queue",
            found=str(problem) or type(problem).__name__,
            where=f"https://{target.domain}/api/jobs",
            remedy="see that the site and its queue run",
        ) from problem
