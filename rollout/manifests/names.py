"""Names and addresses as Istio's webhook and the API server accept them: labels, domains, hosts."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from .field_errors import Reason, field_error

_LABEL: Final = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
_WILDCARD_LABEL: Final = re.compile(r"\*|(?:\*|\*-)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
_QUALIFIED: Final = re.compile(r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_SUBDOMAIN: Final = re.compile(
    r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
)
_KUBERNETES_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_HEADER: Final = re.compile(r"[-_A-Za-z0-9]+")
_MAX_LABEL: Final = 63
_MAX_DOMAIN: Final = 255
_MAX_SUBDOMAIN: Final = 253


def is_label(text: str) -> bool:
    """Return True for a DNS label in either case, as Istio accepts it."""
    return len(text) <= _MAX_LABEL and _LABEL.fullmatch(text) is not None


def is_kubernetes_label(text: str) -> bool:
    """Return True for a DNS label in lower case: the name of a namespace or a Service."""
    return len(text) <= _MAX_LABEL and _KUBERNETES_LABEL.fullmatch(text) is not None


def is_subdomain(text: str) -> bool:
    """Return True for a DNS name in lower case: the name of most objects of Kubernetes."""
    return len(text) <= _MAX_SUBDOMAIN and _SUBDOMAIN.fullmatch(text) is not None


def is_label_key(text: str) -> bool:
    """Return True for the key of a label or an annotation: ``name`` or ``domain/name``."""
    prefix, slash, name = text.rpartition("/")
    named = len(name) <= _MAX_LABEL and _QUALIFIED.fullmatch(name) is not None
    return named and (not slash or is_subdomain(prefix.lower()))


def is_label_value(text: str) -> bool:
    return text == "" or (len(text) <= _MAX_LABEL and _QUALIFIED.fullmatch(text) is not None)


def is_address(text: str) -> bool:
    """Return True for an address of IP version 4 or 6."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_subnet(text: str) -> bool:
    """Return True for an address, or a range such as ``10.0.0.0/8``."""
    address, slash, bits = text.partition("/")
    if not slash:
        return is_address(text)
    largest = 128 if ":" in address else 32
    return is_address(address) and bits.isdecimal() and int(bits) <= largest


def is_header_name(text: str) -> bool:
    return _HEADER.fullmatch(text) is not None


def is_domain(text: str) -> bool:
    """Return True for a name of DNS labels, of which the last is not a number."""
    return 0 < len(text) <= _MAX_DOMAIN and _are_labels(text)


def is_wildcard_domain(text: str) -> bool:
    """Return True for a domain whose first label may be or begin with ``*``."""
    first, dot, rest = text.partition(".")
    return (
        0 < len(text) <= _MAX_DOMAIN
        and len(first) <= _MAX_LABEL
        and _WILDCARD_LABEL.fullmatch(first) is not None
        and (not dot or _are_labels(rest))
    )


def _are_labels(domain: str) -> bool:
    *labels, last = domain.split(".")
    if last.isdecimal():
        return False
    # The last may be empty, as in "example.com.".
    return all(map(is_label, labels)) and (last == "" or is_label(last))


def _bad(text: str, is_not: str, remedy: str) -> Exception:
    return field_error(Reason.BAD_VALUE, f'"{text}" is not {is_not}', remedy)


def _check_label(value: str) -> str:
    if not is_label(value):
        raise _bad(
            value,
            "a DNS label",
            "use up to 63 of a-z, A-Z, 0-9 and -; do not begin or end with -",
        )
    return value


def _check_name(value: str) -> str:
    if not is_subdomain(value):
        raise _bad(
            value,
            "a name of Kubernetes",
            "use a-z, 0-9, - and .; begin and end with a letter or a digit",
        )
    return value


def _check_namespace(value: str) -> str:
    if not is_kubernetes_label(value):
        raise _bad(value, "a namespace", "use up to 63 of a-z, 0-9 and -")
    return value


def _check_label_key(value: str) -> str:
    if not is_label_key(value):
        raise _bad(
            value,
            "the key of a label",
            "write NAME or DOMAIN/NAME; a name has up to 63 of a-z, A-Z, 0-9, -, _ and .",
        )
    return value


def _check_label_value(value: str) -> str:
    if not is_label_value(value):
        raise _bad(
            value,
            "the value of a label",
            "use up to 63 of a-z, A-Z, 0-9, -, _ and .; begin and end with a letter or a digit",
        )
    return value


