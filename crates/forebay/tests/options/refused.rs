//! Options that the system refuses: each is an error that names it, and leaves no socket behind.

use std::time::Duration;

use forebay::{ErrorKind, KeepAlive, Result, SelectorManager, TcpBuilder};
use forebay_testing::{Child, in_host, role, say, skip, socket_descriptors, watched};

#[track_caller]
fn assert_names<T: std::fmt::Debug>(outcome: Result<T>, option: &str, kind: ErrorKind) {
    let error = outcome.expect_err(option);
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(option), "{option}: {error}");
}

type Change = fn(TcpBuilder) -> TcpBuilder;

/// The options with values that Linux, or this library, refuses.
const REFUSED: [(&str, ErrorKind, Change); 11] = [
    ("bind_device", ErrorKind::NotFound, |tcp| tcp.bind_device("none0")),
    ("bind_device", ErrorKind::NotFound, |tcp| tcp.bind_device("")),
    ("bind_device", ErrorKind::NotFound, |tcp| tcp.bind_device("longer than any name of one")),
    ("keep_alive", ErrorKind::InvalidInput, |tcp| {
        tcp.keep_alive(KeepAlive { idle: Duration::ZERO, ..KeepAlive::default() })
    }),
    ("keep_alive", ErrorKind::InvalidInput, |tcp| {
        tcp.keep_alive(KeepAlive { interval: Duration::MAX, ..KeepAlive::default() })
    }),
    ("keep_alive", ErrorKind::InvalidInput, |tcp| {
        tcp.keep_alive(KeepAlive { count: 128, ..KeepAlive::default() })
    }),
    ("keep_alive", ErrorKind::InvalidInput, |tcp| {
        tcp.keep_alive(KeepAlive { count: 0, ..KeepAlive::default() })
    }),
    ("ttl", ErrorKind::InvalidInput, |tcp| tcp.ttl(0)),
    ("user_timeout", ErrorKind::InvalidInput, |tcp| tcp.user_timeout(Duration::ZERO)),
    ("user_timeout", ErrorKind::InvalidInput, |tcp| tcp.user_timeout(Duration::MAX)),
    ("user_timeout", ErrorKind::InvalidInput, |tcp| {
        tcp.user_timeout(Duration::from_millis(1 << 31))
    }),
];

#[test]
fn an_option_that_the_system_refuses_is_named() {
    in_host(async |selector| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        for (option, kind, change) in REFUSED {
            assert_names(change(selector.tcp()).bind("127.0.0.1:0").await, option, kind);
            let connecting = change(selector.tcp()).connect(server.local_address());
            assert_names(connecting.await, option, kind);
        }
        // Only IPv6 has the option.
        let refused = selector.tcp().only_v6(true).bind("127.0.0.1:0").await;
        assert_names(refused, "only_v6", ErrorKind::Unsupported);
        let refused = selector.udp().only_v6(false).bind("127.0.0.1:0").await;
        assert_names(refused, "only_v6", ErrorKind::Unsupported);
        let refused = selector.udp().bind_device("none0").connect(("127.0.0.1", 9)).await;
        assert_names(refused, "bind_device", ErrorKind::NotFound);
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_refused_option_leaves_no_socket() {
    forebay_testing::counted_alone("a_refused_option_leaves_no_socket", || {
        in_host(async |selector: SelectorManager| {
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let before = socket_descriptors();
            for (_, _, change) in REFUSED {
                change(selector.tcp()).bind("127.0.0.1:0").await.unwrap_err();
                change(selector.tcp().mptcp(true)).bind("127.0.0.1:0").await.unwrap_err();
                change(selector.tcp()).connect(server.local_address()).await.unwrap_err();
            }
            assert_eq!(socket_descriptors(), before);
            Ok(())
        })
        .unwrap();
    });
}

/// Every `setsockopt` of the process fails, one after the other.
#[test]
fn a_refusal_at_any_option_is_named() {
    const NAME: &str = "a_refusal_at_any_option_is_named";
    const REFUSALS: &str = "inject=setsockopt:error=EPERM:when=1";
    if role().is_some() {
        let refused = in_host(async |selector| {
            let tcp =
                selector.tcp().no_delay(true).receive_buffer_size(9_999).send_buffer_size(9_999);
            let tcp = tcp.notsent_lowat(9_999).type_of_service(0x48).reuse_port(true);
            tcp.bind("127.0.0.1:0").await
        });
        return say(&refused.map_or_else(|error| error.to_string(), |_| "bound".to_owned()));
    }
    if !Child::can_trace(&["strace", "-f", "-e", REFUSALS]) {
        return skip(NAME, "no strace, or it may not trace");
    }
    watched(|| {
        // The options of keep-alive are four calls.
        let names = ["keep_alive"; 4].into_iter().chain([
            "no_delay",
            "notsent_lowat",
            "receive_buffer_size",
            "reuse_address",
            "reuse_port",
            "send_buffer_size",
            "type_of_service",
        ]);
        for (place, option) in names.enumerate() {
            let refusal = format!("inject=setsockopt:error=EPERM:when={}", place + 1);
            let wrapper = ["strace", "-f", "-o", "/dev/null", "-e", &refusal];
            let mut child = Child::start_under(&wrapper, NAME, "refused");
            let said = child.hear().unwrap();
            assert!(said.contains(option) && said.contains("setting a socket option"), "{said}");
            child.end();
        }
    });
}
