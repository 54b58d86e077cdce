//! A peer that is cut off, and the options by which the system notices it.

use std::time::{Duration, Instant};

use forebay::{ErrorKind, KeepAlive, TcpBuilder};
use forebay_testing::{Child, End, in_host, on_a_cable, role, say};

/// The time that the test gives each of them, with 30 % on top.
const LIMIT: Duration = Duration::from_secs(3);
const LIMIT_AND_MORE: Duration = Duration::from_millis(3_900);

/// Connects over a cable, pulls it, and expects `TimedOut` in time. `writes`: there are bytes on their way.
fn a_cut_cable_is_noticed(test: &'static str, writes: bool, set: fn(TcpBuilder) -> TcpBuilder) {
    match role().as_deref() {
        Some("server") => {
            in_host(async |selector| {
                let server = selector.tcp().bind((End::Right.address(), 7_071)).await?;
                say("listening");
                let accepted = server.accept().await?;
                accepted.open_read_channel()?.read_u8().await.ok();
                std::future::pending::<()>().await;
                Ok(())
            })
            .unwrap();
        }
        Some(_) => {
            let took = in_host(async |selector| {
                let builder = set(selector.tcp());
                let connection =
                    builder.connect((End::Right.address(), 7_071)).await?.connection()?;
                let (mut input, mut output) = (connection.input, connection.output);
                output.write_u8(1).await?;
                output.flush().await?;
                say("connected");
                std::io::stdin().read_line(&mut String::new()).unwrap();
                let began = Instant::now();
                if writes {
                    output.write_str("into the dark").await?;
                }
                let error = input.read_u8().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
                Ok(began.elapsed())
            });
            say(&took.unwrap().as_millis().to_string());
        }
        None => on_a_cable(test, Duration::from_secs(60), move |cable| {
            let start = |end, role| -> Child { cable.start(end, test, role) };
            let mut server = start(End::Right, "server");
            assert_eq!(server.hear().as_deref(), Some("listening"));
            let mut client = start(End::Left, "client");
            assert_eq!(client.hear().as_deref(), Some("connected"));
            // Only what comes back gets lost, so that the link stays up: as behind a router.
            cable.run(
                End::Right,
                &["ip", "route", "del", "10.77.0.0/24", "dev", forebay_testing::PLUG],
            );
            client.tell("it is cut");
            let took = Duration::from_millis(client.hear_number());
            assert!(took > LIMIT / 2 && took < LIMIT_AND_MORE, "{took:?}");
            client.end();
        }),
    }
}

#[test]
fn a_user_timeout_notices_a_cut_cable_under_unacknowledged_bytes() {
    const NAME: &str = "a_user_timeout_notices_a_cut_cable_under_unacknowledged_bytes";
    a_cut_cable_is_noticed(NAME, true, |tcp| tcp.user_timeout(LIMIT));
}

#[test]
fn keep_alive_notices_a_cut_cable_of_an_idle_connection() {
    const NAME: &str = "keep_alive_notices_a_cut_cable_of_an_idle_connection";
    a_cut_cable_is_noticed(NAME, false, |tcp| {
        let second = Duration::from_secs(1);
        tcp.keep_alive(KeepAlive { idle: second, interval: second, count: 2 })
    });
}
