//! Networks in which a part does not work: IPv6 that loses every packet, name servers that never answer, a machine
//! without IPv4. Each is a network namespace.

#![cfg(target_os = "linux")]

use std::fs;
use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use forebay::{Connection, ErrorKind, Result, SelectorManager};
use forebay_testing::{ByHand, Host, in_host, say, threads, until, until_at_rest, watched};

use super::namespace::{Namespace, in_a_namespace};

// ---- IPv6 ---------------------------------------------------------------------------------------

/// An address of the network behind a cable at whose far end no machine is.
const SWALLOWED: &str = "2001:db8::2";

/// Gives the namespace an IPv6 address and a route, and a name that has an address of each family.
fn break_ipv6(namespace: &Namespace) {
    let hardware = "02:00:00:00:00:99";
    let commands: [&[&str]; 5] = [
        &["link", "add", "broken", "type", "veth", "peer", "name", "far"],
        &["address", "add", "2001:db8::1/64", "dev", "broken", "nodad"],
        &["link", "set", "far", "up"],
        &["link", "set", "broken", "up"],
        // The packets are sent, to hardware that is not there.
        &["neighbour", "add", SWALLOWED, "lladdr", hardware, "dev", "broken", "nud", "permanent"],
    ];
    for command in commands {
        assert!(namespace.ip(command), "{command:?}");
    }
    let names = format!("{SWALLOWED} both.test\n127.0.0.5 both.test\n");
    fs::write(format!("{}/hosts", namespace.etc()), names).unwrap();
}

#[test]
fn broken_ipv6_costs_no_more_than_a_quarter_of_a_second() {
    const NAME: &str = "broken_ipv6_costs_no_more_than_a_quarter_of_a_second";
    in_a_namespace(NAME, break_ipv6, || in_host(through_broken_ipv6).unwrap());
}

async fn through_broken_ipv6(selector: SelectorManager) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.5:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let found = selector.resolve(("both.test", port)).await?;
    assert!(found[0].is_ipv6() && found.len() == 2, "IPv6 is preferred: {found:?}");
    let lost = TcpStream::connect_timeout(&found[0], Duration::from_millis(300)).unwrap_err();
    assert_eq!(lost.kind(), std::io::ErrorKind::TimedOut, "no answer: {lost}");
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        let socket = selector.tcp().connect(("both.test", port)).await?;
        let took = began.elapsed();
        assert_eq!(socket.remote_address().to_string(), format!("127.0.0.5:{port}"));
        // It is tried first, and has this time to itself.
        assert!(took >= Duration::from_millis(250), "{took:?}");
        quickest = quickest.min(took);
        socket.abort();
    }
    say(&format!("the quickest of 5 was connected after {quickest:.1?}"));
    assert!(quickest < Duration::from_millis(400), "{quickest:?}");
    until_at_rest(&selector, 0).await;
    Ok(())
}

/// A machine that has IPv6 alone, besides its loopback interface: `AI_ADDRCONFIG` hides 127.0.0.1 here.
fn without_ipv4(namespace: &Namespace) {
    let commands: [&[&str]; 4] = [
        &["link", "add", "other", "type", "veth", "peer", "name", "far"],
        &["link", "set", "far", "up"],
        &["link", "set", "other", "up"],
        &["address", "add", "fe80::77/64", "dev", "other", "nodad"],
    ];
    for command in commands {
        assert!(namespace.ip(command), "{command:?}");
    }
    let names = "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 four.test\n::1 six.test\n";
    fs::write(format!("{}/hosts", namespace.etc()), names).unwrap();
    // There is no name server, and a look-up that goes on to one would be seen.
    fs::write(format!("{}/resolv.conf", namespace.etc()), "nameserver 127.0.0.1\n").unwrap();
}

#[test]
fn localhost_and_its_address_work_without_ipv4() {
    const NAME: &str = "localhost_and_its_address_work_without_ipv4";
    in_a_namespace(NAME, without_ipv4, || in_host(on_ipv6_alone).unwrap());
}

