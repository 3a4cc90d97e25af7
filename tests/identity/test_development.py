"""Who calls, for which tenant, with which roles."""

from __future__ import annotations

import pytest
from intent.contracts import ANY_CALLER
from intent.errors import (
    ConfigurationError,
    InvalidCommand,
    PermissionDenied,
    Unauthenticated,
)
from intent.identity import EVERY_ROLE, DevIdentityProvider, Identity, authorize

DEV = DevIdentityProvider(dev_mode=True, default_roles=frozenset({"customer"}))


async def test_metadata_identifies_the_caller() -> None:
    identity = await DEV.authenticate({"x-tenant-id": "acme", "x-actor": "user:ann", "x-roles": "a, b"})
    assert identity == Identity("acme", "user:ann", frozenset({"a", "b"}), every_tenant=True)


async def test_missing_values_have_defaults() -> None:
    identity = await DEV.authenticate({"x-tenant-id": "acme"})
    assert identity == Identity("acme", "dev", frozenset({"customer"}), every_tenant=True)


async def test_an_empty_list_of_roles_is_not_the_default() -> None:
    assert (await DEV.authenticate({"x-tenant-id": "acme", "x-roles": ""})).roles == frozenset()


@pytest.mark.parametrize(
    "tenant", ["Acme", "-acme", "a" * 64, "acme corp", "acme'; drop table events", "ümlaut", "acme\n"]
)
async def test_malformed_tenants_are_refused(tenant: str) -> None:
    with pytest.raises(InvalidCommand) as caught:
        await DEV.authenticate({"x-tenant-id": tenant})
    assert caught.value.violations[0].field == "x-tenant-id"


@pytest.mark.parametrize("metadata", [{"x-actor": "a b"}, {"x-actor": "a" * 129}, {"x-roles": "a;b"}])
async def test_other_malformed_values_are_refused(metadata: dict[str, str]) -> None:
    with pytest.raises(InvalidCommand):
        await DEV.authenticate({"x-tenant-id": "acme", **metadata})


async def test_a_dev_token_carries_actor_and_roles() -> None:
    token = {"x-tenant-id": "acme", "authorization": "Bearer dev:user:ann:customer,service"}
    expected = Identity("acme", "user:ann", frozenset({"customer", "service"}), every_tenant=True)
    assert await DEV.authenticate(token) == expected


async def test_a_dev_token_may_be_bound_to_tenants() -> None:
    token = "Bearer dev:ann:customer:acme,globex"
    identity = await DEV.authenticate({"x-tenant-id": "acme", "authorization": token})
    assert (identity.tenant, identity.every_tenant) == ("acme", False)
    with pytest.raises(PermissionDenied) as caught:
        await DEV.authenticate({"x-tenant-id": "umbrella", "authorization": token})
    assert caught.value.reason == "TENANT_DENIED"


@pytest.mark.parametrize("token", ["Bearer eyJhbGciOi", "Basic dev:ann:x", "Bearer dev:ann", ""])
async def test_other_tokens_are_refused(token: str) -> None:
    with pytest.raises(Unauthenticated):
        await DEV.authenticate({"x-tenant-id": "acme", "authorization": token})


async def test_tenants_can_be_limited_to_a_list() -> None:
    provider = DevIdentityProvider(dev_mode=True, tenants=frozenset({"acme"}))
    with pytest.raises(PermissionDenied):
        await provider.authenticate({"x-tenant-id": "globex"})


def test_outside_development_it_is_refused_unless_allowed() -> None:
    with pytest.raises(ConfigurationError):
        DevIdentityProvider()
    DevIdentityProvider(enabled=True)


def test_one_of_the_roles_is_enough() -> None:
    ann = Identity("acme", "ann", frozenset({"customer"}))
    authorize(ann, frozenset({"customer", "service"}), "PlaceOrder")
    authorize(ann, frozenset(), "Describe")
    authorize(Identity("acme", "ann", frozenset()), frozenset({ANY_CALLER}), "PlaceOrder")
    authorize(Identity("acme", "dev", frozenset({EVERY_ROLE})), frozenset({"operator"}), "Rebuild")


def test_without_a_role_the_message_names_the_roles_that_suffice() -> None:
    with pytest.raises(PermissionDenied, match="service") as caught:
        authorize(Identity("acme", "ann", frozenset({"customer"})), frozenset({"service"}), "ConfirmOrder")
    assert caught.value.metadata["needed"] == "service"
