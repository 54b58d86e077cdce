//! The identity that a handshake shows: the one of that moment.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Identity;
use crate::callback_facts::{self, Answer};

/// A server's resolver. Every client gets the one identity, whichever name it requests and if it requests
/// none, as RFC 6066, section 3 allows; checking names is up to the client.
#[derive(Debug)]
pub(crate) struct ServerKey(pub(crate) Identity);

impl ResolvesServerCert for ServerKey {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // An unbuffered connection does not provide the name later.
        if let Some(name) = hello.server_name() {
            callback_facts::note_server_name(name);
        }
        Some(self.0.current())
    }
}

/// A client's resolver. Every server that asks gets the certificate, whichever authorities it names: a
/// server that wants another one says so, which is easier to understand than a certificate that was
/// silently withheld.
#[derive(Debug)]
pub(crate) struct ClientKey(pub(crate) Option<Identity>);

impl ResolvesClientCert for ClientKey {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let current = self.0.as_ref().map(Identity::current);
        callback_facts::note_answer(match &current {
            None => Answer::None,
            // rustls checks this again, and shows no certificate.
            Some(current) if current.key.choose_scheme(sigschemes).is_none() => Answer::Unfit,
            Some(_) => Answer::Shown,
        });
        current
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}
