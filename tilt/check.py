"""Send a command to each running context and read back its effect.

The commands are those of `helm test`, from helm/context/contexts.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from google.protobuf.json_format import ParseDict
from intent.client import IntentClient
from intent.contracts import Registry
from intent.dev import DevState

FACTS = Path(__file__).parents[1] / "helm" / "context" / "contexts"
TENANT = "tilt-check"
LONGEST = 120.0


def main() -> int:
    """Return 0 when every context answered, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with the state of the running contexts"
    )
    parser.add_argument("contexts", nargs="+")
    arguments = parser.parse_args()
    state = DevState.read(arguments.data)
    if state is None:
        sys.stderr.write(f"no contexts run from {arguments.data}\n")
        return 1
    for name in arguments.contexts:
        position = asyncio.run(_check(name, state.contexts[name].target))
        sys.stdout.write(f"{name} executed its command, at position {position}, and shows the effect\n")
        sys.stdout.flush()
    return 0


async def _check(name: str, target: str) -> int:
    """Return the position of the last command."""
    registry, test = Registry.load(), _test(name)
    async with IntentClient.connect(target, tenant=TENANT, registry=registry, timeout=LONGEST) as client:
        for command in test["commands"]:
            contract = registry.commands[command["type"]]
            result = await client.execute(ParseDict(command["body"], contract.message()))
        asked = registry.queries[test["query"]["type"]]
        question = ParseDict(test["query"]["body"], asked.message())
        await client.query(question, asked.response, min_position=result.position)
        return result.position


def _test(name: str) -> dict[str, Any]:
    facts = (FACTS / f"{name}.yaml").read_text().replace("$id", f"tilt-{uuid4().hex[:12]}")
    test: dict[str, Any] = yaml.safe_load(facts)["test"]
    return test


if __name__ == "__main__":
    sys.exit(main())
