//! Descriptors over a Unix socket: a call that is cut has passed none, or all of a message.

use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use forebay::{Connection, SelectorManager, Socket};
use futures_lite::future::poll_once;
use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::ledger::Ledger;
use crate::support::{Driven, Event, Trial};
use crate::table::{Row, Scene, Word};

pub(crate) fn rows() -> Vec<Row> {
    let rows: [(_, _, fn(&Trial)); 2] = [
        ("forebay::Socket::receive_with_fds", "that come later", receiving),
        ("forebay::Socket::send_with_fds", "to a full peer", sending),
    ];
    rows.map(|(path, name, attempt)| Row {
        path,
        words: &[Word::Lossless],
        scenes: vec![Scene::new(name, 2, attempt)],
    })
    .into()
}

/// A connection, and its peer's end, which only the trial drives.
fn pair(selector: &SelectorManager) -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let builder = selector.unix().descriptors_max(10);
    (Socket::from_fd(builder, ours.into()).unwrap().connection().unwrap(), theirs)
}

/// Sends a message with one descriptor.
fn pass(peer: &UnixStream) {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [peer.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(peer, &[IoSlice::new(b"message")], &mut control, SendFlags::empty()).unwrap();
}

/// Receives everything that is there, and returns the number of its bytes and of its descriptors.
fn passed(peer: &UnixStream) -> (usize, usize) {
    let mut counts = (0, 0);
    let mut buffer = [0; 4096];
    loop {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(10))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(&mut buffer)];
        let Ok(received) = recvmsg(peer, into, &mut control, RecvFlags::empty()) else {
            return counts;
        };
        counts.0 += received.bytes;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                counts.1 += fds.count();
            }
        }
    }
}

fn receiving(trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let (Connection { socket, mut input, .. }, peer) = pair(&selector);
        let before = Ledger::of(&selector);
        let mut world = Event::new(|| pass(&peer));
        let operation = Box::pin(socket.receive_with_fds(&mut input));
        let received = match trial.drive(operation, &mut world).await {
            Driven::Ready(received) => received,
            Driven::Cut => {
                if !world.has_happened() {
                    before.assert_unchanged(&selector);
                }
                trial.complete(Box::pin(socket.receive_with_fds(&mut input)), &mut world).await
            }
        };
        assert_eq!(received.unwrap().len(), 1);
        assert_eq!(input.read_packet(7).await.unwrap().len(), 7);
        assert!(poll_once(socket.receive_with_fds(&mut input)).await.is_none());
    });
}

fn sending(trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let (Connection { socket, mut output, .. }, peer) = pair(&selector);
        let mut other = UnixStream::from(socket.try_clone_fd().unwrap());
        let mut full = 0;
        while let Ok(count) = other.write(&[7; 1000]) {
            full += count;
        }
        let fds = [peer.as_fd()];
        let before = Ledger::of(&selector);
        let mut world = Event::new(|| assert_eq!(passed(&peer), (full, 0)));
        let operation = Box::pin(socket.send_with_fds(&mut output, "message", &fds));
        let sent = match trial.drive(operation, &mut world).await {
            Driven::Ready(sent) => sent,
            Driven::Cut => {
                if !world.has_happened() {
                    before.assert_unchanged(&selector);
                    world.happen();
                }
                assert_eq!(passed(&peer), (0, 0));
                let again = Box::pin(socket.send_with_fds(&mut output, "message", &fds));
                trial.complete(again, &mut world).await
            }
        };
        sent.unwrap();
        assert_eq!(passed(&peer), (7, 1));
    });
}
