"""How a listener terminates TLS, or that it redirects to HTTPS (Istio's ServerTLSSettings)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from .field_errors import Reason, field_error
from .not_modelled import NotModelled
from .strict_model import StrictModel

Mode = Literal[
    "PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"
]
Version = Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]
_HANDSHAKE: Final = "the TLS handshake with callers isn't checked"
_CERTIFICATES: Final = NotModelled("certificates from files or several Secrets", _HANDSHAKE)
_VERIFIED: Final = NotModelled("what a caller's certificate is verified by", _HANDSHAKE)


class TlsCertificate(StrictModel):
    server_certificate: str | None = None
    private_key: str | None = None
    ca_certificates: str | None = None


class ServerTls(StrictModel):
    """Without ``mode`` TLS passes through: the destination terminates it, and no route applies."""

    mode: Annotated[
        Mode,
        NotModelled(
            "TLS that a gateway doesn't terminate with a certificate of its own",
            "what it forwards isn't checked",
            frozenset({"AUTO_PASSTHROUGH", "ISTIO_MUTUAL"}),
        ),
    ] = "PASSTHROUGH"
    https_redirect: bool = False
    credential_name: str | None = None
    min_protocol_version: Version = "TLS_AUTO"
    max_protocol_version: Version = "TLS_AUTO"
    cipher_suites: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()
    subject_alt_names: Annotated[tuple[str, ...], _VERIFIED] = ()
    credential_names: Annotated[
        tuple[str, ...] | None, Field(min_length=1, max_length=2), _CERTIFICATES
    ] = None
    tls_certificates: Annotated[
        tuple[TlsCertificate, ...] | None, Field(min_length=1, max_length=2), _CERTIFICATES
    ] = None
    server_certificate: Annotated[str | None, _CERTIFICATES] = None
    private_key: Annotated[str | None, _CERTIFICATES] = None
    ca_certificates: Annotated[str | None, _VERIFIED] = None
    ca_crl: Annotated[str | None, _VERIFIED] = None
    ca_cert_credential_name: Annotated[str | None, _VERIFIED] = None
    verify_certificate_spki: Annotated[tuple[str, ...], _VERIFIED] = ()
    verify_certificate_hash: Annotated[tuple[str, ...], _VERIFIED] = ()
    insecure_skip_verify: Annotated[bool | None, _VERIFIED] = None

    @property
    def passes_through(self) -> bool:
        """Return True if the settings say nothing but, perhaps, to redirect to HTTPS."""
        files = (self.server_certificate, self.private_key, self.ca_certificates)
        return self.mode in {"PASSTHROUGH", "AUTO_PASSTHROUGH"} and not any(files)

    @property
    def has_credential(self) -> bool:
        """Return True if the certificate comes from a Secret."""
        return bool(self.credential_name or self.credential_names)

    @model_validator(mode="after")
    def _check_certificates(self) -> ServerTls:
        files = (self.server_certificate, self.private_key)
        if self.mode == "ISTIO_MUTUAL" and (
            any(files) or self.ca_certificates or self.has_credential
        ):
            raise field_error(
                Reason.BAD_VALUE,
                "ISTIO_MUTUAL uses the mesh's own certificates; Istio rejects others",
                "remove them, or set the mode to MUTUAL",
                ("mode",),
            )
        if self.credential_name and self.credential_names:
            raise field_error(
                Reason.BAD_VALUE,
                "credentialName and credentialNames exclude each other",
                "keep one of them",
                ("credentialNames",),
            )
        terminates = self.mode in {"SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"}
        if terminates and not self.has_credential and not self.tls_certificates:
            self._check_files(mutual=self.mode != "SIMPLE")
        return self

    def _check_files(self, *, mutual: bool) -> None:
        needed = {
            "serverCertificate": self.server_certificate,
            "privateKey": self.private_key,
            **({"caCertificates": self.ca_certificates} if mutual else {}),
        }
        if missing := [name for name, value in needed.items() if not value]:
            raise field_error(
                Reason.MISSING_FIELD,
                f"{self.mode} TLS needs a certificate, but {' and '.join(missing)} is missing",
                "set credentialName to the name of a Secret with the certificate",
                ("credentialName",),
            )
        if self.ca_crl and not mutual:
            raise field_error(
                Reason.BAD_VALUE,
                "caCrl has no effect with mode SIMPLE; Istio rejects it",
                "remove it",
                ("caCrl",),
            )
