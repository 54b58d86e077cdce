//! The race between the addresses of a name (RFC 8305), by a clock that the test owns: when an attempt begins, which one
//! wins, and what the error has to say.

#![cfg(target_os = "linux")]

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{ErrorKind, Resolver, Result, SelectorManager, Socket};
use forebay_testing::{
    ByHand, Host, MOMENT, Names, Random, Silent, await_that, just_before, on_one_port, report,
    seed, settle, size, skip, until, watched,
};

const STAGGER: Duration = Duration::from_millis(250);
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

fn race(
    resolver: impl Resolver,
    test: impl AsyncFnOnce(SelectorManager, TestClock) -> Result<()> + Send + 'static,
) {
    watched(move || {
        let clock = TestClock::new();
        let selector = SelectorManager::builder().workers(1).clock(clock.clone());
        let test = async |selector| test(selector, clock).await;
        Host::of_environment().run(selector.resolver(resolver), test)
    })
    .unwrap();
}

/// Returns true if a future still waits after everything that is ready has happened.
async fn waits<F: Future>(mut future: Pin<&mut F>) -> bool {
    for _ in 0..3 {
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return false;
        }
        settle().await;
    }
    true
}

/// A race that waits at the end of one step, until the sockets of so many attempts are there.
async fn waits_with<F: Future>(future: Pin<&mut F>, selector: &SelectorManager, attempts: u64) {
    assert!(waits(future).await);
    assert_eq!(selector.stats().sockets, attempts);
}

/// A peer of a race, at an address of its own and the port of all.
enum Peer {
    Silent(Silent),
    Answers(TcpListener),
}

impl Peer {
    fn silent(&self) -> &Silent {
        let Self::Silent(silent) = self else { panic!("it answers") };
        silent
    }

    fn listener(&self) -> &TcpListener {
        let Self::Answers(listener) = self else { panic!("it is silent") };
        listener
    }
}

/// Opens peers of which the first ones are silent, and the others answer.
fn peers<const N: usize>(hosts: [&str; N], silent: usize) -> (Vec<Peer>, u16) {
    on_one_port(hosts, |index, address| -> io::Result<_> {
        if index < silent {
            let peer = Silent::at(address)?;
            let port = peer.port();
            return Ok((Peer::Silent(peer), port));
        }
        let listener = TcpListener::bind(address)?;
        let port = listener.local_addr()?.port();
        Ok((Peer::Answers(listener), port))
    })
}

fn names<const N: usize>(hosts: [&str; N]) -> Names {
    Names::of(hosts.map(|host| host.parse::<IpAddr>().unwrap()))
}

fn remote(socket: &Socket) -> SocketAddr {
    socket.remote_address().as_inet().unwrap()
}

fn has_ipv6(test: &str) -> bool {
    let is_there = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !is_there {
        skip(test, "there is no IPv6 here");
    }
    is_there
}

// ---- when an attempt begins ---------------------------------------------------------------------

#[test]
fn a_silent_address_has_a_quarter_of_a_second_to_itself() {
    let hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
    race(names(hosts), async move |selector, clock| {
        let (peers, port) = peers(hosts, 2);
        let mut connecting = pin!(selector.tcp().connect(("name.test", port)));
        waits_with(connecting.as_mut(), &selector, 1).await;
        clock.advance(just_before(STAGGER));
        waits_with(connecting.as_mut(), &selector, 1).await;
        clock.advance(MOMENT);
        waits_with(connecting.as_mut(), &selector, 2).await;
        clock.advance(just_before(STAGGER));
        waits_with(connecting.as_mut(), &selector, 2).await;
        clock.advance(MOMENT);
        let socket = connecting.as_mut().await?;
        assert_eq!(remote(&socket), peers[2].listener().local_addr().unwrap());
        // The losers are closed when the call returns, and no timer is left.
        let stats = selector.stats();
        assert_eq!((stats.sockets, stats.timers, stats.connected), (1, 0, 1));
        Ok(())
    });
}

