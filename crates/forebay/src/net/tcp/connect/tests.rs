use std::future::poll_fn;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::task::Poll;

use super::*;
use crate::SelectorManager;
use crate::net::address::ToAddress;
use crate::net::system;
use crate::testing::TestClock;

const LIMIT: Duration = Duration::from_secs(10);

/// Polls a future while the worker goes round a few times.
async fn still_waits<F: Future>(mut future: Pin<&mut F>) -> bool {
    for _ in 0..1000 {
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return false;
        }
        futures_lite::future::yield_now().await;
    }
    true
}

/// Addresses that answer no handshake, because their listeners' queues are full.
struct Silent(Vec<socket2::Socket>, Vec<SocketAddr>);

impl Silent {
    fn new(count: u8) -> Self {
        let (mut sockets, mut addresses) = (Vec::new(), Vec::new());
        for number in 0..count {
            let listener = system::stream_socket(([127, 0, 0, 1], 0).into()).expect("a socket");
            let any = SocketAddr::from(([127, 0, 0, 2 + number], 0));
            listener.bind(&any.into()).expect("a free port");
            listener.listen(0).expect("it listens");
            let address = listener.local_addr().expect("it is bound");
            // One is taken into the queue, and the next ones wait for room.
            for _ in 0..4 {
                let client = system::stream_socket(any).expect("a socket");
                client.connect(&address).expect_err("it never blocks");
                sockets.push(client);
            }
            sockets.push(listener);
            addresses.extend(address.as_socket());
        }
        Self(sockets, addresses)
    }
}

fn on_a_clock(test: impl AsyncFnOnce(&Arc<Shared>, TestClock)) {
    let clock = TestClock::new();
    let selector = SelectorManager::builder().clock(clock.clone()).build().expect("a selector");
    selector.block_on(test(selector.shared(), clock));
}

fn deadline(selector: &Arc<Shared>) -> Deadline {
    let timers = selector.timers();
    Deadline { began: timers.now(), timers, limit: LIMIT }
}

#[test]
fn silent_addresses_share_the_time() {
    on_a_clock(async |selector, clock| {
        let silent = Silent::new(3);
        let answers = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut candidates = silent.1.clone();
        candidates.push(answers.local_addr().expect("it is bound"));
        let name = "name.test:80".to_address().expect("a name");
        let (options, deadline) = (Arc::default(), deadline(selector));
        let connecting = connect_to_any(selector, &name, &candidates, &options, &deadline);
        let mut connecting = pin!(connecting);
        // Four, so a quarter each.
        for _ in 0..3 {
            assert!(still_waits(connecting.as_mut()).await);
            clock.advance(LIMIT / 4);
        }
        let socket = connecting.await.expect("the last one answers");
        assert_eq!(socket.remote_address().port(), Some(candidates[3].port()));
        drop(silent.0);
    });
}

#[test]
fn what_a_refusal_leaves_goes_to_the_others_and_all_are_told() {
    on_a_clock(async |selector, clock| {
        let silent = Silent::new(1);
        let refusing = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let refused = refusing.local_addr().expect("it is bound");
        drop(refusing);
        let candidates = [refused, silent.1[0]];
        let name = "name.test:80".to_address().expect("a name");
        let (options, deadline) = (Arc::default(), deadline(selector));
        let connecting = connect_to_any(selector, &name, &candidates, &options, &deadline);
        let mut connecting = pin!(connecting);
        assert!(still_waits(connecting.as_mut()).await);
        clock.advance(Duration::from_secs(9));
        assert!(still_waits(connecting.as_mut()).await, "it has all the time that is left");
        clock.advance(Duration::from_secs(1));
        let error = connecting.await.expect_err("none answers");
        assert_eq!(
            error.to_string(),
            format!(
                "connect name.test:80: timed out: 2 addresses failed: connect {refused}: the peer \
                 refused the connection (os error {}); connect {}: timed out: no answer within 10.0s, its share of \
                 connect_timeout",
                rustix::io::Errno::CONNREFUSED.raw_os_error(),
                silent.1[0]
            )
        );
    });
}

#[test]
fn an_only_address_has_all_the_time_and_its_error_names_the_setting() {
    on_a_clock(async |selector, clock| {
        let silent = Silent::new(1);
        let address = silent.1[0].to_address().expect("an address");
        let options = Arc::new(OptionValues { connect_timeout: LIMIT, ..OptionValues::default() });
        let mut connecting = pin!(connect(selector, &address, &options));
        assert!(still_waits(connecting.as_mut()).await);
        clock.advance(LIMIT);
        let error = connecting.await.expect_err("it is silent");
        assert_eq!(
            error.to_string(),
            format!(
                "connect {address}: timed out: not connected after 10s (connect_timeout sets this)"
            )
        );
    });
}
