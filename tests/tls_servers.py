"""A Postgres server that lets clients in by TLS and password alone, with an authority of its own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from postgres_servers import PostgresServer, free_port

NAME = "localhost"  # what its certificate says; not the address 127.0.0.1
_BY_TLS = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"


class Authority:
    """A certificate that signs others, and its key."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own = self._about(self._name, self._key.public_key())
        self._certificate = own.add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        ).sign(self._key, hashes.SHA256())

    def write(self, path: Path) -> Path:
        """Write the certificate that clients trust."""
        path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(self, name: str, certificate: Path, key: Path) -> None:
        """Write a certificate of a server and its key."""
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        made = self._about(subject, own.public_key()).add_extension(names, critical=False)
        signed = made.sign(self._key, hashes.SHA256())
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        key.touch(mode=0o600)
        key.write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def _about(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )


class TlsServer(PostgresServer):
    """A server whose clients on this machine's network need TLS and a password."""

    def __init__(self) -> None:
        self.port, self.passwords = free_port(), dict[str, str]()
        super().__init__(
            settings={
                "listen_addresses": "127.0.0.1",
                "port": str(self.port),
                "password_encryption": "scram-sha-256",
            }
        )
        self.authority = Authority("an authority of ours").write(self.place / "authority.pem")

    def initialize(self) -> None:
        """Make the cluster with its certificate."""
        super().initialize()
        authority = Authority("an authority of ours")
        authority.write(self.authority)
        places = {"ssl_cert_file": self.place / "server.pem", "ssl_key_file": self.place / "server.key"}
        authority.issue(NAME, *places.values())
        owner = self._data.stat()
        for place in places.values():
            os.chown(place, owner.st_uid, owner.st_gid)
        self.settings |= {"ssl": "on", **{name: str(place) for name, place in places.items()}}
        (self._data / "pg_hba.conf").write_text(_BY_TLS, encoding="utf-8")

    def let_in(self, role: str) -> None:
        """Give a role a password that nobody knows."""
        self.passwords[role] = secrets.token_urlsafe(24)
        with self.connected() as connection:
            connection.execute(f"ALTER ROLE {role} LOGIN PASSWORD '{self.passwords[role]}'".encode())

    def of_role(self, role: str, folder: Path, **more: str) -> str:
        """The address of a role, whose password lies in a file of the folder that others cannot read."""
        passfile = folder / f"pass-{role}"
        passfile.touch(mode=0o600)
        passfile.write_text(f"*:*:*:{role}:{self.passwords[role]}\n", encoding="utf-8")
        given = {"sslmode": "verify-full", "sslrootcert": str(self.authority), "passfile": str(passfile)}
        query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in {**given, **more}.items())
        return f"postgresql://{role}@{NAME}:{self.port}/postgres?{query}"


@contextmanager
def tls_server() -> Iterator[TlsServer]:
    """Yield a running server; it is removed afterwards."""
    server = TlsServer()
    try:
        server.initialize()
        server.start()
        yield server
    finally:
        server.remove()
