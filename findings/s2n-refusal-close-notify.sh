#!/usr/bin/env bash
# A TLS 1.3 server of s2n-tls that insists on a client certificate, and gets none, says close_notify to
# the client and not certificate_required: the client, whose handshake is complete by then, reads a clean
# end of the connection (RFC 8446, section 6.1) where it was refused. s2n's source says that it is meant
# so (RFC 8446, section 6.2, leaves it to the server to send no alert about an error, but close_notify is
# one that says that all went well).
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

readonly S2N=0.3.47

for tool in cargo cc python3 openssl; do
    command -v "$tool" > /dev/null || { echo "SKIP: $tool is not installed"; exit 2; }
done
folder=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2> /dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem 2> openssl.log

mkdir -p server/src
cat > server/Cargo.toml << TOML
[package]
name = "server"
version = "0.0.0"
edition = "2021"

[dependencies]
s2n-tls = "=$S2N"
s2n-tls-tokio = "=$S2N"
tokio = { version = "1", features = ["io-util", "macros", "net", "rt"] }

[workspace]
TOML
cat > server/src/main.rs << 'RUST'
//! Insists on a certificate of each client; what s2n says to one that has none is up to s2n.
use s2n_tls::{config::Config, enums::ClientAuthType, security::DEFAULT_TLS13};
use s2n_tls_tokio::TlsAcceptor;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (cert, key) = (std::fs::read("cert.pem").unwrap(), std::fs::read("key.pem").unwrap());
    let mut config = Config::builder();
    config.set_security_policy(&DEFAULT_TLS13).unwrap();
    config.load_pem(&cert, &key).unwrap();
    config.trust_pem(&cert).unwrap();
    config.set_client_auth_type(ClientAuthType::Required).unwrap();
    let acceptor = TlsAcceptor::new(config.build().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("port {}", listener.local_addr().unwrap().port());
    loop {
        let (link, _) = listener.accept().await.unwrap();
        match acceptor.accept(link).await {
            Ok(_) => println!("the server has accepted a client"),
            Err(error) => println!("the server has refused a client: {error}"),
        }
    }
}
RUST
cat > client.py << 'PY'
"""Connects without a certificate, and prints how the server ends."""
import socket, ssl, sys

context = ssl.create_default_context(cafile="cert.pem")
context.minimum_version = ssl.TLSVersion[sys.argv[2]]
# Python would pass TCP's end alone off as a clean one.
link = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
try:
    tls = context.wrap_socket(link, server_hostname="localhost", suppress_ragged_eofs=False)
    print("close_notify" if tls.recv(100) == b"" else "data")
except ssl.SSLEOFError:
    print("TCP's end alone")
except (ssl.SSLError, OSError) as error:
    print(error)
PY
if ! CARGO_TARGET_DIR="$folder/target" timeout 500 cargo build --quiet --manifest-path server/Cargo.toml \
    > cargo.log 2>&1; then
    echo "SKIP: the server cannot be built: $(tail -n 3 cargo.log)"
    exit 2
fi
target/debug/server > server.log 2>&1 &
server=$!
for _ in $(seq 100); do
    grep -q '^port ' server.log && break
    sleep 0.1
done
port=$(sed -n 's/^port //p' server.log)
python3 -c 'import ssl, sys; print("client: Python", sys.version.split()[0], ssl.OPENSSL_VERSION)'
changed=0
for _ in 1 2 3 4 5; do
    found=$(timeout 20 python3 client.py "$port" TLSv1_3)
    echo "  no certificate, TLS 1.3: $found"
    [ "$found" = close_notify ] || changed=1
done
echo "server: s2n-tls $S2N"
grep -v '^port ' server.log | sort | uniq -c
grep -q 'has accepted' server.log && changed=1
if [ "$changed" = 1 ]; then
    echo "CHANGED"
    exit 1
fi
echo "AS DESCRIBED"
