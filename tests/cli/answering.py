"""Start one context and print its answers to a command and then to a query.

    python -m tests.cli.answering loyalty RegisterAccount '{…}' GetAccount '{…}'

It is a separate program, because the context may be installed in another environment than the tests.
"""

from __future__ import annotations

import asyncio
import sys

from intent.dev.platform import LocalPlatform

from .running import intent


def main(context: str, *calls: str) -> int:
    """Return the exit code of the first call that fails, or 0."""
    with LocalPlatform(durable=False, keep_workflows=False) as platform:
        asyncio.run(platform.prepare(context))
        with platform.service(context) as service:
            caller = ("--target", service.target, "--tenant", "acme")
            for verb, call in (("send", calls[:2]), ("query", calls[2:])):
                done = intent(verb, *call, *caller)
                sys.stdout.write(done.out)
                sys.stderr.write(done.err)
                if done.code:
                    return done.code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
