#!/usr/bin/env bash
# quinn-udp 0.6.3 writes the class of service of every datagram that it sends on Linux: the congestion mark (ECN) that
# the caller asks for, or zero, as ancillary data of the call. That is the whole byte of the IP header, so it replaces the
# class (DSCP) that the program has set on the socket. A socket with IP_TOS 0xb8 (expedited forwarding, for voice) sends
# with 0xb8 by send_to, and with 0 by UdpSocketState::try_send, although the option still reads 0xb8. No call fails, and
# the routers treat the datagrams as ordinary ones.
#
# prepare_msg pushes IP_TOS, or IPV6_TCLASS, whatever `Transmit::ecn` is (src/unix.rs). For QUIC, for which the crate is
# made, the sockets are its own; a program that takes it for other datagrams loses the class.
#
# So send with the socket's own call where the class counts, or set both on the socket.
#
# Seen with quinn-udp 0.6.3, socket2 0.6.5, Linux 6.18.
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

if [ "$(uname -s)" != Linux ] || ! command -v cargo > /dev/null; then
    echo "SKIP: this takes Linux and cargo"
    exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml << 'T'
[package]
name = "class-of-service"
version = "0.0.0"
edition = "2024"

[dependencies]
nix = { version = "=0.31.3", features = ["net", "socket", "uio"] }
quinn-udp = { version = "=0.6.3", default-features = false }
socket2 = "=0.6.5"

[workspace]
T
cat > src/main.rs << 'R'
use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg};
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use socket2::SockRef;

/// The class of service of the next datagram, as it arrives.
fn class_of_next(receiver: &UdpSocket) -> u8 {
    let (mut bytes, mut about) = ([0; 16], cmsg_space!(u8, i32));
    let into = &mut [IoSliceMut::new(&mut bytes)];
    let fd = receiver.as_raw_fd();
    let message = recvmsg::<SockaddrIn>(fd, into, Some(&mut about), MsgFlags::empty()).unwrap();
    let mut classes = message.cmsgs().unwrap().filter_map(|about| match about {
        ControlMessageOwned::Ipv4Tos(class) => Some(class),
        _ => None,
    });
    classes.next().unwrap()
}

fn main() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    SockRef::from(&receiver).set_recv_tos_v4(true).unwrap();
    let to = receiver.local_addr().unwrap();

    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    SockRef::from(&sender).set_tos_v4(0xb8).unwrap();
    sender.send_to(b"one", to).unwrap();
    println!("send_to: {:#04x}", class_of_next(&receiver));

    let state = UdpSocketState::new(UdpSockRef::from(&sender)).unwrap();
    let transmit =
        Transmit { destination: to, ecn: None, contents: b"two", segment_size: None, src_ip: None };
    state.try_send(UdpSockRef::from(&sender), &transmit).unwrap();
    println!("try_send: {:#04x}", class_of_next(&receiver));
    println!("the option: {:#04x}", SockRef::from(&sender).tos_v4().unwrap());
}
R
if ! cargo build --quiet; then
    echo "SKIP: the crates cannot be built here"
    exit 2
fi
said=$(target/debug/class-of-service)
echo "$said"
[ "$said" = "send_to: 0xb8
try_send: 0x00
the option: 0xb8" ]
