"""Sagas on Temporal's time-skipping server, with scripted contexts."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from intent.contracts import Registry
from intent.model import BoundContext, load_context
from intent.temporal import SEARCH_ATTRIBUTES, data_converter
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from .scripted_contexts import Contexts

ROOT = str(Path(__file__).parents[2])
# The sandbox loads saga modules by their names, those of tests too.
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)


@pytest_asyncio.fixture(scope="module")
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A server whose clock jumps while nothing happens."""
    program = str(Path(sys.executable).parent / "temporal-test-server")
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=data_converter, test_server_existing_path=program
    ) as environment:
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=environment.client.namespace,
                search_attributes={name: _VALUES[kind] for name, kind in SEARCH_ATTRIBUTES.items()},
            )
        )
        yield environment


@pytest.fixture(scope="module")
def bound() -> BoundContext:
    return load_context("orders").bind(Registry.load())


@pytest_asyncio.fixture
async def contexts(skipping: WorkflowEnvironment, bound: BoundContext) -> AsyncIterator[Contexts]:
    scripted = Contexts(skipping, bound)
    yield scripted
    await scripted.stop()


_VALUES = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
}
