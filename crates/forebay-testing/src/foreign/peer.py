"""A TLS peer on Python's `ssl`, told what to do by its arguments. It says on its standard output what
was agreed on and what happened, a line each."""

import argparse
import hashlib
import os
import select
import socket
import ssl
import sys

CHUNK = 64 * 1024
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
VERIFY = {"off": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def say(line):
    print(line, flush=True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["client", "server"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--alpn", default="")
    parser.add_argument("--version", choices=list(VERSIONS))
    parser.add_argument("--name", default="localhost")
    parser.add_argument("--verify", choices=list(VERIFY), default="off")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--do", choices=list(DEEDS), default="lines")
    parser.add_argument("--file")
    parser.add_argument("--bytes", type=int, default=0)
    return parser.parse_args()


def context(given):
    is_server = given.role == "server"
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(given.ca)
    if is_server:
        made.verify_mode = VERIFY[given.verify]
        made.sni_callback = lambda tls, name, _: setattr(tls.context, "asked", name)
    if given.cert:
        made.load_cert_chain(given.cert, given.key)
    if given.alpn:
        made.set_alpn_protocols(given.alpn.split(","))
    if given.version:
        made.minimum_version = made.maximum_version = VERSIONS[given.version]
    return made


def tell(tls, given, name):
    certificate = tls.getpeercert() or {}
    subject = [value for part in certificate.get("subject", ()) for key, value in part]
    say(
        f"agreed version={tls.version()} cipher={tls.cipher()[0]} "
        f"alpn={tls.selected_alpn_protocol()} reused={tls.session_reused} name={name} "
        f"peer={','.join(subject)}."
    )


# ---- deeds ---------------------------------------------------------------------------------------


def lines(tls, _):
    """What is typed goes there, what comes from there is printed."""
    typed = True
    while True:
        waiting = [tls] + ([sys.stdin] if typed else [])
        ready = [tls] if tls.pending() else select.select(waiting, [], [])[0]
        if sys.stdin in ready:
            text = os.read(sys.stdin.fileno(), CHUNK)
            if not text:
                tls.unwrap()
                say("unwrapped")
                return
            tls.sendall(text)
        if tls in ready:
            text = tls.recv(CHUNK)
            if not text:
                tls.unwrap()
                say("ended")
                return
            os.write(1, text)


def echo(tls, _):
    while text := tls.recv(CHUNK):
        tls.sendall(text)
    tls.unwrap()
    say("ended")


def greet(tls, _):
    """Says a line, hears one, and ends. Returns the session, to be resumed."""
    tls.sendall(b"hello\n")
    text = b""
    while b"\n" not in text:
        text += tls.recv(CHUNK)
    say(text.decode().strip())
    session = tls.session
    tls.unwrap()
    return session


def bulk(tls, given):
    """The client sends the whole file, then the server does."""
    with open(given.file, "rb") as file:
        data = file.read()
    digest = hashlib.sha256()

    def receive():
        left = len(data)
        while left:
            text = tls.recv(min(left, CHUNK))
            if not text:
                sys.exit(f"{left} bytes too few")
            digest.update(text)
            left -= len(text)

    if given.role == "client":
        tls.sendall(data)
        receive()
    else:
        receive()
        tls.sendall(data)
    tls.unwrap()
    say(f"received {digest.hexdigest()}")
    say(f"sent {hashlib.sha256(data).hexdigest()}")


def answer(tls, given):
    """Reads to the end, and only then sends so many bytes: OpenSSL lets who has seen a close_notify
    write until it sends its own (SSL_shutdown(3))."""
    count = 0
    while text := tls.recv(CHUNK):
        count += len(text)
    say(f"ended after {count}")
    tls.sendall(b"a" * given.bytes)
    tls.unwrap()
    say("unwrapped")


def cut(tls, given):
    """Sends an answer to a request of HTTP, and then ends without a close_notify."""
    text = b""
    while b"\r\n\r\n" not in text:
        text += tls.recv(CHUNK)
    tls.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"a" * given.bytes)
    # The descriptor alone is closed: nothing is said of it in TLS.
    plain = socket.socket(fileno=tls.detach())
    plain.shutdown(socket.SHUT_WR)
    while plain.recv(CHUNK):
        pass
    plain.close()
    say("cut")


DEEDS = {deed.__name__: deed for deed in (lines, echo, greet, bulk, answer, cut)}

# ---- roles ---------------------------------------------------------------------------------------


def server(given):
    listener = socket.create_server(("127.0.0.1", 0))
    say(f"listening {listener.getsockname()[1]}")
    config = context(given)
    for _ in range(given.connections):
        plain, _ = listener.accept()
        config.asked = None
        try:
            with config.wrap_socket(plain, server_side=True) as tls:
                tell(tls, given, config.asked)
                DEEDS[given.do](tls, given)
        except (ssl.SSLError, OSError) as error:
            say(f"failed {error}")


def client(given):
    config, session = context(given), None
    for _ in range(given.connections):
        plain = socket.create_connection(("127.0.0.1", given.port))
        try:
            with config.wrap_socket(plain, server_hostname=given.name, session=session) as tls:
                tell(tls, given, given.name)
                session = DEEDS[given.do](tls, given)
        except (ssl.SSLError, OSError) as error:
            say(f"failed {error}")


if __name__ == "__main__":
    given = arguments()
    {"client": client, "server": server}[given.role](given)
