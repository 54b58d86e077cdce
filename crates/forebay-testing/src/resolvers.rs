//! Resolvers of tests.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use forebay::{FoundAddresses, Resolver, Result};

use crate::{OnDrop, Signal, lock};

/// Gives the same addresses for every name, at once and in one part.
#[derive(Debug, Clone)]
pub struct Names(Vec<IpAddr>);

impl Names {
    pub fn of<A: Into<IpAddr>>(addresses: impl IntoIterator<Item = A>) -> Self {
        Self(addresses.into_iter().map(Into::into).collect())
    }
}

impl Resolver for Names {
    async fn resolve(&self, _: &str, found: &FoundAddresses) -> Result<()> {
        found.add(self.0.iter().copied());
        Ok(())
    }
}

/// Gives what the test gives it, part by part; forever nothing, if the test does not.
#[derive(Debug, Clone, Default)]
pub struct ByHand(Arc<Hand>);

#[derive(Debug, Default)]
struct Hand {
    begun: AtomicUsize,
    running: AtomicUsize,
    found: Mutex<Option<FoundAddresses>>,
    outcome: Mutex<Option<Result<()>>>,
    ends: Mutex<Signal>,
}

impl ByHand {
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many look-ups have begun.
    pub fn begun(&self) -> usize {
        self.0.begun.load(SeqCst)
    }

    /// Returns how many look-ups have begun, and were neither ended nor dropped.
    pub fn running(&self) -> usize {
        self.0.running.load(SeqCst)
    }

    /// Adds a part to the look-up that began last.
    pub fn add<const N: usize>(&self, part: [&str; N]) {
        let found = lock(&self.0.found).clone().expect("a look-up has begun");
        found.add(part.map(|ip| ip.parse::<IpAddr>().unwrap()));
    }

    /// Ends the look-ups that have begun.
    pub fn end(&self, result: Result<()>) {
        *lock(&self.0.outcome) = Some(result);
        let ends = std::mem::take(&mut *lock(&self.0.ends));
        ends.set();
    }
}

impl Resolver for ByHand {
    async fn resolve(&self, _: &str, found: &FoundAddresses) -> Result<()> {
        let hand = Arc::clone(&self.0);
        hand.begun.fetch_add(1, SeqCst);
        hand.running.fetch_add(1, SeqCst);
        let _over = OnDrop(|| {
            hand.running.fetch_sub(1, SeqCst);
        });
        *lock(&hand.found) = Some(found.clone());
        let ends = lock(&hand.ends).clone();
        ends.await;
        lock(&hand.outcome).clone().unwrap_or(Ok(()))
    }
}
