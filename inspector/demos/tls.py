"""TLS on the same socket: records instead of text, and nothing of 你好 on the wire.

TCP's handshake comes first, then TLS's own; what the programs say is encrypted from then on. A record has its length
in its header, so TLS frames the byte stream as any protocol must; one segment may carry several. unwrap() says
goodbye in a record (close_notify) before TCP's FIN: an end that nobody can forge.
"""

import datetime
import ipaddress
import os
import socket
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from inspector.demos import Demo, play
from inspector.demos.stage import FOLDER_VARIABLE

DEMO = Demo("tls")
ADDRESS = ("127.0.0.1", 8443)


def server() -> None:
    """Answer one question, encrypted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = own_certificate()
    context.load_cert_chain(certificate)
    with socket.create_server(ADDRESS) as listener:
        raw, _address = listener.accept()
        with context.wrap_socket(raw, server_side=True) as connection:
            print(connection.version(), connection.recv(1024).decode())
            connection.sendall("好的".encode())
            connection.unwrap().close()


def client() -> None:
    """Trust exactly the server's certificate."""
    context = ssl.create_default_context(cafile=str(certificate_path()))
    with (
        socket.create_connection(ADDRESS) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall("你好".encode())
        print(connection.recv(1024).decode())
        connection.unwrap().close()


def certificate_path() -> Path:
    """Where server and client of this run find it."""
    return Path(os.environ[FOLDER_VARIABLE], "server.pem")


def own_certificate() -> Path:
    """A key and a certificate that it signs itself, good for an hour."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "inspector demo")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate_path().write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return certificate_path()


if __name__ == "__main__":
    play({"server": server, "client": client})
