"""``python -m svc.probe PATH``: exit with 0 if the admin port answers 200 there, else with 1.

It starts every few seconds, so it imports little.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
from collections.abc import Mapping
from typing import Final

ADMIN_PORT: Final = 9102
SECONDS: Final = 2.0


def is_well(path: str, environ: Mapping[str, str]) -> bool:
    """Ask over TLS if the service speaks it. Not by urllib, which obeys HTTP_PROXY."""
    port = int(environ.get("KV_ADMIN_PORT", ADMIN_PORT))
    if environ.get("KV_TLS_CERT_FILE"):
        # As the kubelet does: the certificate names others than 127.0.0.1, and this is no secret.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=SECONDS, context=context
        )
    else:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        client.request("GET", path)
        return client.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()


if __name__ == "__main__":
    sys.exit(not is_well(sys.argv[1], os.environ))
