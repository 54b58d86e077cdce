//! As `drop_orders`, over TLS: a selector, a secure socket and its two channels are dropped in all 24
//! orders and from everywhere, once as the client and once as the server of the handshake. The other
//! side is a selector of its own, which goes on: to it an end is one that was said (`close_notify`),
//! or else a reset, and nothing between; and nothing of either side is left.

#![cfg(all(target_os = "linux", feature = "tls"))]

use forebay::{Connection, SelectorManager, ServerSocket, Socket};
use forebay_testing::{
    alone,
    drop_orders::{
        Arrival, ENDS_WITHIN, Peer, Peers, all_end_soon_and_leave_nothing,
        no_peer_that_never_reads_holds_a_socket_for_ever,
    },
    other_handle, socket_descriptors,
    tls::{Configs, handle_next, listen_plainly},
};
use socket2::SockRef;

/// The handshake's role of the side whose parts are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Client,
    Server,
}

/// Ours, on a selector of their own.
struct Secure {
    role: Role,
    selector: SelectorManager,
    listener: ServerSocket,
    configs: Configs,
}

impl Secure {
    fn peers_of(role: Role) -> Self {
        let selector = SelectorManager::new();
        let others = socket_descriptors();
        let listener = listen_plainly(&selector);
        make_segments_small(&others);
        // What is kept of a session for the next one looks like a leak.
        let configs = Configs::with(|it| it.session_cache(0), |it| it.session_cache(0));
        Self { role, selector, listener, configs }
    }
}

/// Of the one socket that is none of these, and of what it accepts.
fn make_segments_small(others: &[(String, String)]) {
    let mut sockets = socket_descriptors();
    sockets.retain(|it| !others.contains(it));
    let [(number, _)] = &sockets[..] else { panic!("not one listener: {sockets:?}") };
    let also = other_handle(number).unwrap();
    SockRef::from(&also).set_tcp_mss(1400).unwrap();
}

impl Peers for Secure {
    type Peer = SecurePeer;

    async fn connect(&self, selector: &SelectorManager) -> (Socket, SecurePeer) {
        let (role, Configs { client, server }) = (self.role, self.configs.clone());
        let accepting = handle_next(&self.selector, &self.listener, move |plain| async move {
            match role {
                Role::Client => plain.accept_tls(&server).await?.connection(),
                Role::Server => plain.tls(&client).await?.connection(),
            }
        });
        let plain = selector.tcp().connect(self.listener.local_address()).await.unwrap();
        let socket = match role {
            Role::Client => plain.tls(&self.configs.client).await.unwrap(),
            Role::Server => plain.accept_tls(&self.configs.server).await.unwrap(),
        };
        let connection = accepting.await.unwrap().unwrap();
        (socket, SecurePeer { selector: self.selector.clone(), connection })
    }

    fn is_at_rest(&self) -> bool {
        let stats = self.selector.stats();
        // Its listener is what it has.
        (stats.sockets, stats.background_closes) == (1, 0)
            && (stats.tasks, stats.timers, stats.blocks) == (0, 0, 0)
    }
}

struct SecurePeer {
    selector: SelectorManager,
    connection: Connection,
}

impl Peer for SecurePeer {
    async fn say(&mut self, bytes: &[u8]) {
        self.connection.output.write_all(bytes).await.unwrap();
        self.connection.output.flush().await.unwrap();
    }

    fn read_to_end(&mut self) -> (Vec<u8>, Arrival) {
        let Connection { input, socket, .. } = &mut self.connection;
        socket.set_read_timeout(ENDS_WITHIN);
        self.selector.block_on(async {
            let mut bytes = Vec::new();
            loop {
                match input.read_chunk().await {
                    Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                    Ok(None) => return (bytes, Arrival::Everything),
                    Err(error) => {
                        assert!(error.is_reset(), "after {} bytes: {error}", bytes.len());
                        return (bytes, Arrival::Reset);
                    }
                }
            }
        })
    }
}

#[test]
fn every_order_of_a_client_ends_soon_and_leaves_nothing() {
    alone("every_order_of_a_client_ends_soon_and_leaves_nothing", || {
        let name = "tls_drop_orders, client";
        all_end_soon_and_leave_nothing(name, (2, 5), || Secure::peers_of(Role::Client));
    });
}

#[test]
fn every_order_of_a_server_ends_soon_and_leaves_nothing() {
    alone("every_order_of_a_server_ends_soon_and_leaves_nothing", || {
        let name = "tls_drop_orders, server";
        all_end_soon_and_leave_nothing(name, (2, 5), || Secure::peers_of(Role::Server));
    });
}

#[test]
fn a_peer_that_never_reads_holds_no_client_for_ever() {
    alone("a_peer_that_never_reads_holds_no_client_for_ever", || {
        no_peer_that_never_reads_holds_a_socket_for_ever(|| Secure::peers_of(Role::Client));
    });
}

#[test]
fn a_peer_that_never_reads_holds_no_server_for_ever() {
    alone("a_peer_that_never_reads_holds_no_server_for_ever", || {
        no_peer_that_never_reads_holds_a_socket_for_ever(|| Secure::peers_of(Role::Server));
    });
}
