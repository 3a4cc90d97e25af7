"""The identity of production: access tokens (JWT) of known issuers."""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, ExpiredTokenError, JoseError, MissingClaimError

from intent.errors import Unauthenticated
from intent.identity.algorithms import ALGORITHMS, SIGNATURES
from intent.identity.callers import Identity, acting_for, refuse_claims, tenant_of
from intent.identity.issuers import Issuer, invalid
from intent.identity.keys import IssuerKeys

__all__ = ["TokenIdentityProvider"]

_BYTES: Final = 8 * 1024
_TYPES: Final = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
"""What a token may call itself; others are made for other purposes, such as logging out."""
_TRIED: Final = 8
"""How many keys are tried on a token that names none."""
_LATEST: Final = 253_402_300_799
"""The last second of the year 9999."""


@dataclass(frozen=True, slots=True)
class _Caller:
    """What a token says that was verified.

    Attributes:
        identity: Who calls, of no tenant.
        tenants: The tenants for which it may act.
        any_tenant: Whether it may act for any.
        expires: When the token is valid no longer.
    """

    identity: Identity
    tenants: frozenset[str]
    any_tenant: bool
    expires: float


class TokenIdentityProvider:
    """Identifies callers by ``authorization: Bearer <token>``.

    ``x-tenant-id`` chooses among the tenants of the token; it may be left out where that has one only.
    Verified tokens are kept by their digest until they expire, or until a key of an issuer is
    withdrawn.

    Args:
        issuers: The keys of the issuers whose tokens are accepted.
        leeway: Seconds by which clocks may differ.
        kept: How many verified tokens are kept.
        clock: Returns the time, in seconds since 1970.
    """

    def __init__(
        self,
        issuers: Iterable[IssuerKeys],
        *,
        leeway: float = 30.0,
        kept: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuers = {keys.issuer.name: keys for keys in issuers}
        self._leeway = leeway
        self._most = kept
        self._clock = clock
        self._kept: OrderedDict[bytes, _Caller] = OrderedDict()
        for keys in self._issuers.values():
            keys.on_loss = self._kept.clear

    async def authenticate(
        self, metadata: Mapping[str, str], certificate: Callable[[], str] = str
    ) -> Identity:
        """Return the caller that the token names; see `IdentityProvider`."""
        text = metadata.get("authorization")
        if text is None:
            what = "the call has no token: send it as metadata authorization: Bearer <token>"
            raise Unauthenticated("TOKEN_MISSING", what)
        refuse_claims(metadata, "token")
        tenant = tenant_of(metadata.get("x-tenant-id", ""))
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
        caller = self._kept.get(digest)
        if caller is None or caller.expires <= self._clock():
            caller = await self._verified(text)
            self._keep(digest, caller)
        else:
            self._kept.move_to_end(digest)
        return acting_for(tenant, caller.identity, caller.tenants, any_tenant=caller.any_tenant)

    def _keep(self, digest: bytes, caller: _Caller) -> None:
        self._kept[digest] = caller
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    async def _verified(self, text: str) -> _Caller:
        scheme, _, token = text.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise invalid("the metadata authorization must be Bearer, a space and the token")
        if len(token) > _BYTES:
            raise invalid(f"it has more than {_BYTES} bytes")
        header, keys = self._addressed(token)
        algorithm = header["alg"]
        key_id = header.get("kid")
        candidates = await keys.matching(key_id, algorithm)
        claims = _signed(token, candidates[:_TRIED])
        self._check(claims, keys.issuer)
        return self._caller(claims, keys.issuer)

    def _addressed(self, token: str) -> tuple[Mapping[str, Any], IssuerKeys]:
        """Return the header of a token, and the keys of the issuer that it names. Nothing is verified yet."""
        try:
            parts = jws.extract_compact(token.encode("ascii"), registry=SIGNATURES)
            header, name = parts.headers(), json.loads(parts.payload)["iss"]
            kind, key_id = str(header.get("typ", "")).lower(), header.get("kid")
        except Exception:
            # Whatever a library makes of a stranger's bytes: they are no token.
            raise invalid("it is not a signed JWT with an issuer") from None
        if header.get("alg") not in ALGORITHMS:
            raise invalid(f"it is not signed by one of {', '.join(sorted(ALGORITHMS))}")
        if kind not in _TYPES or "crit" in header or not isinstance(key_id, str | None):
            raise invalid("it is not an access token of a known type")
        keys = self._issuers.get(name) if isinstance(name, str) else None
        if keys is None:
            raise invalid("its issuer is not one that is trusted here")
        return header, keys

    def _check(self, claims: dict[str, Any], issuer: Issuer) -> None:
        now = self._clock()
        registry = jwt.JWTClaimsRegistry(
            now=lambda: now,  # type: ignore[arg-type, return-value] # fractions are fine
            leeway=self._leeway,  # type: ignore[arg-type]
            iss={"essential": True, "value": issuer.name},
            aud={"essential": True, "values": sorted(issuer.audiences)},
            sub={"essential": True},
            exp={"essential": True},
        )
        try:
            registry.validate(claims)
        except ExpiredTokenError:
            raise Unauthenticated("TOKEN_EXPIRED", "the token has expired; get a new one") from None
        except MissingClaimError as error:
            raise invalid(f"it lacks {error.claim}") from None
        except JoseError as error:
            claim = getattr(error, "claim", "")
            raise invalid(_WRONG.get(claim, f"its {claim or 'content'} is malformed")) from None

    def _caller(self, claims: Mapping[str, Any], issuer: Issuer) -> _Caller:
        mapping = issuer.claims
        roles = mapping.roles_of(claims)
        any_tenant = bool(mapping.any_tenant_role) and mapping.any_tenant_role in roles
        every = any_tenant or not mapping.binds(claims)
        expires = min(claims["exp"], _LATEST) + self._leeway
        return _Caller(
            Identity("", mapping.actor_of(claims), roles, expires, every),
            tenants=mapping.tenants_of(claims),
            any_tenant=any_tenant,
            expires=expires,
        )


_WRONG: Final = {
    "aud": "it is for another audience",
    "iss": "its issuer is not one that is trusted here",
    "nbf": "its time has not come yet",
    "iat": "it was issued in the future",
    "sub": "it names no subject",
}


def _signed(token: str, keys: Iterable[Any]) -> dict[str, Any]:
    """Return the claims of a token that one of the keys has signed."""
    if not keys:
        raise invalid("its issuer has no such key")
    for key in keys:
        try:
            return jwt.decode(token, key, registry=SIGNATURES).claims
        except BadSignatureError:
            continue
        except Exception:
            break
    raise invalid("its signature is not one of its issuer's")
