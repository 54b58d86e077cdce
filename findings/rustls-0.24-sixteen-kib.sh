#!/usr/bin/env bash
# rustls 0.24.0-dev.2 makes two records of 16 KiB: with TLS 1.3 one of 16,367 bytes of plaintext, and one of 17. Its
# default limit (`max_fragment_size: None`) is documented as the plaintext of the protocol's largest record, 16,384 bytes
# (RFC 8446, section 5.1), but what encryption adds is taken off it. rustls 0.23.46 makes one record. So a program that
# writes in pieces of 16 KiB, as many do because a record holds that much, pays for twice as many records.
#
# No larger limit can be set. Writes of 16,367 bytes fill a record each.
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

readonly OLD=0.23.46 NEW=0.24.0-dev.2
for tool in cargo openssl cc; do
    command -v "$tool" > /dev/null || { echo "SKIP: $tool is not installed"; exit 2; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout key.pem -out cert.pem 2> openssl.log
mkdir src
cat > Cargo.toml << TOML
[package]
name = "records"
version = "0.0.0"
edition = "2024"

[dependencies]
old = { package = "rustls", version = "=$OLD", default-features = false, features = ["ring", "std"] }
new = { package = "rustls", version = "=$NEW", default-features = false, features = ["webpki"] }
provider = { package = "rustls-ring", version = "=$NEW" }
types = { package = "rustls-pki-types", version = "1.15", features = ["std"] }
TOML
cat > src/main.rs << 'RUST'
//! Prints the lengths of the records that 16,384, 16,367 and 16,368 bytes become, for both versions.
use std::sync::Arc;
use types::pem::PemObject;
use types::{CertificateDer, PrivateKeyDer};

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_file("cert.pem").unwrap()
}

fn key() -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file("key.pem").unwrap()
}

/// The lengths of these records, without their headers.
fn lengths(mut records: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = records {
        let length = usize::from(*high) * 256 + usize::from(*low);
        lengths.push(length);
        records = &rest[length..];
    }
    lengths
}

fn with_old() -> impl FnMut(&[u8]) -> Vec<usize> {
    let provider = Arc::new(old::crypto::ring::default_provider());
    let mut roots = old::RootCertStore::empty();
    roots.add(certificate()).unwrap();
    let client = old::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions().unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = old::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions().unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate()], key()).unwrap();
    let mut client = old::ClientConnection::new(client.into(), "localhost".try_into().unwrap()).unwrap();
    let mut server = old::ServerConnection::new(server.into()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut sent = Vec::new();
        while client.wants_write() { client.write_tls(&mut sent).unwrap(); }
        let mut left = &sent[..];
        while !left.is_empty() { server.read_tls(&mut left).unwrap(); server.process_new_packets().unwrap(); }
        let mut sent = Vec::new();
        while server.wants_write() { server.write_tls(&mut sent).unwrap(); }
        let mut left = &sent[..];
        while !left.is_empty() { client.read_tls(&mut left).unwrap(); client.process_new_packets().unwrap(); }
    }
    assert_eq!(client.protocol_version(), Some(old::ProtocolVersion::TLSv1_3));
    move |plaintext| {
        std::io::Write::write_all(&mut client.writer(), plaintext).unwrap();
        let mut records = Vec::new();
        while client.wants_write() { client.write_tls(&mut records).unwrap(); }
        lengths(&records)
    }
}

fn with_new() -> impl FnMut(&[u8]) -> Vec<usize> {
    let provider = Arc::new(provider::DEFAULT_PROVIDER);
    let mut roots = new::RootCertStore::empty();
    roots.add(certificate()).unwrap();
    let client = new::ClientConfig::builder(provider.clone())
        .with_root_certificates(roots)
        .with_no_client_auth().unwrap();
    assert_eq!(client.max_fragment_size, None);
    let identity = new::crypto::Identity::from_cert_chain(vec![certificate()]).unwrap();
    let server = new::ServerConfig::builder(provider)
        .with_no_client_auth()
        .with_single_cert(Arc::new(identity), key()).unwrap();
    let mut to_server = Vec::new();
    let mut client = Arc::new(client).connect("localhost".try_into().unwrap()).build(&mut to_server).unwrap();
    let mut server = new::Connection::<new::ServerSide, new::Tcp>::new(server.into()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let (mut to_client, mut data) = (Vec::new(), Vec::new());
        server.read_tls(&mut new::SliceInput::new(&mut to_server), &mut to_client).handle_all(&mut data).unwrap();
        to_server.clear();
        client.read_tls(&mut new::SliceInput::new(&mut to_client), &mut to_server).handle_all(&mut data).unwrap();
    }
    assert_eq!(client.protocol_version(), Some(new::enums::ProtocolVersion::TLSv1_3));
    move |plaintext| {
        let mut records = Vec::new();
        client.write(plaintext.into(), &mut records).unwrap();
        lengths(&records)
    }
}

fn main() {
    let (mut old, mut new) = (with_old(), with_new());
    for size in [16_384, 16_367, 16_368] {
        let plaintext = vec![0; size];
        println!("{size}: 0.23 {:?}, 0.24 {:?}", old(&plaintext), new(&plaintext));
    }
}
RUST
if ! timeout 60 cargo fetch > fetch.log 2>&1; then
    echo "SKIP: the crates cannot be had"
    tail -3 fetch.log
    exit 2
fi
timeout 240 cargo run --quiet > records.log 2> build.log || { echo "SKIP: the program was not built"; tail -20 build.log; exit 2; }
cat records.log
diff records.log - << 'EXPECTED' || { echo "changed"; exit 1; }
16384: 0.23 [16401], 0.24 [16384, 34]
16367: 0.23 [16384], 0.24 [16384]
16368: 0.23 [16385], 0.24 [16384, 18]
EXPECTED