async fn on_ipv6_alone(selector: SelectorManager) -> Result<()> {
    let names = UdpSocket::bind("127.0.0.1:53").unwrap();
    names.set_nonblocking(true).unwrap();
    for (bound, hosts) in [
        ("127.0.0.1:0", ["127.0.0.1", "localhost", "four.test"]),
        ("[::1]:0", ["::1", "localhost", "six.test"]),
    ] {
        let server = selector.tcp().bind(bound).await?;
        for host in hosts {
            let socket = selector.tcp().connect((host, server.port())).await?;
            assert_eq!(socket.remote_address(), server.local_address(), "{host}");
            server.accept().await?.abort();
            socket.abort();
        }
    }
    let asked = names.recv(&mut [0; 512]).unwrap_err();
    assert_eq!(asked.kind(), std::io::ErrorKind::WouldBlock, "no name server was asked");
    let error = selector.tcp().connect((Ipv6Addr::from(1), 9)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    Ok(())
}

// ---- name servers -------------------------------------------------------------------------------

const STUCK: usize = 64;
/// The threads that a selector has for its own calls.
const THREADS: usize = 16;

/// A name server that never answers, for a long time.
fn with_a_silent_name_server(namespace: &Namespace) {
    let etc = namespace.etc();
    fs::write(format!("{etc}/hosts"), "127.0.0.1 localhost\n").unwrap();
    let resolver = "nameserver 127.0.0.1\noptions timeout:20 attempts:1\n";
    fs::write(format!("{etc}/resolv.conf"), resolver).unwrap();
}

fn look_up_threads() -> usize {
    threads().iter().filter(|name| name.starts_with("forebay-blockin")).count()
}

/// The quickest of several rounds, each of many lines there and back, on this selector.
async fn echo_time(selector: &SelectorManager) -> Result<Duration> {
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    let address = server.local_address();
    let echo = selector.spawn(async move {
        let Connection { mut input, mut output, socket } = server.accept().await?.connection()?;
        input.copy_to(&mut output).await?;
        output.finish().await?;
        socket.close().await
    });
    let Connection { mut input, mut output, socket } =
        selector.tcp().connect(address).await?.connection()?;
    let mut quickest = Duration::MAX;
    for _ in 0..20 {
        let began = Instant::now();
        for _ in 0..50 {
            output.write_str("ping\n").await?;
            assert_eq!(input.read_line().await?.as_deref(), Some("ping"));
        }
        quickest = quickest.min(began.elapsed());
    }
    output.finish().await?;
    echo.await?;
    socket.close().await?;
    Ok(quickest / 50)
}

/// Measures again, until an echo takes less than twice the time that it took before: a busy machine may hold up a try,
/// and look-ups that hold up echoes hold up every one.
async fn echo_ratio(selector: &SelectorManager, before: Duration) -> Result<f64> {
    let mut ratio = f64::MAX;
    for _ in 0..10 {
        let beside = echo_time(selector).await?;
        ratio = ratio.min(beside.as_secs_f64() / before.as_secs_f64());
        if ratio < 2.0 {
            break;
        }
    }
    Ok(ratio)
}

#[test]
fn look_ups_that_are_stuck_delay_no_echo_and_are_cancelled_at_once() {
    const NAME: &str = "look_ups_that_are_stuck_delay_no_echo_and_are_cancelled_at_once";
    in_a_namespace(NAME, with_a_silent_name_server, || in_host(beside_stuck_look_ups).unwrap());
}

async fn beside_stuck_look_ups(selector: SelectorManager) -> Result<()> {
    let _names = UdpSocket::bind("127.0.0.1:53").unwrap();
    let before = echo_time(&selector).await?;
    let stuck: Vec<_> = (0..STUCK)
        .map(|number| {
            let connecting = selector.tcp().connect((format!("host{number}.test"), 80));
            selector.spawn_value(connecting)
        })
        .collect();
    until(|| look_up_threads() == THREADS).await;
    let ratio = echo_ratio(&selector, before).await?;
    say(&format!(
        "an echo took {before:.1?} alone, and {ratio:.2} of that beside {STUCK} stuck look-ups on {THREADS} threads"
    ));
    assert!(ratio < 2.0, "{ratio}");
    assert_eq!(look_up_threads(), THREADS, "bounded, and still stuck");
    assert!(stuck.iter().all(|task| !task.is_finished()));
    for task in stuck {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    let stats = selector.stats();
    assert_eq!((stats.tasks, stats.timers, stats.sockets), (0, 0, 0));
    assert_eq!(look_up_threads(), THREADS, "no cancelled call has waited for its thread");
    Ok(())
}

#[test]
fn tries_of_one_name_whose_server_is_silent_take_one_thread() {
    const NAME: &str = "tries_of_one_name_whose_server_is_silent_take_one_thread";
    in_a_namespace(NAME, with_a_silent_name_server, || {
        in_host(async |selector: SelectorManager| {
            let names = UdpSocket::bind("127.0.0.1:53").unwrap();
            // One that has begun, and whose caller has gone.
            let connecting = selector.spawn_value(selector.tcp().connect("silent.test:80"));
            names.set_nonblocking(true).unwrap();
            until(|| names.peek_from(&mut [0; 512]).is_ok()).await;
            connecting.abort();
            assert!(connecting.await.unwrap_err().is_cancelled());
            for _ in 0..3 * THREADS {
                let tcp = selector.tcp().connect_timeout(Duration::from_millis(5));
                let error = tcp.connect("silent.test:80").await.unwrap_err();
                assert!(error.is_timeout() && error.to_string().contains("look-up"), "{error}");
            }
            assert_eq!(look_up_threads(), 1);
            // The others are free for names that the hosts file has.
            assert!(!selector.resolve("localhost:80").await?.is_empty());
            Ok(())
        })
        .unwrap();
    });
}

/// The same with a resolver of the program's, which takes no thread at all.
#[test]
fn look_ups_of_a_stuck_resolver_delay_no_echo_and_are_dropped_at_once() {
    let resolver = ByHand::new();
    let builder = SelectorManager::builder().resolver(resolver.clone());
    watched(move || {
        Host::of_environment()
            .run(builder, async |selector| {
                let before = echo_time(&selector).await?;
                let stuck: Vec<_> = (0..STUCK)
                    .map(|number| {
                        let name = format!("host{number}.test");
                        selector.spawn_value(selector.tcp().connect((name, 80)))
                    })
                    .collect();
                until(|| resolver.running() == STUCK).await;
                let ratio = echo_ratio(&selector, before).await?;
                assert!(ratio < 2.0, "{ratio}");
                for task in stuck {
                    task.abort();
                    assert!(task.await.unwrap_err().is_cancelled());
                }
                assert_eq!((resolver.running(), selector.stats().timers), (0, 0));
                Ok(())
            })
            .unwrap();
    });
}
