//! Signatures of the handshake.

use forebay_io::{Error, TlsFault};
use rustls::internal::msgs::codec::{Codec, Reader};
use rustls::{DigitallySignedStruct, SignatureScheme};

use super::{Authority, provider, refused};
use crate::fault::{Known, explained};
use crate::{Trust, callback_facts};

const HOST: &str = "www.example.com";

/// A peer that merely shows a certificate has proved nothing, also if every peer is accepted.
#[test]
fn a_signature_of_the_handshake_is_always_checked() {
    let root = Authority::new("the root");
    let leaf = root.leaf(&[HOST]);
    let kinds = [root.trust(), Trust::verifier(|_| Ok(())), Trust::dangerous_accept_any()];
    for trust in kinds {
        let forged =
            signature(SignatureScheme::ECDSA_NISTP256_SHA256, &[0x30, 6, 2, 1, 1, 2, 1, 1]);
        callback_facts::take();
        let verifier = trust.server_verifier(&provider(), None).unwrap();
        let of_13 = verifier.verify_tls13_signature(b"message", &leaf, &forged).unwrap_err();
        not_signed("server", explained("tls", of_13, callback_facts::take(), Known::default()));
        let of_12 = verifier.verify_tls12_signature(b"message", &leaf, &forged).unwrap_err();
        not_signed("server", explained("tls", of_12, callback_facts::take(), Known::default()));
        let verifier = trust.client_verifier(&provider(), true).unwrap();
        let of_13 = verifier.verify_tls13_signature(b"message", &leaf, &forged).unwrap_err();
        not_signed(
            "client",
            explained("accept_tls", of_13, callback_facts::take(), Known::default()),
        );
        let of_12 = verifier.verify_tls12_signature(b"message", &leaf, &forged).unwrap_err();
        not_signed(
            "client",
            explained("accept_tls", of_12, callback_facts::take(), Known::default()),
        );
    }
}

#[track_caller]
fn not_signed(whose: &str, error: Error) {
    refused(
        Err(error),
        TlsFault::InvalidCertificate,
        &format!("the {whose} to sign the handshake with the key of its certificate"),
        "the signature does not fit the certificate of CN=the leaf",
        &format!("whether the {whose}'s key belongs"),
    );
}

/// A peer's signature: a scheme and the signature's bytes.
fn signature(scheme: SignatureScheme, bytes: &[u8]) -> DigitallySignedStruct {
    let mut encoded = u16::from(scheme).to_be_bytes().to_vec();
    encoded.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
    encoded.extend(bytes);
    DigitallySignedStruct::read(&mut Reader::init(&encoded)).unwrap()
}
