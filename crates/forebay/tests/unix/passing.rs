//! Descriptors that are passed over a Unix socket, in order with the bytes.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::process::Command;

use forebay::{Connection, ErrorKind, Result, SelectorManager, Socket};
use forebay_testing::{
    NoDescriptors, Transport, alone, counted_alone, descriptors,
    foreign::Foreign,
    foreign::piped,
    in_host, on_every_transport, run, run_on_one_worker, skip,
    tls::{Configs, secure_pair},
    unix::Directory,
    watched,
};
use futures_lite::future::{poll_once, zip};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::sockopt::set_socket_passcred;

/// Two connected ends, each with room for so many descriptors.
async fn pair(selector: &SelectorManager, most: u8) -> Result<(Connection, Connection)> {
    let directory = Directory::new();
    let path = directory.join("pair");
    let server = selector.unix().descriptors_max(most).bind(&path).await?;
    let client = selector.unix().descriptors_max(most).connect(&path).await?;
    Ok((client.connection()?, server.accept().await?.connection()?))
}

async fn send(from: &mut Connection, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    from.socket.send_with_fds(&mut from.output, bytes, fds).await
}

async fn receive(to: &mut Connection) -> Result<Vec<OwnedFd>> {
    to.socket.receive_with_fds(&mut to.input).await
}

/// Makes pipes.
pub(super) fn pipes(count: usize) -> (Vec<PipeReader>, Vec<PipeWriter>) {
    (0..count).map(|_| pipe().unwrap()).unzip()
}

/// Sends the writing ends of new pipes.
async fn send_pipes(from: &mut Connection, bytes: &[u8], count: usize) -> Result<Vec<PipeReader>> {
    let (readers, writers) = pipes(count);
    send(from, bytes, &writers.iter().map(AsFd::as_fd).collect::<Vec<_>>()).await?;
    Ok(readers)
}

/// Asserts that no process has the other end of any of these, and no message either.
pub(super) fn assert_all_ended(pipes: Vec<PipeReader>) {
    for mut pipe in pipes {
        assert_eq!(pipe.read(&mut [0]).unwrap(), 0);
    }
}

/// Asserts that these are the other ends of those pipes, in order.
pub(super) fn assert_joined(fds: Vec<OwnedFd>, pipes: Vec<PipeReader>) {
    assert_eq!(fds.len(), pipes.len());
    for (number, (fd, mut pipe)) in fds.into_iter().zip(pipes).enumerate() {
        assert!(fcntl_getfd(&fd).unwrap().contains(FdFlags::CLOEXEC));
        let text = number.to_string();
        File::from(fd).write_all(text.as_bytes()).unwrap();
        let mut passed = String::new();
        pipe.read_to_string(&mut passed).unwrap();
        assert_eq!(passed, text);
    }
}

