//! The layer on top of a secure connection: a TLS session and its handshake.
//!
//! The session reads and writes the connection through channels of its own, which are not handles of the
//! connection. The channels of the user belong to the session. So everything above (dropping, closing,
//! limits on silence) finds one write side, the outermost, and everything below works as without TLS.

use std::any::Any;
use std::pin::pin;
use std::sync::{Arc, Weak};

use forebay_io::seam::{Inbox, Outbox, Source, WakeList};
use forebay_io::{Error, ErrorKind, Result};
use forebay_tls::TlsConfig;
use forebay_tls::seam::{Acknowledged, Peer, Session};

use super::core::Core;
use super::source::SocketSource;
use crate::selector::{Bounded, Member, closed};
use crate::task::run_blocking;
use crate::time::within;

/// The TLS state that all handles of a connection share.
#[derive(Debug)]
pub(super) struct TlsStream {
    session: Arc<Session>,
    outbox: Arc<Outbox>,
}

impl TlsStream {
    /// Makes a session that has not begun its handshake, over a connection that has no reader.
    pub(super) fn over(core: &Arc<Core>, below: Arc<Outbox>) -> Self {
        let layer = SocketSource::for_layer(Arc::clone(core));
        Self::new(core, Inbox::new(Box::new(layer)), below)
    }

    pub(super) fn new(core: &Arc<Core>, inbox: Inbox, below: Arc<Outbox>) -> Self {
        let peer = Arc::clone(core) as Arc<dyn Peer>;
        let session = Session::with_peer(inbox, below, peer);
        let outbox = session.make_outbox();
        core.set_outbox(&outbox);
        core.set_session(&session);
        Self { session, outbox }
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(super) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    pub(super) fn source(&self, keep: Arc<dyn Any + Send + Sync>) -> Box<dyn Source> {
        self.session.make_source(keep)
    }
}

/// Begins the handshake of a listener's TLS, in a task of its own.
pub(super) fn begin(core: &Arc<Core>, secured: &TlsStream, config: &TlsConfig) {
    let (core, session, config) = (Arc::clone(core), Arc::clone(&secured.session), config.clone());
    let selector = Arc::clone(core.selector());
    let refused = Arc::clone(&session);
    let begun = selector.spawn_own(async move {
        // Calls that read or write report the failure.
        shake(&core, &session, &config).await.ok();
    });
    if !begun {
        refused.abort(&closed("tls handshake"));
    }
}

impl Peer for Core {
    fn address(&self) -> Option<String> {
        self.peer_name()
    }

    fn acknowledged(&self) -> Acknowledged {
        self.link().acknowledged()
    }

    fn is_closing(&self) -> bool {
        Core::is_closing(self) && !self.is_handshaking()
    }

    fn loses_nothing(&self) {
        self.set_loses_nothing();
    }

    fn loss_told(&self, is_harmless: bool, after: &mut WakeList) {
        if is_harmless {
            self.announce(self.life().we_ended(), after);
        }
        self.wake_waiters(after);
    }

    fn changed(&self, after: &mut WakeList) {
        self.wake_waiters(after);
    }
}

/// Performs the handshake, within the time that the configuration allows.
pub(super) async fn shake(
    core: &Arc<Core>,
    session: &Arc<Session>,
    config: &TlsConfig,
) -> Result<()> {
    let _over = HandshakeOver { core, session };
    let limit = config.handshake_timeout();
    let timers = core.selector().timers();
    let mut handshake = pin!(handshake(core, session, config));
    let outcome = within(timers, limit, handshake.as_mut()).await.unwrap_or_else(|| {
        let error = Error::new(ErrorKind::TimedOut, "tls handshake")
            .with_detail(format!("not complete after {limit:?} (handshake_timeout sets this)"));
        session.abort(&error);
        Err(error)
    });
    let outcome = outcome.map_err(|error| core.named(error));
    match &outcome {
        Ok(()) => core.span().secured(|| session.info()),
        Err(error) => core.span().not_secured(error),
    }
    outcome
}

async fn handshake(core: &Arc<Core>, session: &Arc<Session>, config: &TlsConfig) -> Result<()> {
    let selector = core.selector();
    let store = &selector.sockets().tls;
    let mut begun = None;
    if !config.is_client() {
        // A silent peer costs only its descriptor.
        let silent = ListedHandshake::new(&selector.sockets().silent, core, session);
        session.heard().await?;
        drop(silent);
        begun = Some(ListedHandshake::new(&selector.sockets().handshakes, core, session));
    }
    if !config.is_loaded(store) {
        let (loading, into) = (config.clone(), Arc::clone(store));
        let load = move || loading.load(&into);
        let loaded = run_blocking(selector.own_calls(), "tls handshake", load).await;
        if let Err(error) = loaded.and_then(|loaded| loaded) {
            session.abort(&error);
            return Err(error);
        }
    }
    let host = if config.is_client() { core.host() } else { None };
    let outcome = session.handshake(config, store, host.as_deref()).await;
    drop(begun);
    outcome
}

/// Held during a handshake; after that a close may discard input.
struct HandshakeOver<'a> {
    core: &'a Arc<Core>,
    session: &'a Session,
}

impl Drop for HandshakeOver<'_> {
    fn drop(&mut self) {
        self.session.abandon();
        self.core.end_handshake();
    }
}

/// Keeps a handshake in a list of the selector while this value lives.
struct ListedHandshake<'a> {
    list: &'a Bounded,
    ticket: u64,
    _member: Arc<Oldest>,
}

/// Ends a handshake that is the oldest of its list.
struct Oldest {
    core: Weak<Core>,
    session: Weak<Session>,
    most: usize,
}

impl<'a> ListedHandshake<'a> {
    fn new(list: &'a Bounded, core: &Arc<Core>, session: &Arc<Session>) -> Self {
        let (core, session) = (Arc::downgrade(core), Arc::downgrade(session));
        let member = Arc::new(Oldest { core, session, most: list.most() });
        let listed = Arc::clone(&member) as Arc<dyn Member>;
        let ticket = list.add(Arc::downgrade(&listed));
        Self { list, ticket, _member: member }
    }
}

impl Drop for ListedHandshake<'_> {
    fn drop(&mut self) {
        self.list.leave(self.ticket);
    }
}

impl Oldest {
    fn fail(&self, kind: ErrorKind, why: String) {
        let error = Error::new(kind, "tls handshake").with_detail(why);
        if let Some(session) = self.session.upgrade() {
            session.abort(&error);
        }
        if let Some(core) = self.core.upgrade() {
            // Usually done already, unless another thread is in the middle of a call on the session.
            core.abort_whole(core.named(error));
        }
    }
}

impl Member for Oldest {
    fn end(&self) {
        let most = self.most;
        self.fail(
            ErrorKind::LimitExceeded { limit: most as u64 },
            format!(
                "more than {most} peers had begun a handshake, and this was the oldest \
                 (SelectorBuilder::handshakes_max sets this)"
            ),
        );
    }

    fn end_for_descriptor(&self) {
        let why = "no descriptor or memory was left for another connection, and this handshake was \
                   the oldest";
        self.fail(ErrorKind::Exhausted, why.to_owned());
    }
}