#[test]
fn a_refused_address_starts_the_next_at_once() {
    let hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
    race(names(hosts), async move |selector, _clock| {
        // The first two have no listener, and the time does not go on.
        let (peers, port) = peers(["127.0.0.4"], 0);
        let socket = selector.tcp().connect(("name.test", port)).await?;
        assert_eq!(remote(&socket), peers[0].listener().local_addr().unwrap());
        Ok(())
    });
}

#[test]
fn a_refused_address_does_not_hurry_the_one_after_the_next() {
    let hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
    race(names(hosts), async move |selector, clock| {
        let (_peers, port) = peers(["127.0.0.3", "127.0.0.4"], 1);
        let mut connecting = pin!(selector.tcp().connect(("name.test", port)));
        assert!(waits(connecting.as_mut()).await, "the first is refused, the second is silent");
        clock.advance(just_before(STAGGER));
        assert!(waits(connecting.as_mut()).await);
        clock.advance(MOMENT);
        assert_eq!(remote(&connecting.await?).ip().to_string(), "127.0.0.4");
        Ok(())
    });
}

#[test]
fn the_families_take_turns() {
    if !has_ipv6("the_families_take_turns") {
        return;
    }
    let hosts = ["127.0.0.2", "127.0.0.3", "::1", "127.0.0.4"];
    race(names(hosts), async move |selector, clock| {
        // In this order: 127.0.0.2, ::1, 127.0.0.3, 127.0.0.4.
        let (_peers, port) = peers(["127.0.0.2", "::1"], 1);
        let mut connecting = pin!(selector.tcp().connect(("name.test", port)));
        waits_with(connecting.as_mut(), &selector, 1).await;
        clock.advance(STAGGER);
        assert!(remote(&connecting.await?).is_ipv6());
        Ok(())
    });
}

// ---- answers in parts ---------------------------------------------------------------------------

/// Waits until a look-up has begun, and nothing more can happen.
async fn has_begun<F: Future>(connecting: Pin<&mut F>, resolver: &ByHand) {
    assert!(waits(connecting).await);
    assert_eq!(resolver.begun(), 1);
}

#[test]
fn a_first_part_of_ipv4_waits_a_moment_for_ipv6() {
    let resolver = ByHand::new();
    race(resolver.clone(), async move |selector, clock| {
        let (_peers, port) = peers(["127.0.0.2"], 0);
        let mut connecting = pin!(selector.tcp().connect(("name.test", port)));
        has_begun(connecting.as_mut(), &resolver).await;
        resolver.add(["127.0.0.2"]);
        waits_with(connecting.as_mut(), &selector, 0).await;
        clock.advance(just_before(RESOLUTION_DELAY));
        waits_with(connecting.as_mut(), &selector, 0).await;
        clock.advance(MOMENT);
        let socket = connecting.await?;
        assert_eq!(remote(&socket).ip().to_string(), "127.0.0.2");
        assert_eq!(resolver.running(), 0, "nothing more is asked");
        assert_eq!(selector.stats().timers, 0);
        Ok(())
    });
}

#[test]
fn ipv6_that_comes_within_that_moment_is_tried_first() {
    if !has_ipv6("ipv6_that_comes_within_that_moment_is_tried_first") {
        return;
    }
    let resolver = ByHand::new();
    race(resolver.clone(), async move |selector, clock| {
        let (_peers, port) = peers(["127.0.0.2", "::1"], 0);
        let mut connecting = pin!(selector.tcp().connect(("name.test", port)));
        has_begun(connecting.as_mut(), &resolver).await;
        resolver.add(["127.0.0.2"]);
        clock.advance(just_before(RESOLUTION_DELAY));
        waits_with(connecting.as_mut(), &selector, 0).await;
        resolver.add(["::1"]);
        assert!(remote(&connecting.await?).is_ipv6(), "without any more time");
        Ok(())
    });
}

