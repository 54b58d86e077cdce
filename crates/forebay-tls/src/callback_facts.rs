//! Information from a call of rustls beyond its result.
//!
//! rustls calls resolvers and verifiers on the thread that drives it, and passes on only an alert and an
//! error code of what they found out. They store the rest here, and the session takes it after each call:
//! the server name that a client requested, the reason why a peer was refused, and a client's answer to a
//! certificate request.

use std::cell::Cell;

use forebay_io::{Error, TlsFault};

/// The information stored since the last [`take`].
#[derive(Debug, Default)]
pub(crate) struct CallbackFacts {
    /// The server name that a client requested (SNI, RFC 6066, section 3).
    pub(crate) server_name: Option<Box<str>>,
    /// The reason why a verifier refused the peer.
    pub(crate) refusal: Option<Refusal>,
    /// This client's answer; `None` while the server has not asked for a certificate.
    pub(crate) answer: Option<Answer>,
}

/// A client's answer to a server that asks for its certificate (RFC 8446, section 4.3.2).
///
/// Servers use the same alerts for a client with a bad certificate and for one without any, and different
/// servers use different alerts. So an alert alone does not tell what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// No certificate: the configuration has no identity.
    None,
    /// No certificate: the server accepts no signatures of the identity's kind of key.
    Unfit,
    /// The identity's certificate.
    Shown,
}

/// The reason why a verifier refused the peer: the kind, a sentence, and the user's own error.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) fault: TlsFault,
    pub(crate) detail: String,
    pub(crate) cause: Option<Error>,
}

thread_local! {
    // A `Cell` that is emptied before it is changed is never borrowed, so code that runs in between, such
    // as a destructor, cannot find it in use.
    static NOTES: Cell<CallbackFacts> = Cell::default();
}

/// Takes the notes, leaving none. Also called before rustls is, because another session may have left some.
pub(crate) fn take() -> CallbackFacts {
    NOTES.take()
}

/// Stores the server name that a client requested.
pub(crate) fn note_server_name(name: &str) {
    let mut notes = NOTES.take();
    notes.server_name = Some(name.into());
    NOTES.set(notes);
}

/// Stores this client's answer to a server that asked for its certificate.
pub(crate) fn note_answer(answer: Answer) {
    let mut notes = NOTES.take();
    notes.answer = Some(answer);
    NOTES.set(notes);
}

/// Stores the reason why the peer was refused. The first reason is kept.
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
