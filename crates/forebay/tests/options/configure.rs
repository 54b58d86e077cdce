//! A closure of the user's on the socket, before it is bound or connected.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use forebay::{ErrorKind, SelectorManager};
use forebay_testing::unix::Directory;
use forebay_testing::{counted_alone, in_host, settle, socket_descriptors};
use rustix::net::sockopt;

#[test]
fn every_builder_configures_its_sockets() {
    let directory = Directory::new();
    in_host(async |selector| {
        let ran = Arc::new(AtomicUsize::new(0));
        // It comes last: what it sets stays.
        let set = {
            let ran = Arc::clone(&ran);
            move |fd: std::os::fd::BorrowedFd<'_>| {
                ran.fetch_add(1, Relaxed);
                assert_eq!(sockopt::socket_send_buffer_size(fd)?, 40_000);
                sockopt::set_socket_send_buffer_size(fd, 30_000)?;
                Ok(())
            }
        };
        let tcp = selector.tcp().configure(set.clone()).send_buffer_size(20_000);
        let server = tcp.clone().bind("127.0.0.1:0").await?;
        let client = tcp.connect(server.local_address()).await?;
        assert_eq!(server.options()?.send_buffer_size(), Some(30_000));
        assert_eq!(client.options()?.send_buffer_size(), Some(30_000));
        server.accept().await?;
        assert_eq!(ran.load(Relaxed), 2);

        let udp = selector.udp().configure(set.clone()).send_buffer_size(20_000);
        let bound = udp.clone().bind("127.0.0.1:0").await?;
        let connected = udp.connect(bound.local_address()).await?;
        assert_eq!(bound.options()?.send_buffer_size(), Some(30_000));
        assert_eq!(connected.options()?.send_buffer_size(), Some(30_000));

        let of_datagrams =
            selector.unix().datagram().configure(set.clone()).send_buffer_size(20_000);
        let bound = of_datagrams.clone().bind(directory.join("datagrams")).await?;
        let connected = of_datagrams.connect(directory.join("datagrams")).await?;
        assert_eq!(bound.options()?.send_buffer_size(), Some(30_000));
        assert_eq!(connected.options()?.send_buffer_size(), Some(30_000));

        let unix = selector.unix().configure(set).send_buffer_size(20_000);
        let server = unix.clone().bind(directory.join("socket")).await?;
        let client = unix.connect(directory.join("socket")).await?;
        assert_eq!(server.options()?.send_buffer_size(), Some(30_000));
        assert_eq!(client.options()?.send_buffer_size(), Some(30_000));
        server.accept().await?;
        assert_eq!(ran.load(Relaxed), 8);
        Ok(())
    })
    .unwrap();
}

/// Every call that opens a socket, with a closure, which must fail each of them.
async fn open_all(
    selector: &SelectorManager,
    directory: &Directory,
    configure: impl Fn() -> io::Result<()> + Clone + Send + Sync + 'static,
) -> Vec<forebay::Error> {
    let run = move |_: std::os::fd::BorrowedFd<'_>| configure();
    let tcp = selector.tcp().configure(run.clone());
    let udp = selector.udp().configure(run.clone());
    let unix = selector.unix().configure(run.clone());
    let of_datagrams = selector.unix().datagram().configure(run);
    vec![
        tcp.clone().bind("127.0.0.1:0").await.unwrap_err(),
        tcp.clone().connect("127.0.0.1:9").await.unwrap_err(),
        tcp.mptcp(true).bind("127.0.0.1:0").await.unwrap_err(),
        udp.clone().bind("127.0.0.1:0").await.unwrap_err(),
        udp.connect("127.0.0.1:9").await.unwrap_err(),
        unix.clone().bind(directory.join("new")).await.unwrap_err(),
        unix.clone().replace_stale().bind(directory.join("new")).await.unwrap_err(),
        unix.clone().connect(directory.join("new")).await.unwrap_err(),
        of_datagrams.clone().bind(directory.join("new")).await.unwrap_err(),
        of_datagrams.connect(directory.join("new")).await.unwrap_err(),
    ]
}

#[test]
fn an_error_of_the_closure_names_the_option_and_leaves_nothing() {
    counted_alone("an_error_of_the_closure_names_the_option_and_leaves_nothing", || {
        let directory = Directory::new();
        in_host(async |selector| {
            settle().await;
            let before = socket_descriptors();
            let refuse = || Err(io::Error::new(io::ErrorKind::InvalidInput, "not like this"));
            for error in open_all(&selector, &directory, refuse).await {
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                let text = error.to_string();
                assert!(text.contains("configure") && text.contains("not like this"), "{text}");
            }
            assert_eq!(socket_descriptors(), before);
            assert!(!directory.join("new").exists());
            Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_panic_of_the_closure_leaves_no_descriptor() {
    counted_alone("a_panic_of_the_closure_leaves_no_descriptor", || {
        let directory = Directory::new();
        let path = directory.join("new");
        in_host(async |selector| {
            settle().await;
            let before = socket_descriptors();
            let tcp = selector.tcp().configure(|_| panic!("in the closure"));
            let udp = selector.udp().configure(|_| panic!("in the closure"));
            let unix = selector.unix().configure(|_| panic!("in the closure"));
            let opened: [Box<dyn Future<Output = bool> + Send>; 6] = [
                Box::new({
                    let tcp = tcp.clone();
                    async move { tcp.bind("127.0.0.1:0").await.is_ok() }
                }),
                Box::new(async move { tcp.connect("127.0.0.1:9").await.is_ok() }),
                Box::new({
                    let udp = udp.clone();
                    async move { udp.bind("127.0.0.1:0").await.is_ok() }
                }),
                Box::new(async move { udp.connect("127.0.0.1:9").await.is_ok() }),
                Box::new({
                    let (unix, path) = (unix.clone(), path.clone());
                    async move { unix.bind(&path).await.is_ok() }
                }),
                Box::new({
                    let path = path.clone();
                    async move { unix.connect(&path).await.is_ok() }
                }),
            ];
            for opening in opened {
                let opening = Box::into_pin(opening);
                let panicked = selector.spawn_value(opening).await.unwrap_err();
                assert_eq!(panicked.kind(), ErrorKind::Panicked, "{panicked}");
            }
            assert_eq!(socket_descriptors(), before);
            assert!(!path.exists());
            // The selector is as it was.
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            selector.tcp().connect(server.local_address()).await?;
            Ok(())
        })
        .unwrap();
    });
}

/// A panic while the builder's options are shared by a clone concerns neither.
#[test]
fn a_clone_of_a_builder_is_independent() {
    in_host(async |selector| {
        let first = selector.tcp().ttl(11);
        let second = first.clone().ttl(22);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _third = second.clone().bind_device(String::from_utf8(vec![0xff]).unwrap());
        }));
        assert!(panicked.is_err());
        let server = first.bind("127.0.0.1:0").await?;
        let client = second.connect(server.local_address()).await?;
        assert_eq!(server.options()?.ttl(), Some(11));
        assert_eq!(client.options()?.ttl(), Some(22));
        assert_eq!(client.options()?.bind_device(), None);
        Ok(())
    })
    .unwrap();
}