#[test]
fn a_first_part_of_ipv6_and_the_end_of_the_answer_wait_for_nothing() {
    if !has_ipv6("a_first_part_of_ipv6_and_the_end_of_the_answer_wait_for_nothing") {
        return;
    }
    let resolver = ByHand::new();
    race(resolver.clone(), async move |selector, _clock| {
        let (_peers, port) = peers(["127.0.0.2", "::1"], 0);
        let mut connecting = pin!(selector.tcp().connect(("name.test", port)));
        has_begun(connecting.as_mut(), &resolver).await;
        resolver.add(["::1"]);
        assert!(remote(&connecting.await?).is_ipv6());
        let mut connecting = pin!(selector.tcp().connect(("name.test", port)));
        assert!(waits(connecting.as_mut()).await);
        resolver.add(["127.0.0.2"]);
        resolver.end(Ok(()));
        assert!(remote(&connecting.await?).is_ipv4());
        Ok(())
    });
}

#[test]
fn a_part_that_comes_late_joins_the_race() {
    let resolver = ByHand::new();
    race(resolver.clone(), async move |selector, clock| {
        let (_peers, port) = peers(["127.0.0.2", "127.0.0.3"], 1);
        let mut connecting = pin!(selector.tcp().connect(("name.test", port)));
        has_begun(connecting.as_mut(), &resolver).await;
        resolver.add(["127.0.0.2"]);
        // The first wait is seen before the time goes on.
        waits_with(connecting.as_mut(), &selector, 0).await;
        clock.advance(RESOLUTION_DELAY);
        waits_with(connecting.as_mut(), &selector, 1).await;
        clock.advance(CONNECT_TIMEOUT / 2);
        waits_with(connecting.as_mut(), &selector, 1).await;
        resolver.add(["127.0.0.3"]);
        assert_eq!(remote(&connecting.await?).ip().to_string(), "127.0.0.3");
        Ok(())
    });
}

// ---- the error ----------------------------------------------------------------------------------

#[test]
fn an_error_has_every_attempt_with_its_address_times_and_error() {
    let hosts = ["127.0.0.2", "127.0.0.3"];
    race(names(hosts), async move |selector, clock| {
        let (peers, port) = peers(["127.0.0.2"], 1);
        let mut connecting = pin!(selector.tcp().connect(("name.test", port)));
        waits_with(connecting.as_mut(), &selector, 1).await;
        clock.advance(STAGGER);
        // The second one is refused, and the first one has all the time that is left.
        assert!(waits(connecting.as_mut()).await);
        until(|| selector.stats().sockets == 1).await;
        clock.advance(just_before(CONNECT_TIMEOUT.saturating_sub(STAGGER)));
        waits_with(connecting.as_mut(), &selector, 1).await;
        clock.advance(MOMENT);
        let error = connecting.as_mut().await.unwrap_err();
        let text = format!(
            "connect name.test:{port}: timed out: not connected after 10s (connect_timeout sets this); \
             2 addresses failed: connect 127.0.0.3:{port}: the peer refused the connection (os error \
             111); connect 127.0.0.2:{port}: timed out: no answer within 10.0s"
        );
        assert_eq!(error.to_string(), text);
        let [refused, silent] = error.attempts() else { panic!("{error:?}") };
        assert_eq!(refused.address().parse(), Ok(SocketAddr::from(([127, 0, 0, 3], port))));
        assert_eq!((refused.began(), refused.took()), (STAGGER, Duration::ZERO));
        assert!(refused.error().is_refused());
        assert_eq!(silent.address(), format!("127.0.0.2:{port}"));
        assert_eq!((silent.began(), silent.took()), (Duration::ZERO, CONNECT_TIMEOUT));
        assert!(silent.error().is_timeout());
        let stats = selector.stats();
        assert_eq!((stats.sockets, stats.timers), (0, 0));
        drop(peers);
        Ok(())
    });
}

#[test]
fn an_address_that_refuses_says_more_than_one_without_a_route() {
    let hosts = ["127.0.0.2", "fe80::1"];
    race(names(hosts), async move |selector, _clock| {
        let error = selector.tcp().connect("name.test:9").await.unwrap_err();
        // The link-local address has no zone, so connecting to it fails on this machine.
        assert_eq!(error.attempts().len(), 2);
        assert!(error.attempts()[1].error().kind() != ErrorKind::Refused, "{error}");
        assert!(error.is_refused(), "{error}");
        assert!(error.to_string().ends_with("check the port and the server"), "{error}");
        Ok(())
    });
}

