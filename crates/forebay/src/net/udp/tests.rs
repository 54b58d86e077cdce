//! The order of two threads that is rare to meet.

use forebay_testing::counted_waker;
use quinn_udp::RecvMeta;

use super::datagram::split;
use crate::Result;
use crate::net::datagram::DatagramSocket;

/// A thread that asks the system between another's receive and its keeping of the rest finds nothing, and waits.
#[test]
fn a_receiver_that_came_too_early_is_woken_by_the_rest() {
    crate::run(async |selector| {
        let socket = selector.udp().bind("127.0.0.1:0").await?;
        let core = &socket.core;
        let (waker, woken) = counted_waker();
        let mut key = None;
        core.waits().readers.join(&mut key, &waker);
        core.keep_surplus(std::iter::empty());
        assert_eq!(woken.count(), 0);
        let mut about = RecvMeta::default();
        about.stride = 3;
        core.keep_surplus(split(b"onetwo", about, 10));
        assert_eq!(woken.count(), 1);
        core.waits().readers.leave(&mut key);
        assert_eq!(socket.receive().await?.payload, "one");
        assert_eq!(socket.try_receive()?.expect("it is kept").payload, "two");
        assert_eq!(core.unreceived.take_datagram(), None);
        Result::Ok(())
    })
    .expect("the test succeeds");
}
