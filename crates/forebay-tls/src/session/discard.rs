//! Throwing away what arrives for nobody.

use super::engine::Step;
use super::{ARRIVED_BYTES_MAX, Phase, Session, State};

impl Session {
    /// Takes ciphertext that arrives while the connection is being closed. True if there was data
    /// in it, or that cannot be told: then the peer is still sending. False for what TLS itself
    /// says behind the handshake, session tickets above all, which a peer that only writes never
    /// reads.
    ///
    /// What is wrong with it is the writer's to meet, and to tell the peer, at its next record.
    pub fn discard(&self, arrived: &[u8]) -> bool {
        let Ok(mut state) = self.enter() else { return true };
        let State { phase: Phase::Open, inbox: Some(inbox), engine: Some(engine), .. } =
            &mut *state
        else {
            return true;
        };
        if inbox.len() + arrived.len() > ARRIVED_BYTES_MAX {
            return true;
        }
        inbox.append(arrived);
        let mut has_data = false;
        let mut look = |plaintext: &[u8]| has_data |= !plaintext.is_empty();
        let done = loop {
            match engine.work(inbox, &mut look, &mut |_| Ok(())) {
                Ok(Step::Plaintext) => {}
                done => break done.is_ok(),
            }
        };
        if done {
            self.queue_own(engine);
        }
        drop(state);
        self.send_own();
        has_data || !done
    }
}
