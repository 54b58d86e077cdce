//! No descriptor is left at the moment when async-io begins.

use std::fs::File;
use std::io::Write;
use std::iter;
use std::net::TcpListener;

use forebay::SelectorManager;
use forebay_testing::{alone, watched};
use futures_lite::future::{block_on, poll_once};
use rustix::process::{Resource, Rlimit, setrlimit};

/// async-io needs three for its first socket, and panics without them. The thread that drives it ends then, and
/// is not started again: what waits there later would wait forever.
#[test]
fn async_io_begins_only_where_it_can() {
    alone("async_io_begins_only_where_it_can", || {
        watched(|| {
            let selector = SelectorManager::new();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let mut pairs: Vec<_> = (0..5)
                .map(|_| {
                    let socket = selector.block_on(selector.tcp().connect(address)).unwrap();
                    (socket.connection().unwrap(), listener.accept().unwrap().0)
                })
                .collect();
            let limit = Rlimit { current: Some(256), maximum: Some(256) };
            setrlimit(Resource::Nofile, limit).unwrap();
            let mut all: Vec<_> = iter::from_fn(|| File::open("/dev/null").ok()).collect();
            for (left, (it, _)) in pairs.iter_mut().enumerate() {
                let first = block_on(poll_once(it.input.read_u8()));
                assert!(first.is_none(), "with {left} descriptors: {first:?}");
                all.pop();
            }
            drop(all);
            for (it, peer) in &mut pairs {
                let mut reading = Box::pin(it.input.read_u8());
                assert!(block_on(poll_once(&mut reading)).is_none());
                peer.write_all(b"x").unwrap();
                assert_eq!(block_on(reading).unwrap(), b'x');
                it.socket.abort();
            }
            block_on(selector.close());
        });
    });
}
