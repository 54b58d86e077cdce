//! How often the timers are touched, which nothing outside can see.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use futures_lite::future::poll_once;

use crate::testing::TestClock;
use crate::{Error, SelectorManager};

const SECOND: Duration = Duration::from_secs(1);
/// Bytes each way, one a second.
const BYTES: u32 = 3600;
const LIMIT: u32 = 60;

/// Every byte starts two silences anew, and only once a minute does that cost a timer.
#[test]
fn a_busy_connection_hardly_touches_the_timers() {
    let clock = TestClock::new();
    let selector = SelectorManager::builder().clock(clock.clone());
    let added = selector.run(async |selector| {
        let (mut near, mut far) = selector.duplex(64);
        near.socket.set_read_timeout(SECOND * LIMIT);
        near.socket.set_write_timeout(SECOND * LIMIT);
        near.socket.set_idle_timeout(SECOND * LIMIT);
        let timers = selector.shared().timers();
        let before = timers.added();
        for _ in 0..BYTES {
            assert!(poll_once(near.input.read_u8()).await.is_none());
            clock.advance(SECOND);
            far.output.write_u8(1).await?;
            assert_eq!(near.input.read_u8().await?, 1);
            near.output.write_u8(2).await?;
            assert_eq!(far.input.read_u8().await?, 2);
            assert!(timers.len() <= 1);
        }
        Ok::<_, Error>(timers.added() - before)
    });
    let added = added.unwrap();
    assert!(added > 0, "no timer at all");
    assert!(added <= u64::from(2 * BYTES / LIMIT), "{added} timers for {BYTES} bytes each way");
}
