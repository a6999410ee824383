"""A small authorization server to test against: metadata, registration, codes with PKCE, tokens.

It says yes to everybody at once. The first authorization grants crm:read alone, every further one
what was asked for, so that a client has to come back for more. Prints its address as a line of JSON.
"""

import base64
import hashlib
import json
import secrets
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key()))
codes = {}
granted = []


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        match url.path:
            case "/.well-known/oauth-authorization-server":
                self.answer(200, metadata())
            case "/jwks":
                self.answer(200, {"keys": [{**PUBLIC, "kid": "as", "use": "sig"}]})
            case "/authorize":
                code = secrets.token_urlsafe()
                codes[code] = asked
                back = urlencode({"code": code, "state": asked["state"], "iss": ISSUER})
                self.answer(302, {}, Location=f"{asked['redirect_uri']}?{back}")
            case _:
                self.answer(404, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/register":
            self.answer(201, {**json.loads(body), "client_id": "an-agent"})
        elif self.path == "/token":
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self.answer(*token(form))
        else:
            self.answer(404, {})

    def answer(self, status, body, **headers):
        text = json.dumps(body).encode()
        self.send_response(status)
        headers = {"Content-Type": "application/json", **headers}
        for name, value in {**headers, "Content-Length": len(text)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def metadata():
    return {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "registration_endpoint": f"{ISSUER}/register",
        "jwks_uri": f"{ISSUER}/jwks",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": True,
    }


def token(form):
    asked = codes.pop(form["code"])
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    # The token is for the resource that the client named, in both requests.
    if (
        asked["code_challenge"] != challenge
        or asked.get("resource") != form.get("resource")
        or "resource" not in asked
    ):
        return 400, {"error": "invalid_grant"}
    scope = asked.get("scope", "") if granted else "crm:read"
    granted.append(scope)
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": "ada",
        "aud": asked["resource"],
        "client_id": "an-agent",
        "iat": now,
        "exp": now + 600,
        "scope": scope,
    }
    headers = {"kid": "as", "typ": "at+jwt"}
    access = jwt.encode(claims, KEY, algorithm="ES256", headers=headers)
    return 200, {
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": scope,
    }


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
ISSUER = f"http://127.0.0.1:{server.server_port}"
print(json.dumps({"issuer": ISSUER}), flush=True)
server.serve_forever()
