//! When the timers are touched, which nothing outside can see.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_lite::future::poll_once;

use super::Silence;
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

/// A thread may be late to note when its silence began, and the alarm rings meanwhile.
#[test]
fn a_silence_that_is_noted_late_has_its_alarm() {
    let clock = TestClock::new();
    let selector = SelectorManager::builder().clock(clock.clone()).build().unwrap();
    let (near, _far) = selector.duplex(64);
    near.socket.set_read_timeout(SECOND);
    near.socket.set_write_timeout(SECOND);
    let timeouts = near.socket.0.core().timeouts().unwrap();
    let note = |silence: Silence, since| {
        timeouts.since[silence as usize].store(since, Ordering::Relaxed);
    };
    let began = timeouts.now();
    note(Silence::Reading, began);
    clock.advance(SECOND * 2);
    // What ringing does, and between its two steps the other thread.
    let told = timeouts.passed(timeouts.now());
    note(Silence::Writing, began);
    timeouts.set_alarm(told);
    assert_eq!(selector.shared().timers().added(), 1, "nobody would end the writer's silence");
}

/// An alarm rings early if a byte has moved since it was set. The connection may become idle for too long while it rings.
#[test]
fn a_silence_that_becomes_too_long_while_the_alarm_rings_has_its_alarm() {
    let clock = TestClock::new();
    let selector = SelectorManager::builder().clock(clock.clone()).build().unwrap();
    let (near, _far) = selector.duplex(64);
    let timeouts = near.socket.0.core().make_timeouts();
    let idling = Silence::Idling as usize;
    let now = timeouts.now();
    timeouts.limits[idling].store(super::nanos(SECOND), Ordering::Relaxed);
    timeouts.since[idling].store(now, Ordering::Relaxed);
    clock.advance(SECOND * 2);
    timeouts.ring_at(now);
    assert_eq!(selector.shared().timers().added(), 1, "nothing would end the connection");
}
