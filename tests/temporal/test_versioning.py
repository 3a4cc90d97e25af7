"""The version of a worker, as the settings say."""

from __future__ import annotations

import pytest
from intent.errors import ConfigurationError
from intent.settings.config import load_settings
from intent.temporal import UNVERSIONED, Versioning
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion

SAGAS = {"FulfilOrder", "PrepareShipment"}


def test_without_a_build_id_a_process_takes_no_part_in_versioning() -> None:
    assert UNVERSIONED.config is None
    assert UNVERSIONED.behavior("FulfilOrder") == VersioningBehavior.UNSPECIFIED
    assert (
        Versioning("orders", "", frozenset({"*"})).behavior("FulfilOrder") == VersioningBehavior.UNSPECIFIED
    )


def test_a_build_id_makes_a_worker_a_version_whose_batches_follow_the_current_one() -> None:
    config = Versioning("orders", "v1").config
    assert config is not None
    assert config.use_worker_versioning
    assert config.version == WorkerDeploymentVersion("orders", "v1")
    assert config.default_versioning_behavior == VersioningBehavior.AUTO_UPGRADE


def test_sagas_follow_the_current_version_unless_they_are_pinned() -> None:
    versioning = Versioning("orders", "v1", frozenset({"FulfilOrder"}))
    assert versioning.behavior("FulfilOrder") == VersioningBehavior.PINNED
    assert versioning.behavior("PrepareShipment") == VersioningBehavior.AUTO_UPGRADE
    every = Versioning("orders", "v1", frozenset({"*"}))
    assert {every.behavior(saga) for saga in SAGAS} == {VersioningBehavior.PINNED}


def test_a_pinned_saga_that_the_context_does_not_have_is_refused_with_those_it_has() -> None:
    Versioning("orders", "v1", frozenset({"*", "FulfilOrder"})).require_known(SAGAS)
    with pytest.raises(ConfigurationError, match=r"names FulfillOrder, .*: FulfilOrder, PrepareShipment"):
        Versioning("orders", "v1", frozenset({"FulfillOrder"})).require_known(SAGAS)


def test_the_worker_deployment_is_named_as_the_context_unless_said_otherwise() -> None:
    assert load_settings(context="orders").deployment == "orders"
    assert load_settings(context="orders", deployment_name="prod/orders").deployment == "prod/orders"
