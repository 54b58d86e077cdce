//! What a call of rustls tells besides its result.
//!
//! rustls calls resolvers and verifiers on the thread that drives it, and hands back of what they
//! learnt only an alert and an error code. They leave the rest here, and the session takes it after
//! each call: the name that a client asked for, why a peer was refused, and how a client answered
//! when it was asked for a certificate.

use std::cell::Cell;

use forebay_io::{Error, TlsFault};

/// What was left since the last [`take`].
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The name that a client asked for (SNI, RFC 6066, section 3).
    pub(crate) server_name: Option<Box<str>>,
    /// Why a verifier refused the peer.
    pub(crate) refusal: Option<Refusal>,
    /// How this client answered; `None` while the server has not asked for a certificate.
    pub(crate) answer: Option<Answer>,
}

/// How a client answers a server that asks for its certificate (RFC 8446, section 4.3.2).
///
/// Servers refuse a client with a bad certificate and one with none by the same alerts, and each by
/// others, so an alert alone does not tell what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// With none: the configuration has no identity.
    None,
    /// With none: the server takes no signatures of the identity's kind of key.
    Unfit,
    /// With the identity's.
    Shown,
}

/// Why a verifier refused the peer: the cause, the sentence, and the user's own error.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) fault: TlsFault,
    pub(crate) detail: String,
    pub(crate) cause: Option<Error>,
}

thread_local! {
    // A cell that is emptied to be changed is never borrowed, so that nothing which is dropped or
    // called meanwhile can find it in use.
    static NOTES: Cell<Notes> = Cell::default();
}

/// Empties the notes. Called before rustls is, too, where another session's may have been left.
pub(crate) fn take() -> Notes {
    NOTES.take()
}

/// Leaves the name that a client asked for.
pub(crate) fn note_server_name(name: &str) {
    let mut notes = NOTES.take();
    notes.server_name = Some(name.into());
    NOTES.set(notes);
}

/// Leaves how this client answered a server that asked for its certificate.
pub(crate) fn note_answer(answer: Answer) {
    let mut notes = NOTES.take();
    notes.answer = Some(answer);
    NOTES.set(notes);
}

/// Leaves why the peer was refused. The first reason stands.
pub(crate) fn note_refusal(refusal: Refusal) {
    let mut notes = NOTES.take();
    if notes.refusal.is_none() {
        notes.refusal = Some(refusal);
    }
    NOTES.set(notes);
}

#[cfg(test)]
mod tests {
    use forebay_io::TlsFault;

    use super::{Refusal, note_refusal, note_server_name, take};

    fn refusal(fault: TlsFault) -> Refusal {
        Refusal { fault, detail: String::new(), cause: None }
    }

    #[test]
    fn what_was_left_is_taken_once() {
        note_server_name("example.com");
        note_refusal(refusal(TlsFault::Expired));
        let notes = take();
        assert_eq!(notes.server_name.as_deref(), Some("example.com"));
        assert_eq!(notes.refusal.map(|refusal| refusal.fault), Some(TlsFault::Expired));
        assert!(take().server_name.is_none());
        assert!(take().refusal.is_none());
    }

    #[test]
    fn the_first_reason_stands() {
        note_refusal(refusal(TlsFault::WeakKey));
        note_refusal(refusal(TlsFault::InvalidCertificate));
        assert_eq!(take().refusal.map(|refusal| refusal.fault), Some(TlsFault::WeakKey));
    }

    #[test]
    fn another_thread_sees_nothing() {
        note_server_name("example.com");
        let elsewhere = std::thread::spawn(|| take().server_name).join().unwrap();
        assert!(elsewhere.is_none());
        assert!(take().server_name.is_some());
    }
}
