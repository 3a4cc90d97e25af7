"""Temporal's Worker Versioning: which version of the code continues which workflow.

A process that has a build id is one version of its context's worker deployment. A workflow that is
started eagerly begins in the process that starts it; any other begins on the deployment's current
version. From its second task on the behaviour of its type decides: it stays with the version on which
it began (pinned), or follows the current one (auto-upgrade).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig

from intent.errors import ConfigurationError

__all__ = ["UNVERSIONED", "Versioning"]

_ALL = "*"


@dataclass(frozen=True, slots=True)
class Versioning:
    """The version that a process is.

    Attributes:
        deployment: The worker deployment's name in Temporal.
        build: The version of the code; empty: the process takes no part in versioning.
        pinned: The sagas that stay with the version on which they began; ``*`` stands for all.
    """

    deployment: str = ""
    build: str = ""
    pinned: frozenset[str] = frozenset()

    @property
    def config(self) -> WorkerDeploymentConfig | None:
        """The configuration of a worker, or None when the process is unversioned.

        Workflow types follow the current version unless their definition says otherwise. So does
        `ProcessCommands`, whose batches must continue when the version on which they began is gone.
        """
        if not self.build:
            return None
        return WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(self.deployment, self.build),
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
        )

    def behavior(self, saga: str) -> VersioningBehavior:
        """Return the versioning behaviour of a saga's workflow, by the saga's name."""
        if not self.build:
            return VersioningBehavior.UNSPECIFIED
        pinned = saga in self.pinned or _ALL in self.pinned
        return VersioningBehavior.PINNED if pinned else VersioningBehavior.AUTO_UPGRADE

    def require_known(self, sagas: Collection[str]) -> None:
        """Check that only sagas of the context are pinned.

        Raises:
            ConfigurationError: A pinned saga is not among `sagas`.
        """
        unknown = sorted(self.pinned - {_ALL} - set(sagas))
        if unknown:
            known = ", ".join(sorted(sagas)) or "none"
            raise ConfigurationError(
                f"INTENT_PINNED_SAGAS names {', '.join(unknown)}, which this context does not have; "
                f"its sagas are: {known}"
            )


UNVERSIONED = Versioning()
"""A process that takes no part in versioning, as in development."""
