//! The first random number of a process is drawn with a configuration, not in a handshake.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use forebay_io::{ErrorKind, Result};
use rustls::crypto::{GetRandomFailed, SecureRandom};

use super::sides;
use crate::provider::{Cryptography, provider};
use crate::{TlsConfig, Trust};

/// Random numbers of the provider, counted; or none at all.
#[derive(Debug)]
struct Counted {
    drawn: AtomicUsize,
    fails: bool,
}

impl SecureRandom for Counted {
    fn fill(&self, bytes: &mut [u8]) -> std::result::Result<(), GetRandomFailed> {
        self.drawn.fetch_add(1, Ordering::Relaxed);
        if self.fails {
            return Err(GetRandomFailed);
        }
        provider().expect("a provider").secure_random.fill(bytes)
    }
}

/// Builds a configuration, and returns it with the number of draws.
fn built(
    fails: bool,
    build: impl FnOnce(Cryptography) -> Result<TlsConfig>,
) -> (Result<TlsConfig>, usize) {
    // Never freed, because rustls wants it so.
    let random: &Counted = Box::leak(Box::new(Counted { drawn: AtomicUsize::new(0), fails }));
    let mut cryptography = Cryptography::of_default().unwrap();
    Arc::make_mut(&mut cryptography.provider).secure_random = random;
    let config = build(cryptography);
    (config, random.drawn.load(Ordering::Relaxed))
}

#[test]
fn building_draws_the_first_random_number() {
    let (_root, client, server) = sides();
    let (config, drawn) = built(false, |cryptography| client.build_with(cryptography));
    assert!(config.is_ok() && drawn > 0, "{drawn} draws by a client");
    let (config, drawn) = built(false, |cryptography| server.build_with(cryptography));
    assert!(config.is_ok() && drawn > 0, "{drawn} draws by a server");
}

#[test]
fn a_client_that_reads_roots_later_draws_later() {
    let client = TlsConfig::client().trust(Trust::system());
    let (config, drawn) = built(false, |cryptography| client.build_with(cryptography));
    assert!(config.is_ok() && drawn == 0, "{drawn} draws");
}

#[test]
fn a_system_without_random_numbers_is_an_error_of_building() {
    let (_root, client, server) = sides();
    let (client, _) = built(true, |cryptography| client.build_with(cryptography));
    let (server, _) = built(true, |cryptography| server.build_with(cryptography));
    for config in [client, server] {
        let error = config.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::System, "{error}");
        assert!(error.to_string().contains("no random numbers"), "{error}");
    }
}
