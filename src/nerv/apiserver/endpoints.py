"""Paths that are no resources: discovery, version, health, OpenAPI. One explicit list."""

from __future__ import annotations

import orjson

from nerv.apiserver import discovery
from nerv.apiserver.discovery import Discovery
from nerv.apiserver.publication import Publication
from nerv.apiserver.requests import Call
from nerv.apiserver.tokens import Signer
from nerv.http.messages import Response
from nerv.kube import errors
from nerv.kube.objects import Object

_HEALTH = ("/healthz", "/livez", "/readyz")


class Endpoints:
    """Answers for everything outside of resources."""

    def __init__(self, discovery: Discovery, publication: Publication, signer: Signer) -> None:
        self._discovery = discovery
        self._publication = publication
        self._signer = signer

    def answer(self, call: Call) -> Response:
        """Raises errors.NotFound, errors.MethodNotAllowed."""
        request = call.request
        path = request.path.rstrip("/")
        if request.method not in ("GET", "HEAD"):
            raise errors.MethodNotAllowed("the server does not allow this method on the requested resource", {})
        if path in ("/api", "/apis") or path.startswith(("/api/", "/apis/")):
            return self._discovery.answer(request)
        if path == "/version":
            return Response(200, orjson.dumps(discovery.version(), option=orjson.OPT_INDENT_2))
        if path.startswith("/openapi/v3"):
            return self._publication.answer(path)
        if path == "/openid/v1/jwks":
            return Response(200, orjson.dumps({"keys": [self._signer.public_jwk()]}), "application/jwk-set+json")
        if path == "/.well-known/openid-configuration":
            return Response(200, orjson.dumps(self._issuer()))
        if path.startswith(_HEALTH):
            return Response(200, b"ok", "text/plain; charset=utf-8")
        if not path:
            paths = ["/api", "/api/v1", "/apis", *_HEALTH, "/openapi/v3", "/version"]
            return Response(200, orjson.dumps({"paths": paths}))
        raise errors.NotFound("the server could not find the requested resource", {})

    def _issuer(self) -> Object:
        return {
            "issuer": self._signer.issuer,
            "jwks_uri": f"{self._signer.issuer}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }
