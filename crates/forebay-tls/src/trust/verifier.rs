//! Implements rustls' verifiers, by a [`Judge`] and the provider's check of signatures.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::chain::{Presented, Role};
use super::explain;
use super::judge::{Judge, Refused};
use crate::callback_facts::note_refusal;

/// Adapts a [`Judge`] to rustls' certificate verifiers, for servers and for clients.
///
/// rustls' errors carry no certificate. So the explanation is put together here, where the chain, the name
/// and the time are known, and left in the notes. The error itself is passed on, so that rustls sends the
/// alert that belongs to it.
#[derive(Debug)]
pub(super) struct Verifier {
    judge: Box<dyn Judge>,
    algorithms: WebPkiSupportedAlgorithms,
    /// The owner of the signatures that are checked; the name is not known there.
    peer: Role<'static>,
    required: bool,
}

impl Verifier {
    /// Makes a verifier of servers, which always send a certificate.
    pub(super) fn of_servers(judge: Box<dyn Judge>, provider: &Arc<CryptoProvider>) -> Self {
        let algorithms = provider.signature_verification_algorithms;
        Self { judge, algorithms, peer: Role::SomeServer, required: true }
    }

    /// Makes a verifier of clients. `required` refuses clients that send no certificate.
    pub(super) fn of_clients(
        judge: Box<dyn Judge>,
        provider: &Arc<CryptoProvider>,
        required: bool,
    ) -> Self {
        let algorithms = provider.signature_verification_algorithms;
        Self { judge, algorithms, peer: Role::Client, required }
    }

    fn verify(&self, presented: &Presented<'_>) -> Result<(), Error> {
        self.judged(presented).map_err(|refused| {
            note_refusal(refused.refusal);
            refused.error
        })
    }

    fn judged(&self, presented: &Presented<'_>) -> Result<(), Refused> {
        presented.check_key()?;
        if self.judge.searches() {
            presented.check_search()?;
        }
        self.judge.judge(presented)
    }

    /// Records why a signature of the handshake was refused.
    fn explained(
        &self,
        checked: Result<HandshakeSignatureValid, Error>,
        certificate: &CertificateDer<'_>,
    ) -> Result<HandshakeSignatureValid, Error> {
        checked.inspect_err(|error| {
            if let Some(refusal) = explain::signature(error, certificate, self.peer) {
                note_refusal(refusal);
            }
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let role = Role::Server(server_name);
        let presented = Presented { end_entity, intermediates, role, ocsp_response, now };
        self.verify(&presented).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let checked = verify_tls12_signature(message, certificate, signature, &self.algorithms);
        self.explained(checked, certificate)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let checked = verify_tls13_signature(message, certificate, signature, &self.algorithms);
        self.explained(checked, certificate)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Signatures are checked as a server's are; `peer` is the side that made them.
impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.judge.hints()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let role = Role::Client;
        let presented = Presented { end_entity, intermediates, role, ocsp_response: &[], now };
        self.verify(&presented).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}