#[test]
fn descriptors_come_in_order_and_so_do_the_bytes() {
    counted_alone("descriptors_come_in_order_and_so_do_the_bytes", || {
        in_host(async |selector: SelectorManager| {
            let (mut near, mut far) = pair(&selector, 253).await?;
            near.output.write_str("before\n").await?;
            let one = send_pipes(&mut near, b"one\n", 1).await?;
            near.output.write_str("between\n").await?;
            let many = send_pipes(&mut near, b"many\n", 100).await?;
            let two = send_pipes(&mut near, b"two\n", 2).await?;
            near.output.write_str("behind\n").await?;
            near.output.flush().await?;

            assert_joined(receive(&mut far).await?, one);
            assert_eq!(far.input.read_line().await?.as_deref(), Some("before"));
            // What was read before it is asked for stays too.
            for expected in ["one", "between", "many", "two", "behind"] {
                assert_eq!(far.input.read_line().await?.as_deref(), Some(expected));
            }
            assert_joined(receive(&mut far).await?, many);
            assert_joined(receive(&mut far).await?, two);
            assert!(poll_once(receive(&mut far)).await.is_none());
            let all = send_pipes(&mut far, b"x", 253).await?;
            assert_joined(receive(&mut near).await?, all);
            far.output.finish().await?;
            assert_eq!(near.input.read_u8().await?, b'x');
            let error = receive(&mut near).await.unwrap_err();
            assert!(error.is_end(), "{error}");
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn descriptors_that_come_with_the_end_are_received() {
    run(async |selector| {
        let (mut near, mut far) = pair(&selector, 2).await?;
        let pipes = send_pipes(&mut near, b"last", 2).await?;
        near.socket.close().await?;
        assert_joined(receive(&mut far).await?, pipes);
        assert!(receive(&mut far).await.unwrap_err().is_end());
        assert_eq!(far.input.read_packet(4).await?.len(), 4);
        Ok(())
    });
}

/// The bytes stay, the descriptors that had come are closed, and the connection goes on.
#[test]
fn of_twenty_descriptors_with_room_for_five_none_is_kept() {
    counted_alone("of_twenty_descriptors_with_room_for_five_none_is_kept", || {
        in_host(async |selector: SelectorManager| {
            let (mut near, mut far) = pair(&selector, 5).await?;
            // From its first wait on the host has all the descriptors that it needs.
            assert!(poll_once(far.input.read_u8()).await.is_none());
            let before = descriptors();
            for count in [20, 6, 253] {
                let lost = send_pipes(&mut near, b"too many\n", count).await?;
                let kept = send_pipes(&mut near, b"five\n", 5).await?;
                let error = receive(&mut far).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::LimitExceeded { limit: 5 }, "{error}");
                assert!(error.to_string().contains("descriptors_max"), "{error}");
                assert_all_ended(lost);
                assert_joined(receive(&mut far).await?, kept);
                assert_eq!(far.input.read_line().await?.as_deref(), Some("too many"));
                assert_eq!(far.input.read_line().await?.as_deref(), Some("five"));
            }
            assert_eq!(descriptors(), before);
            Result::Ok(())
        })
        .unwrap();
    });
}

/// A peer cannot make them pile up.
#[test]
fn descriptors_that_are_not_taken_are_as_many_as_there_is_room_for() {
    counted_alone("descriptors_that_are_not_taken_are_as_many_as_there_is_room_for", || {
        in_host(async |selector: SelectorManager| {
            let (mut near, mut far) = pair(&selector, 3).await?;
            // From its first wait on the host has all the descriptors that it needs.
            assert!(poll_once(far.input.read_u8()).await.is_none());
            let before = descriptors().len();
            let mut pipes = Vec::new();
            for number in 0..200_u8 {
                pipes.extend(send_pipes(&mut near, &[number], 1).await?);
                assert_eq!(far.input.read_u8().await?, number);
            }
            let kept = pipes.drain(..3).collect::<Vec<_>>();
            assert_all_ended(pipes);
            assert_eq!(descriptors().len(), before + 2 * 3);
            for pipe in kept {
                assert_joined(receive(&mut far).await?, vec![pipe]);
            }
            // One error stands for all that were lost behind one another.
            assert!(receive(&mut far).await.unwrap_err().is_limit());
            let next = send_pipes(&mut near, b"x", 3).await?;
            assert_joined(receive(&mut far).await?, next);
            assert_eq!(descriptors().len(), before);

            // Those that are left go with the connection.
            let left = send_pipes(&mut near, b"x", 3).await?;
            assert_eq!(far.input.read_packet(2).await?.len(), 2);
            drop(far);
            assert_all_ended(left);
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_process_without_room_for_a_descriptor_loses_it_and_is_told() {
    let test = "a_process_without_room_for_a_descriptor_loses_it_and_is_told";
    alone(test, || {
        in_host(async |selector: SelectorManager| {
            let (mut near, mut far) = pair(&selector, 5).await?;
            // It waits, so that the connection is watched and needs no descriptor any more.
            assert!(poll_once(far.input.read_u8()).await.is_none());
            assert!(poll_once(near.input.read_u8()).await.is_none());
            let pipes = send_pipes(&mut near, b"x\n", 5).await?;
            // Room for two of five.
            let full = NoDescriptors::but(2);
            let error = receive(&mut far).await.unwrap_err();
            drop(full);
            assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
            assert_all_ended(pipes);
            assert_eq!(far.input.read_line().await?.as_deref(), Some("x"));
            let pipes = send_pipes(&mut near, b"y", 5).await?;
            assert_joined(receive(&mut far).await?, pipes);
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn large_messages_and_straight_reads_carry_descriptors_too() {
    watched(|| {
        run(async |selector| {
            let (mut near, mut far) = pair(&selector, 4).await?;
            for length in [1, 1024, 1025, 70_000, 1 << 20] {
                let message = forebay_testing::pattern(length);
                let reading = async {
                    let mut bytes = vec![0; length];
                    far.input.read_exact(&mut bytes).await?;
                    Result::Ok(bytes)
                };
                let sending = async {
                    let pipes = send_pipes(&mut near, &message, 2).await?;
                    near.output.flush().await?;
                    Result::Ok(pipes)
                };
                let (bytes, pipes) = zip(reading, sending).await;
                assert!(bytes? == message, "{length}");
                assert_joined(receive(&mut far).await?, pipes?);
            }
            Ok(())
        });
    });
}

/// A full peer makes the call wait, and a dropped call has sent nothing.
#[test]
fn a_dropped_send_has_sent_neither_bytes_nor_descriptors() {
    watched(|| {
        run_on_one_worker(async |selector| {
            let (mut near, mut far) = pair(&selector, 4).await?;
            // Until the system takes no more.
            let mut written = 0;
            while poll_once(near.output.write_all(&[7; 1000])).await.transpose()?.is_some() {
                written += 1000;
                selector.spawn(async { Ok(()) }).await?;
            }
            let (mut pipe, writer) = pipe().unwrap();
            {
                let fds = [writer.as_fd()];
                let mut sending = pin!(send(&mut near, b"dropped", &fds));
                assert!(poll_once(&mut sending).await.is_none());
            }
            drop(writer);
            assert_eq!(pipe.read(&mut [0]).unwrap(), 0);
            let (sent, read) = zip(send_pipes(&mut near, b"sent", 1), async {
                far.input.read_exact(&mut vec![0; written]).await
            })
            .await;
            read?;
            assert_joined(receive(&mut far).await?, sent?);
            assert_eq!(&far.input.read_packet(4).await?.into_bytes()[..], b"sent");
            Ok(())
        });
    });
}

#[test]
fn only_unix_sockets_without_tls_pass_descriptors() {
    on_every_transport(async |selector, transport| {
        let (mut client, mut server) = transport.pair(&selector).await?;
        let file = File::open("/dev/null").unwrap();
        let sent = send(&mut client, b"x", &[file.as_fd()]).await;
        if transport == Transport::Unix {
            sent?;
        } else {
            assert_eq!(sent.unwrap_err().kind(), ErrorKind::Unsupported);
        }
        let error = receive(&mut server).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("descriptors_max"), "{error}");
        Ok(())
    });
}

#[test]
fn what_cannot_be_sent_is_refused_and_the_connection_goes_on() {
    run(async |selector| {
        let (mut near, mut far) = pair(&selector, 4).await?;
        let (mut other, _far) = pair(&selector, 4).await?;
        let file = File::open("/dev/null").unwrap();
        let (none, one, many) = ([], [file.as_fd()], vec![file.as_fd(); 254]);
        let large = vec![7; (1 << 20) + 1];
        for (bytes, fds, told) in [
            (&b"x"[..], &none[..], "1 to 253"),
            (b"x", &many, "1 to 253"),
            (b"", &one, "at least one byte"),
            (&large, &one, "at most 1 MiB"),
        ] {
            let error = send(&mut near, bytes, fds).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains(told), "{error}");
        }
        let error = near.socket.send_with_fds(&mut other.output, "x", &one).await.unwrap_err();
        assert!(error.to_string().contains("another connection"), "{error}");
        send(&mut near, b"x", &one).await?;
        assert_eq!(receive(&mut far).await?.len(), 1);
        near.socket.close_within(std::time::Duration::ZERO).await.ok();
        assert!(send(&mut near, b"x", &one).await.unwrap_err().is_closed());
        drop(far);
        Ok(())
    });
}

#[test]
fn a_peer_that_has_gone_is_an_error_of_the_connection() {
    run(async |selector| {
        let (mut near, far) = pair(&selector, 4).await?;
        let file = File::open("/dev/null").unwrap();
        drop(far);
        near.socket.peer_finished().await.ok();
        let error = loop {
            if let Err(error) = send(&mut near, b"x", &[file.as_fd()]).await {
                break error;
            }
        };
        assert!(error.is_reset(), "{error}");
        assert!(near.output.write_str("y").await.is_err());
        Ok(())
    });
}

/// A Unix socket of its own over TLS: the session owns the bytes.
#[test]
fn tls_carries_no_descriptors() {
    run(async |selector| {
        let (mut client, _server) = secure_pair(&selector, &Configs::new()).await?;
        let file = File::open("/dev/null").unwrap();
        let error = send(&mut client, b"x", &[file.as_fd()]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        Ok(())
    });
}

/// Connects to the path of the argument, sends back what it is sent with its descriptors, twice over.
const PYTHON: &str = "import os, socket, sys\n\
    it = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)\n\
    it.connect(sys.argv[1])\n\
    for _ in range(2):\n    \
        text, fds, flags, _ = socket.recv_fds(it, 100, 10)\n    \
        for number, fd in enumerate(fds):\n        \
            os.write(fd, b'python %d' % number)\n    \
        socket.send_fds(it, [b'back ' + text], fds)\n    \
        for fd in fds:\n        \
            os.close(fd)\n";

/// The same in Go.
const GO: &str = r#"package main

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

func main() {
	it, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: os.Args[1], Net: "unix"})
	check(err)
	for range 2 {
		text, control := make([]byte, 100), make([]byte, syscall.CmsgSpace(4*10))
		count, controlCount, _, _, err := it.ReadMsgUnix(text, control)
		check(err)
		messages, err := syscall.ParseSocketControlMessage(control[:controlCount])
		check(err)
		fds, err := syscall.ParseUnixRights(&messages[0])
		check(err)
		for number, fd := range fds {
			_, err := syscall.Write(fd, []byte(fmt.Sprintf("go %d", number)))
			check(err)
		}
		_, _, err = it.WriteMsgUnix(append([]byte("back "), text[:count]...), syscall.UnixRights(fds...), nil)
		check(err)
		for _, fd := range fds {
			syscall.Close(fd)
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
"#;

/// Passes pipes to a program and back, which writes into each.
fn passed_to_and_from(
    test: &'static str,
    name: &'static str,
    command: impl FnOnce(&Directory) -> Command,
) {
    let directory = Directory::new();
    let mut command = command(&directory);
    command.arg(directory.join("server"));
    if Command::new(command.get_program()).arg("version").output().is_err() {
        return skip(test, &format!("{name} is missing"));
    }
    run(async move |selector| {
        let server = selector.unix().descriptors_max(10).bind(&directory.join("server")).await?;
        let Some(peer) = Foreign::start(test, piped(&mut command)) else { return Ok(()) };
        let mut accepted = server.accept().await?.connection()?;
        for round in 1..3 {
            let pipes = send_pipes(&mut accepted, b"over", round).await?;
            let fds = receive(&mut accepted).await?;
            assert_eq!(fds.len(), round);
            assert_eq!(&accepted.input.read_packet(9).await?.into_bytes()[..], b"back over");
            drop(fds);
            for (number, mut pipe) in pipes.into_iter().enumerate() {
                let mut written = String::new();
                pipe.read_to_string(&mut written).unwrap();
                assert_eq!(written, format!("{name} {number}"));
            }
        }
        assert_eq!(peer.end_well(), "");
        Ok(())
    });
}

#[test]
fn descriptors_are_passed_to_and_from_python() {
    let test = "descriptors_are_passed_to_and_from_python";
    passed_to_and_from(test, "python", |_| {
        let mut python = Command::new("python3");
        python.args(["-c", PYTHON]);
        python
    });
}

#[test]
fn descriptors_are_passed_to_and_from_go() {
    passed_to_and_from("descriptors_are_passed_to_and_from_go", "go", |directory| {
        let source = directory.join("peer.go");
        std::fs::write(&source, GO).unwrap();
        let mut go = Command::new("go");
        go.arg("run").arg(source);
        go
    });
}

/// The credentials take no room of theirs.
#[test]
fn descriptors_come_beside_credentials() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("pair");
        let asking = |fd: BorrowedFd<'_>| Ok(set_socket_passcred(fd, true)?);
        let builder = || selector.unix().descriptors_max(3);
        let server = builder().configure(asking).bind(&path).await?;
        let mut client = builder().configure(asking).connect(&path).await?.connection()?;
        let mut accepted = server.accept().await?.connection()?;
        for count in [1, 2, 3] {
            let pipes = send_pipes(&mut client, b"x", count).await?;
            assert_joined(receive(&mut accepted).await?, pipes);
            let pipes = send_pipes(&mut accepted, b"x", count).await?;
            assert_joined(receive(&mut client).await?, pipes);
        }
        let lost = send_pipes(&mut client, b"x", 4).await?;
        assert!(receive(&mut accepted).await.unwrap_err().is_limit());
        assert_all_ended(lost);
        Ok(())
    });
}

#[test]
fn a_connection_that_was_taken_over_passes_descriptors() {
    run(async |selector| {
        let (one, two) = UnixStream::pair().unwrap();
        let builder = || selector.unix().descriptors_max(3);
        let mut one = Socket::from_fd(builder(), one.into())?.connection()?;
        let mut two = Socket::from_fd(builder(), two.into())?.connection()?;
        let pipes = send_pipes(&mut one, b"x", 3).await?;
        assert_joined(receive(&mut two).await?, pipes);
        Ok(())
    });
}
