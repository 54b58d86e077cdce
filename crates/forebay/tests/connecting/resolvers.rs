//! Resolvers of the program's: what they are asked, and what becomes of their answers, errors and panics.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use forebay::{Error, ErrorKind, FoundAddresses, Resolver, Result, SelectorManager};
use forebay_testing::{ByHand, Host, Names, lock, poll_once, refusing, settle, until, watched};
use futures_lite::future::zip;

fn by(
    resolver: impl Resolver,
    test: impl AsyncFnOnce(SelectorManager) -> Result<()> + Send + 'static,
) {
    watched(move || {
        let builder = SelectorManager::builder().resolver(resolver);
        Host::of_environment().run(builder, test)
    })
    .unwrap();
}

/// A resolver that is a function.
struct Of<F>(F);

impl<F: Fn(&str, &FoundAddresses) -> Result<()> + Send + Sync + 'static> Resolver for Of<F> {
    async fn resolve(&self, name: &str, found: &FoundAddresses) -> Result<()> {
        (self.0)(name, found)
    }
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn an_ip_address_never_reaches_a_resolver() {
    by(Of(|name: &str, _: &FoundAddresses| panic!("asked for {name}")), async |selector| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let port = server.port();
        selector.tcp().connect(("127.0.0.1", port)).await?;
        selector.tcp().connect((Ipv4Addr::LOCALHOST, port)).await?;
        selector.tcp().connect(server.local_address()).await?;
        selector.udp().connect(("127.0.0.1", port)).await?;
        for literal in ["127.0.0.1:80", "[::1]:80", "[fe80::1%7]:0"] {
            assert_eq!(selector.resolve(literal).await?, [literal.parse().unwrap()]);
        }
        for text in ["", "127.1:80", "a b:80", "host"] {
            let error = selector.tcp().connect(text).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        Ok(())
    });
}

#[test]
fn a_resolver_is_asked_for_a_name_as_it_was_written() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&asked);
    let resolver = move |name: &str, found: &FoundAddresses| {
        lock(&notes).push(name.to_owned());
        found.add([Ipv4Addr::LOCALHOST]);
        Ok(())
    };
    by(Of(resolver), async move |selector| {
        let (_listener, port) = listener();
        let socket = selector.tcp().connect(("Example.COM.", port)).await?;
        assert_eq!(socket.remote_address().port(), Some(port));
        assert_eq!(
            selector.tcp().bind("localhost:0").await?.local_address().ip(),
            Some(IpAddr::from([127, 0, 0, 1]))
        );
        selector.udp().bind("udp.test:0").await?;
        assert_eq!(lock(&asked)[..], ["Example.COM.", "localhost", "udp.test"]);
        Ok(())
    });
}

#[test]
fn two_connects_of_one_name_share_its_look_up_and_the_second_survives_the_first() {
    let resolver = ByHand::new();
    by(resolver.clone(), async move |selector| {
        let (_listener, port) = listener();
        let connecting = || Box::pin(selector.tcp().connect(("name.test", port)));
        let (mut first, mut second, mut third) = (connecting(), connecting(), connecting());
        // It may give way before it begins.
        until(|| {
            assert!(poll_once(first.as_mut()).is_pending());
            resolver.begun() == 1
        })
        .await;
        let second = selector.spawn_value(async move { second.as_mut().await });
        let third = selector.spawn_value(async move { third.as_mut().await });
        settle().await;
        assert_eq!((resolver.begun(), resolver.running()), (1, 1));
        drop(first);
        assert_eq!(resolver.running(), 1, "others wait for it");
        resolver.add(["127.0.0.1"]);
        resolver.end(Ok(()));
        let (second, third) = zip(second, third).await;
        assert_eq!(second??.remote_address(), third??.remote_address());
        assert_eq!((resolver.begun(), resolver.running()), (1, 0));
        Ok(())
    });
}

/// Two selectors have two resolvers, and nothing in common.
#[test]
fn selectors_do_not_share_look_ups() {
    let (one, other) = (ByHand::new(), ByHand::new());
    by(one.clone(), async move |selector| {
        let second = SelectorManager::builder().resolver(other.clone()).build()?;
        let mut resolving = pin!(selector.resolve("name.test:80"));
        let mut beside = pin!(second.resolve("name.test:80"));
        until(|| {
            assert!(poll_once(resolving.as_mut()).is_pending());
            assert!(poll_once(beside.as_mut()).is_pending());
            one.begun() == 1 && other.begun() == 1
        })
        .await;
        other.add(["192.0.2.1"]);
        other.end(Ok(()));
        assert_eq!(beside.await?.len(), 1);
        assert!(poll_once(resolving.as_mut()).is_pending());
        Ok(())
    });
}

