"""Certificates for servers of tests, made with the ``openssl`` program."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


def lacking() -> str:
    """What is missing to make one; empty if nothing is."""
    return "" if shutil.which("openssl") else "needs openssl to make a certificate"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that signs itself, and its key, as PEM files."""

    file: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        """The context of a server that shows it."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.file, self.key)
        return context


def certificate_for(folder: Path, *names: str) -> Certificate:
    """One for these host names and addresses, valid for a day; ``folder`` holds its files."""
    made = Certificate(folder / f"{names[0]}.pem", folder / f"{names[0]}.key.pem")
    alternatives = ",".join(f"{'IP' if name.replace('.', '').isdigit() else 'DNS'}:{name}" for name in names)
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    files = ["-keyout", str(made.key), "-out", str(made.file)]
    subject = ["-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={alternatives}"]
    subprocess.run([*make.split(), *subject, *files], check=True, capture_output=True)  # noqa: S603
    return made