#[test]
fn a_single_address_that_is_silent_has_all_the_time() {
    let hosts = ["127.0.0.2"];
    race(names(hosts), async move |selector, clock| {
        let (_peers, port) = peers(hosts, 1);
        for (address, shown) in [
            (("name.test", port), format!("name.test:{port} (127.0.0.2:{port})")),
            (("127.0.0.2", port), format!("127.0.0.2:{port}")),
        ] {
            let mut connecting = pin!(selector.tcp().connect(address));
            waits_with(connecting.as_mut(), &selector, 1).await;
            clock.advance(CONNECT_TIMEOUT);
            let error = connecting.as_mut().await.unwrap_err();
            let text = "timed out: not connected after 10s (connect_timeout sets this)";
            assert_eq!(error.to_string(), format!("connect {shown}: {text}"));
            let [attempt] = error.attempts() else { panic!("{error:?}") };
            assert_eq!(attempt.address(), format!("127.0.0.2:{port}"));
            assert_eq!((attempt.began(), attempt.took()), (Duration::ZERO, CONNECT_TIMEOUT));
        }
        Ok(())
    });
}

#[test]
fn thousands_of_addresses_that_refuse_are_all_tried() {
    const COUNT: u32 = 10_000;
    let loopback = (0..COUNT).map(|it| (0x7f01_0000 + it).to_be_bytes());
    race(Names::of(loopback), async |selector, _clock| {
        let echo = selector.spawn_value(async { forebay::yield_now().await });
        let error = selector.tcp().connect("name.test:9").await.unwrap_err();
        echo.await?;
        assert!(error.is_refused());
        assert_eq!(error.attempts().len(), 4096, "as many as a name may have");
        assert!(error.to_string().len() < 1000, "{error}");
        report(&error.to_string());
        assert_eq!(selector.stats().sockets, 0);
        Ok(())
    });
}

// ---- ends ---------------------------------------------------------------------------------------

/// The kernel lets both succeed before the race is polled again: each time when the client's system tries again.
#[test]
fn of_two_that_succeed_at_the_same_moment_one_is_closed() {
    let hosts = ["127.0.0.2", "127.0.0.3"];
    race(names(hosts), async move |selector, clock| {
        let (peers, port) = peers(hosts, 2);
        let mut connecting = pin!(selector.tcp().connect(("name.test", port)));
        waits_with(connecting.as_mut(), &selector, 1).await;
        clock.advance(STAGGER);
        waits_with(connecting.as_mut(), &selector, 2).await;
        let [winner, mut loser] = [0, 1].map(|index| {
            let peer = peers[index].silent();
            (0..peer.waiting()).for_each(|_| drop(peer.accept()));
            peer.accept()
        });
        let socket = connecting.await?;
        assert_eq!(socket.local_address().as_inet(), winner.peer_addr().unwrap().as_socket());
        assert_eq!(selector.stats().connected, 1);
        assert_eq!(selector.stats().sockets, 1);
        assert_eq!(io::Read::read(&mut loser, &mut [0]).unwrap(), 0, "it is ended, not reset");
        Ok(())
    });
}

#[test]
fn a_race_that_is_dropped_leaves_nothing() {
    let resolver = ByHand::new();
    race(resolver.clone(), async move |selector, clock| {
        let (_peers, port) = peers(["127.0.0.2", "127.0.0.3"], 2);
        for step in 0..4 {
            let mut connecting = Box::pin(selector.tcp().connect(("name.test", port)));
            assert!(waits(connecting.as_mut()).await);
            assert_eq!(resolver.running(), 1);
            if step > 0 {
                resolver.add(["127.0.0.2", "127.0.0.3"]);
                waits_with(connecting.as_mut(), &selector, 0).await;
            }
            for attempts in 1..step {
                clock.advance(if attempts == 1 { RESOLUTION_DELAY } else { STAGGER });
                waits_with(connecting.as_mut(), &selector, attempts).await;
            }
            drop(connecting);
            let stats = selector.stats();
            assert_eq!((stats.sockets, stats.timers, stats.tasks), (0, 0, 0), "step {step}");
            assert_eq!(resolver.running(), 0, "the look-up is dropped at once");
        }
        Ok(())
    });
}

