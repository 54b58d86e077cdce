#!/usr/bin/env bash
# A client of wolfSSL 5.5.4 fails over TLS 1.3 when a server of rustls sends it a session ticket (RFC 8446,
# section 4.6.1): rustls' tickets have a nonce of 32 bytes, where the format allows 255, and wolfSSL takes
# 8. The handshake is complete by then; the first read fails. Without tickets, and over TLS 1.2, it works.
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

readonly WOLFSSL=5.5.4-2+deb12u3
readonly RUSTLS=0.23.46

for tool in apt-get dpkg-deb gcc cargo openssl; do
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

if ! timeout 60 apt-get download "libwolfssl-dev=$WOLFSSL" "libwolfssl35=$WOLFSSL" > apt.log 2>&1; then
    echo "SKIP: wolfSSL $WOLFSSL is not in this system's archive"
    exit 2
fi
for package in ./*.deb; do dpkg-deb --extract "$package" root; done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem 2> openssl.log

cat > client.c << 'C'
/* Sends a line, and prints what comes back. */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(WOLFSSL *tls, const char *what, int code) {
    char text[WOLFSSL_MAX_ERROR_SZ];
    printf("%s: %s\n", what, wolfSSL_ERR_error_string(wolfSSL_get_error(tls, code), text));
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 3) return puts(wolfSSL_lib_version()) < 0;
    wolfSSL_Init();
    WOLFSSL_CTX *context = wolfSSL_CTX_new(
        strcmp(argv[2], "1.3") ? wolfTLSv1_2_client_method() : wolfTLSv1_3_client_method());
    if (wolfSSL_CTX_load_verify_locations(context, "cert.pem", 0) != WOLFSSL_SUCCESS) return 2;
    struct sockaddr_in peer = {
        .sin_family = AF_INET,
        .sin_port = htons((unsigned short)atoi(argv[1])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int link = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(link, (struct sockaddr *)&peer, sizeof peer)) return 2;
    WOLFSSL *tls = wolfSSL_new(context);
    wolfSSL_UseSNI(tls, WOLFSSL_SNI_HOST_NAME, "localhost", 9);
    wolfSSL_check_domain_name(tls, "localhost");
    wolfSSL_set_fd(tls, link);
    int code = wolfSSL_connect(tls);
    if (code != WOLFSSL_SUCCESS) return failed(tls, "handshake", code);
    code = wolfSSL_write(tls, "hello\n", 6);
    if (code != 6) return failed(tls, "write", code);
    char line[100] = {0};
    code = wolfSSL_read(tls, line, sizeof line - 1);
    if (code <= 0) return failed(tls, "read", code);
    return printf("read: %s", line) < 0;
}
C
libraries=$folder/root/usr/lib/$(gcc -print-multiarch)
gcc -I root/usr/include -o client client.c -L "$libraries" -lwolfssl -Wl,-rpath,"$libraries"

mkdir -p server/src
cat > server/Cargo.toml << TOML
[package]
name = "server"
version = "0.0.0"
edition = "2021"

[dependencies]
rustls = { version = "=$RUSTLS", default-features = false, features = ["std", "tls12", "ring"] }

[workspace]
TOML
cat > server/src/main.rs << 'RUST'
//! Echoes one line of each client, and gives it so many tickets.
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring};

fn main() {
    let chain = CertificateDer::pem_file_iter("cert.pem").unwrap();
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file("key.pem").unwrap();
    let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.send_tls13_tickets = std::env::args().nth(1).unwrap().parse().unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("port {}", listener.local_addr().unwrap().port());
    for link in listener.incoming() {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = StreamOwned::new(connection, link.unwrap());
        let mut line = [0; 100];
        if let Ok(count) = tls.read(&mut line) {
            tls.write_all(&line[..count]).and_then(|()| tls.flush()).ok();
        }
    }
}
RUST
if ! CARGO_TARGET_DIR="$folder/target" timeout 300 cargo build --quiet --manifest-path server/Cargo.toml \
    > cargo.log 2>&1; then
    echo "SKIP: the server cannot be built: $(tail -n 3 cargo.log)"
    exit 2
fi

changed=0
expect() {
    local expected=$1 found
    found=$(timeout 20 ./client "$port" "$2")
    printf '  %s tickets, TLS %s: %s\n' "$tickets" "$2" "$found"
    [ "$found" = "$expected" ] || changed=1
}

echo "server: rustls $RUSTLS; client: wolfSSL $(./client)"
for tickets in 2 1 0; do
    target/debug/server "$tickets" > "server-$tickets.log" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        grep -q '^port ' "server-$tickets.log" && break
        sleep 0.1
    done
    port=$(sed -n 's/^port //p' "server-$tickets.log")
    if [ "$tickets" = 0 ]; then
        expect "read: hello" 1.3
    else
        expect "read: The security parameter is invalid" 1.3
    fi
    expect "read: hello" 1.2
    kill "$server"
    wait "$server" 2> /dev/null || true
    server=
done
if [ "$changed" = 1 ]; then
    echo "CHANGED"
    exit 1
fi
echo "AS DESCRIBED"