#[test]
fn a_name_without_addresses_is_not_found() {
    by(Names::of::<IpAddr>([]), async |selector| {
        for call in ["connect", "bind", "resolve"] {
            let error = match call {
                "connect" => selector.tcp().connect("name.test:80").await.unwrap_err(),
                "bind" => selector.tcp().bind("name.test:80").await.unwrap_err(),
                _ => selector.resolve("name.test:80").await.unwrap_err(),
            };
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let text = "resolve name.test:80: not found: the name has no address";
            assert_eq!(error.to_string(), text, "{call}");
        }
        Ok(())
    });
}

#[test]
fn an_error_of_a_resolver_is_told_with_the_name() {
    let resolver = |name: &str, _: &FoundAddresses| match name {
        "server.test" => {
            Err(Error::new(ErrorKind::TimedOut, "query").with_address("192.0.2.53:53"))
        }
        "words.test" => Err(Error::other("no such record")),
        "system.test" => Err(std::io::Error::from(std::io::ErrorKind::NotFound))?,
        _ => panic!("no idea of {name}"),
    };
    by(Of(resolver), async |selector| {
        for (name, kind, text) in [
            (
                "server.test",
                ErrorKind::TimedOut,
                "resolve server.test:80: query 192.0.2.53:53: timed out",
            ),
            ("words.test", ErrorKind::Other, "resolve: words.test:80: no such record"),
            ("system.test", ErrorKind::NotFound, "resolve: system.test:80: not found"),
            (
                "panics.test",
                ErrorKind::Panicked,
                "resolve: task panics.test:80: the task panicked: no idea of panics.test",
            ),
        ] {
            let error = selector.tcp().connect((name, 80)).await.unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
            assert_eq!(selector.resolve((name, 80)).await.unwrap_err().to_string(), text);
        }
        Ok(())
    });
}

/// Also when the second part of the answer fails: the first one is used, and the failure is told if it is of no use.
#[test]
fn what_a_resolver_found_before_it_failed_is_used() {
    let resolver = |_: &str, found: &FoundAddresses| {
        found.add([Ipv4Addr::LOCALHOST]);
        Err(Error::new(ErrorKind::LookUpFailed, "query"))
    };
    by(Of(resolver), async |selector| {
        let (_listener, port) = listener();
        selector.tcp().connect(("name.test", port)).await?;
        assert_eq!(selector.resolve("name.test:80").await?.len(), 1);
        let (_socket, address) = refusing();
        let error = selector.tcp().connect(("name.test", address.port())).await.unwrap_err();
        assert!(error.is_refused());
        let unresolved = format!("query name.test:{}: {}", address.port(), ErrorKind::LookUpFailed);
        assert!(error.to_string().contains(&unresolved), "{error}");
        assert_eq!(error.attempts().len(), 1);
        Ok(())
    });
}

/// A resolver may use the sockets and the time of whatever polls its callers.
#[test]
fn a_resolver_may_wait_for_sockets_and_tasks() {
    struct OverSockets {
        selector: Mutex<Option<SelectorManager>>,
        asked: AtomicUsize,
    }

    impl Resolver for OverSockets {
        async fn resolve(&self, _: &str, found: &FoundAddresses) -> Result<()> {
            self.asked.fetch_add(1, SeqCst);
            let selector = lock(&self.selector).clone().unwrap();
            let server = selector.udp().bind("127.0.0.1:0").await?;
            let client = selector.udp().connect(server.local_address()).await?;
            client.send([127, 0, 0, 1]).await?;
            let datagram = server.receive().await?;
            let octets = <[u8; 4]>::try_from(&datagram.payload[..]).unwrap();
            let found = found.clone();
            selector
                .spawn(async move {
                    found.add([octets]);
                    Ok(())
                })
                .await
        }
    }

    let resolver = Arc::new(OverSockets { selector: Mutex::default(), asked: AtomicUsize::new(0) });
    by(Arc::clone(&resolver), async move |selector| {
        *lock(&resolver.selector) = Some(selector.clone());
        let (_listener, port) = listener();
        let connecting = (0..8).map(|_| {
            let connecting = selector.tcp().connect(("name.test", port));
            selector.spawn_value(connecting)
        });
        for connecting in connecting.collect::<Vec<_>>() {
            assert_eq!(connecting.await??.remote_address().port(), Some(port));
        }
        assert!((1..=8).contains(&resolver.asked.load(SeqCst)));
        // The resolver must not keep the selector that it is asked by.
        lock(&resolver.selector).take();
        Ok(())
    });
}