def _check_no_wildcard(value: str) -> str:
    if "*" in value:
        raise _bad(value, "allowed in a selector", "write it without *")
    return value


def _check_host(value: str) -> str:
    if not is_wildcard_domain(value):
        raise _bad(value, "a host", "write the name of a Service, a domain name, or *.domain")
    return value


def _check_virtual_host(value: str) -> str:
    # istiod itself makes names with this beginning for connections between clusters.
    if is_address(value) or value.startswith("outbound_."):
        return value
    return _check_host(value)


def _check_concrete_host(value: str) -> str:
    if value == "*":
        raise _bad(value, "a destination", "write one host")
    return _check_host(value)


def _check_domain(value: str) -> str:
    if not is_domain(value):
        raise _bad(value, "a domain name", "write it without wildcards")
    return value


def _check_address(value: str) -> str:
    if not is_address(value):
        raise _bad(value, "an IP address", "write one, such as 10.0.0.1")
    return value


def _check_subnet(value: str) -> str:
    if not is_subnet(value):
        raise _bad(value, "an IP address or a range of them", "write one, such as 10.0.0.0/8")
    return value


def _check_gateway_name(value: str) -> str:
    namespace, slash, name = value.partition("/")
    valid = is_label(namespace) and is_label(name) if slash else is_domain(value)
    if not valid:
        raise _bad(value, "the name of a Gateway", "write NAMESPACE/NAME, NAME, or mesh")
    return value


def _check_listener_host(value: str, namespaces: str) -> None:
    """Check ``namespace/host``, where the namespace may also be one of a set of characters."""
    namespace, slash, host = value.rpartition("/")
    if slash and namespace not in set(namespaces) and not is_label(namespace):
        raise _bad(
            value,
            f'a host here: "{namespace}" is not a namespace',
            f"write the name of a namespace before the slash, or one of {' '.join(namespaces)}",
        )
    remedy = "write a full domain name, *.domain or *"
    if host != "*" and "." not in host and not is_address(host):
        raise _bad(value, "a host here: a short name is not allowed", remedy)
    partial = "*" in host and host != "*" and not host.startswith("*.")
    if partial or not (is_wildcard_domain(host) or is_address(host)):
        raise _bad(value, "a host", f"{remedy}; namespace/ may precede it")


def _check_gateway_host(value: str) -> str:
    _check_listener_host(value, "*.")
    return value


def _check_sidecar_host(value: str) -> str:
    if "/" not in value:
        raise _bad(value, "NAMESPACE/HOST", "write the namespace before the host, such as ./*")
    _check_listener_host(value, "*.~")
    return value


def _check_header(value: str) -> str:
    if not is_header_name(value):
        raise _bad(value, "the name of a header", "use letters, digits, - and _")
    return value


def _check_cors_header(value: str) -> str:
    return value if value == "*" else _check_header(value)


DnsLabel = Annotated[str, AfterValidator(_check_label)]
Namespace = Annotated[str, AfterValidator(_check_namespace)]
ObjectName = Annotated[str, Field(min_length=1), AfterValidator(_check_name)]
#: A name or a wildcard domain.
Host = Annotated[str, AfterValidator(_check_host)]
#: A name, a wildcard domain or an IP address.
VirtualHost = Annotated[str, AfterValidator(_check_virtual_host)]
#: A host that requests can be sent to.
ConcreteHost = Annotated[str, AfterValidator(_check_concrete_host)]
Domain = Annotated[str, AfterValidator(_check_domain)]
Address = Annotated[str, AfterValidator(_check_address)]
Subnet = Annotated[str, AfterValidator(_check_subnet)]
GatewayName = Annotated[str, AfterValidator(_check_gateway_name)]
GatewayHost = Annotated[str, AfterValidator(_check_gateway_host)]
SidecarHost = Annotated[str, AfterValidator(_check_sidecar_host)]
HeaderName = Annotated[str, AfterValidator(_check_header)]
CorsHeaderName = Annotated[str, AfterValidator(_check_cors_header)]
LabelKey = Annotated[str, AfterValidator(_check_label_key)]
Labels = dict[LabelKey, Annotated[str, AfterValidator(_check_label_value)]]
SelectorLabels = dict[
    Annotated[str, Field(min_length=1), AfterValidator(_check_no_wildcard)],
    Annotated[str, Field(max_length=63), AfterValidator(_check_no_wildcard)],
]
