//! Options of a listener hold for every socket that it accepts.

use std::thread;
use std::time::Duration;

use forebay::{KeepAlive, Result, SelectorManager, SocketOptions, TcpBuilder};
use forebay_testing::unix::Directory;
use forebay_testing::{dial, in_host};

/// The number of connections that each option is looked at on.
const CONNECTIONS: usize = 24;

type Change = fn(TcpBuilder) -> TcpBuilder;
type Holds = fn(&SocketOptions) -> bool;

/// One option at a time: together, one that is not inherited would make the others be set as well.
const CASES: [(&str, Change, Holds); 9] = [
    ("bind_device", |tcp| tcp.bind_device("lo"), |it| it.bind_device().as_deref() == Some("lo")),
    ("keep_alive", |tcp| tcp.keep_alive(None), |it| it.keep_alive().is_none()),
    ("no_delay", |tcp| tcp.no_delay(false), |it| it.no_delay() == Some(false)),
    ("notsent_lowat", |tcp| tcp.notsent_lowat(9_000), |it| it.notsent_lowat() == Some(9_000)),
    (
        "receive_buffer_size",
        |tcp| tcp.receive_buffer_size(50_000),
        |it| it.receive_buffer_size() == Some(50_000),
    ),
    (
        "send_buffer_size",
        |tcp| tcp.send_buffer_size(50_000),
        |it| it.send_buffer_size() == Some(50_000),
    ),
    ("ttl", |tcp| tcp.ttl(33), |it| it.ttl() == Some(33)),
    ("type_of_service", |tcp| tcp.type_of_service(0x48), |it| it.type_of_service() == Some(0x48)),
    (
        "user_timeout",
        |tcp| tcp.user_timeout(Duration::from_secs(7)),
        |it| it.user_timeout() == Some(Duration::from_secs(7)),
    ),
];

/// Accepts connections on several tasks, and so on several workers, and returns their options.
async fn accepted(
    selector: &SelectorManager,
    builder: TcpBuilder,
    at: &str,
) -> Result<Vec<SocketOptions>> {
    let server = builder.bind(at).await?;
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let server = server.clone();
            selector.spawn_value(async move {
                let mut told = Vec::new();
                for _ in 0..CONNECTIONS / 4 {
                    told.push(server.accept().await?.options()?);
                }
                Result::Ok(told)
            })
        })
        .collect();
    let port = server.port();
    let dialing = thread::spawn(move || (0..CONNECTIONS).map(|_| dial(port)).collect::<Vec<_>>());
    let mut told = Vec::new();
    for task in tasks {
        told.extend(task.await??);
    }
    dialing.join().unwrap();
    Ok(told)
}

#[test]
fn each_option_of_a_listener_holds_for_every_accepted_socket() {
    in_host(async |selector| {
        for (option, change, holds) in CASES {
            // Connections of IPv4 to a listener on IPv6 have the options of both.
            for at in ["127.0.0.1:0", "[::]:0"] {
                for mptcp in [false, true] {
                    let builder = change(selector.tcp()).mptcp(mptcp);
                    let Ok(told) = accepted(&selector, builder, at).await else {
                        assert_eq!(at, "[::]:0", "{option}");
                        continue;
                    };
                    assert_eq!(told.len(), CONNECTIONS);
                    let lacks = told.iter().find(|options| !holds(options));
                    assert!(lacks.is_none(), "{option} at {at}: {lacks:?}");
                    let rest =
                        told.iter().all(|it| option == "no_delay" || it.no_delay() == Some(true));
                    assert!(rest, "{option} at {at}");
                    let probes = Some(KeepAlive::default());
                    assert!(
                        told.iter().all(|it| option == "keep_alive" || it.keep_alive() == probes)
                    );
                }
            }
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn options_of_a_unix_listener_hold_for_every_accepted_socket() {
    let directory = Directory::new();
    in_host(async |selector| {
        let builder = selector.unix().receive_buffer_size(50_000).send_buffer_size(60_000);
        let server =
            builder.read_timeout(Duration::from_secs(9)).bind(directory.join("socket")).await?;
        for _ in 0..5 {
            let _client = selector.unix().connect(directory.join("socket")).await?;
            let options = server.accept().await?.options()?;
            assert_eq!(options.receive_buffer_size(), Some(50_000));
            assert_eq!(options.send_buffer_size(), Some(60_000));
            assert_eq!(options.read_timeout(), Some(Duration::from_secs(9)));
        }
        Ok(())
    })
    .unwrap();
}
