"""The commands of a release, as lists of arguments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from release.options import Release

__all__ = ["Command", "Commands"]

Command = list[str]
_PROVENANCE: Final = "slsaprovenance1"


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of a release.

    Attributes:
        release: The release.
    """

    release: Release

    @property
    def public_key(self) -> Path:
        """The file with the key by which others verify."""
        return self.release.folder / "cosign.pub"

    @property
    def _services(self) -> Path:
        """The file that tells cosign to send signatures nowhere."""
        return self.release.folder / "no-services.json"

    def before(self) -> list[Command]:
        """Return what comes first: what is checked, and what signing needs."""
        looked = ["audit", "licences", "sbom"] if self.release.audited else ["licences", "sbom"]
        made = [["make", name] for name in looked]
        key = ["cosign", "public-key", "--key", self.release.key, "--outfile", str(self.public_key)]
        if self.release.logged:
            return [*made, key]
        return [*made, key, ["cosign", "signing-config", "create", "--out", str(self._services)]]

    def local(self, context: str) -> str:
        """Return the name of an image on this machine."""
        return f"intent/{context}:{self.release.version}"

    def pushed(self, context: str) -> str:
        """Return the name of an image in the registry, without tag and digest."""
        return f"{self.release.registry}/intent/{context}"

    def image(self, context: str) -> list[Command]:
        """Return what builds and pushes an image."""
        release = self.release
        bases = f"--build-arg BASE={release.base} --build-arg BUILD_BASE={release.build_base}"
        tagged = f"{self.pushed(context)}:{release.version}"
        build = [
            "make",
            "image",
            f"CONTEXT={context}",
            f"TAG={release.version}",
            f"IMAGE_TOOL={release.tool}",
        ]
        return [
            [*build, f"BUILD_ARGS={bases}"],
            [release.tool, "tag", self.local(context), tagged],
            [release.tool, "push", tagged],
        ]

    def digests(self, context: str) -> Command:
        """Return what prints the digests that a registry has given an image."""
        form = "{{range .RepoDigests}}{{println .}}{{end}}"
        return [self.release.tool, "image", "inspect", "--format", form, self.local(context)]

    def sign_image(self, image: str, bill: Path, predicate: Path) -> list[Command]:
        """Return what signs an image, and says of it what it is made of and where it comes from."""
        attest = ["cosign", "attest", *self._signing]
        return [
            ["cosign", "sign", *self._signing, image],
            [*attest, "--type", "cyclonedx", "--predicate", str(bill), image],
            [*attest, "--type", _PROVENANCE, "--predicate", str(predicate), image],
            ["cosign", "verify", *self._verifying, image],
            ["cosign", "verify-attestation", *self._verifying, "--type", "cyclonedx", image],
            ["cosign", "verify-attestation", *self._verifying, "--type", _PROVENANCE, image],
        ]

    def sign_file(self, path: Path) -> list[Command]:
        """Return what signs a file; its signature is beside the files of the release."""
        bundle = ["--bundle", str(self.release.folder / f"{path.name}.sigstore.json")]
        return [
            ["cosign", "sign-blob", *self._signing, *bundle, str(path)],
            ["cosign", "verify-blob", *self._verifying, *bundle, str(path)],
        ]

    @property
    def _signing(self) -> Command:
        services = [] if self.release.logged else ["--signing-config", str(self._services)]
        return ["--yes", "--key", self.release.key, *services]

    @property
    def _verifying(self) -> Command:
        unlogged = [] if self.release.logged else ["--insecure-ignore-tlog"]
        return ["--key", str(self.public_key), *unlogged]
