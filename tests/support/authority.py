"""An authority that issues certificates to tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Issues certificates, with keys of the elliptic curve P-256, which are made quickly."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.certificate = self._signed(self._name, self._key, x509.BasicConstraints(True, None))

    def write(self, path: Path) -> Path:
        """Write the authority's own certificate."""
        path.write_bytes(_pem(self.certificate))
        return path

    def issue(self, folder: Path, name: str, *names: str, days: float = 1) -> tuple[Path, Path]:
        """Write a certificate and its key, both replaced at once; return their paths.

        Args:
            folder: The folder.
            name: How the files are called.
            names: What the certificate is for: host names, IP addresses or URIs; none: 127.0.0.1.
            days: How long it is valid, in days; it may be negative.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_alternative(each) for each in names or ("127.0.0.1",)])
        certificate = self._signed(
            _name(name), key, x509.BasicConstraints(False, None), alternatives, days=days
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _replace(folder / f"{name}.pem", _pem(certificate)), _replace(folder / f"{name}.key", private)

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *extensions: x509.ExtensionType,
        days: float = 1,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=days))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self._key, hashes.SHA256())


def _replace(path: Path, content: bytes) -> Path:
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    return new.replace(path)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _alternative(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