#[test]
fn a_selector_that_closes_in_the_middle_ends_the_race() {
    for has_attempts in [false, true] {
        let resolver = ByHand::new();
        race(resolver.clone(), async move |selector, clock| {
            let (_peers, port) = peers(["127.0.0.2"], 1);
            let mut connecting = pin!(selector.tcp().connect(("name.test", port)));
            has_begun(connecting.as_mut(), &resolver).await;
            if has_attempts {
                resolver.add(["127.0.0.2"]);
                waits_with(connecting.as_mut(), &selector, 0).await;
                clock.advance(RESOLUTION_DELAY);
                waits_with(connecting.as_mut(), &selector, 1).await;
            }
            let closing = pin!(selector.close());
            let (outcome, ()) = futures_lite::future::zip(connecting.as_mut(), closing).await;
            assert!(outcome.unwrap_err().is_closed());
            assert_eq!(resolver.running(), 0);
            Ok(())
        });
    }
}

/// A descriptor comes back when an older attempt has ended; until then the address waits.
#[test]
fn a_race_goes_on_when_descriptors_run_out() {
    const NAME: &str = "a_race_goes_on_when_descriptors_run_out";
    forebay_testing::alone(NAME, || {
        let hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
        race(names(hosts), async move |selector, clock| {
            let (peers, port) = peers(hosts, 1);
            let tcp = selector.tcp().connect_timeout(CONNECT_TIMEOUT);
            let mut connecting = pin!(tcp.connect(("name.test", port)));
            waits_with(connecting.as_mut(), &selector, 1).await;
            let mut others = take_all_descriptors();
            for _ in 0..3 {
                clock.advance(STAGGER);
                waits_with(connecting.as_mut(), &selector, 1).await;
            }
            others.pop();
            clock.advance(STAGGER);
            let socket = connecting.await?;
            assert_eq!(remote(&socket).ip().to_string(), "127.0.0.3");
            await_that("the loser is closed", || selector.stats().sockets == 1);
            drop((others, peers));
            Ok(())
        });
    });
}

fn take_all_descriptors() -> Vec<std::fs::File> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Rlimit { current: Some(64), maximum: Some(64) };
    setrlimit(Resource::Nofile, limit).unwrap();
    std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect()
}

/// The abort comes at any moment: before the look-up, during the attempts, or beside the success.
#[test]
fn a_connect_that_is_aborted_beside_its_success_leaves_nothing() {
    const NAME: &str = "a_connect_that_is_aborted_beside_its_success_leaves_nothing";
    let rounds = size("FOREBAY_ABORT_ROUNDS", 500, 20_000);
    let mut random = Random::new(seed(NAME), 0);
    watched(move || {
        let resolver = names(["127.0.0.2", "127.0.0.1"]);
        let builder = SelectorManager::builder().resolver(resolver);
        let test = async |selector: SelectorManager| {
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let port = server.port();
            let accepting = selector.spawn(async move {
                loop {
                    drop(server.accept().await?);
                }
            });
            let mut connected = 0;
            for _ in 0..rounds {
                let connecting = selector.tcp().connect(("name.test", port));
                let connecting = selector.spawn_value(connecting);
                for _ in 0..random.below(12) {
                    futures_lite::future::yield_now().await;
                }
                connecting.abort();
                match connecting.await {
                    Ok(socket) => {
                        socket?.abort();
                        connected += 1;
                    }
                    Err(error) => assert!(error.is_cancelled(), "{error}"),
                }
            }
            report(&format!("{connected} of {rounds} were connected before the abort"));
            until(|| {
                let stats = selector.stats();
                (stats.sockets, stats.timers) == (1, 0)
            })
            .await;
            accepting.abort();
            Ok(())
        };
        Host::of_environment().run(builder, test)
    })
    .unwrap();
}
