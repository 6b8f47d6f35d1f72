"""An OpenID Connect provider on this machine: real TLS of its own authority, real keys, and ways to misbehave."""

import base64
import datetime
import hashlib
import http.server
import ipaddress
import json
import ssl
import tempfile
import threading
import time
import uuid

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


def certificate(subject, key, issuer=None, issuer_key=None, address=None):
    now = datetime.datetime.now(datetime.timezone.utc)
    name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer or subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=address is None, path_length=None), critical=True)
    )
    if address:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key or key, hashes.SHA256())


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def thumbprint(certificate):
    return hashlib.sha1(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A signing key of the provider."""

    def __init__(self, algorithm="RS256"):
        self.algorithm, self.id = algorithm, uuid.uuid4().hex[:8]
        curves = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
        if algorithm in curves:
            self.private = ec.generate_private_key(curves[algorithm]())
        else:
            self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def public(self):
        kind = jwt.algorithms.ECAlgorithm if self.algorithm.startswith("ES") else jwt.algorithms.RSAAlgorithm
        return {**kind.to_jwk(self.private.public_key(), as_dict=True), "kid": self.id, "use": "sig", "alg": self.algorithm}


class Provider:
    def __init__(self, *algorithms):
        self.keys = [Key(algorithm) for algorithm in algorithms or ("RS256",)]
        self.padding, self.redirect, self.status, self.asked = 0, None, 200, []
        # Cleared, it doesn't answer.
        self.answers = threading.Event()
        self.answers.set()
        authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.authority = certificate("some authority", authority_key)
        self.certificate = certificate("idp", server_key, "some authority", authority_key, address="127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as chain:
            chain.write(pem(self.certificate) + pem(self.authority) + private_pem(server_key))
            chain.flush()
            context.load_cert_chain(chain.name)
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                provider.asked.append(self.path)
                provider.answers.wait(30)
                if provider.redirect:
                    self.send_response(302)
                    self.send_header("Location", provider.redirect)
                    self.end_headers()
                    return
                documents = {
                    "/.well-known/openid-configuration": {"issuer": provider.issuer, "jwks_uri": provider.issuer + "/keys"},
                    "/keys": {"keys": [key.public() for key in provider.keys], "padding": "x" * provider.padding},
                }
                body = json.dumps(documents.get(self.path, {})).encode()
                self.send_response(provider.status if self.path in documents else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    # Whoever asked has had enough.
                    pass

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"127.0.0.1:{self.server.server_port}"
        self.issuer = "https://" + self.url
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def claims(self, **more):
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "ann", "aud": "app", "iat": now, "exp": now + 600, **more}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key=None, headers=None, **claims):
        key = key or self.keys[0]
        return jwt.encode(self.claims(**claims), key.private, algorithm=key.algorithm, headers={"kid": key.id, **(headers or {})})

    def close(self):
        self.answers.set()
        self.server.shutdown()
        self.server.server_close()
