"""``/v1/openapi.json``, and ``/docs``: a page that shows it and lets one try requests.

Both are public: they say what this release can do, nothing of what is stored or configured. All is
built or read when it is first asked for, so that it takes no memory until then.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from .static_files import send_file

#: The version of the contract: that of the package, whatever name KV_VERSION gives a pod.
CONTRACT_VERSION: Final = web.AppKey("contract_version", str)

#: No script of another origin, none in the page, none made of text.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: Files of the package, and what the browser is told that they are.
ASSETS: Final = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tallykv: the API</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<script src="docs/swagger-ui-bundle.js" defer></script>
<script src="docs/start.js" defer></script>
</head>
<body>
<div id="docs"></div>
<noscript><p>This page needs JavaScript. It shows <a href="v1/openapi.json">v1/openapi.json</a>.</p>
</noscript>
</body>
</html>
"""
#: Without a validator: Swagger's asks another origin.
START: Final = """\
SwaggerUIBundle({
  url: "v1/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
TEXTS: Final = {
    "": (PAGE, "text/html; charset=utf-8"),
    "start.js": (START, "text/javascript; charset=utf-8"),
}


async def read_contract(request: web.Request) -> web.StreamResponse:
    version = request.app[CONTRACT_VERSION]
    resources = request.app.router.resources()
    routes = [(each.method, resource.canonical) for resource in resources for each in resource]

    def load() -> bytes:
        from .openapi.document import render_document  # noqa: PLC0415 - see above

        return render_document(routes, version)

    return await send_file(request, "openapi.json", "application/json", load)


async def read_page(request: web.Request) -> web.StreamResponse:
    """Return the page or a file of it."""
    name = request.match_info.get("asset", "")
    if name in TEXTS:
        text, media = TEXTS[name]
        return await send_file(request, f"docs/{name}", media, text.encode, POLICY)
    if name not in ASSETS:
        raise web.HTTPNotFound
    load = partial(_read_asset, name)
    return await send_file(request, f"docs/{name}", ASSETS[name], load, POLICY)


async def show_page(_: web.Request) -> web.StreamResponse:
    """Redirect to the page, whose addresses begin where it is."""
    return web.Response(status=308, headers={hdrs.LOCATION: "../docs"})


def _read_asset(name: str) -> bytes:
    from openapi_ui_bundles import swagger_ui  # noqa: PLC0415 - see above

    return Path(swagger_ui.static_path, name).read_bytes()
