//! A send for which the system has no room waits.

#![cfg(target_os = "linux")]

use forebay::{DatagramBatch, Result, SelectorManager};
use forebay_testing::{End, PATIENCE, PLUG, in_host, on_a_cable, role, say, scrambled};
use futures_lite::future::poll_once;

const NAME: &str = "a_send_without_room_waits_and_loses_nothing";
const PORT: u16 = 4_001;
/// Of each kind of send.
const COUNT: usize = 40;

/// Of two lengths in turn, so that none leaves together with the next.
fn payload(number: usize) -> Vec<u8> {
    scrambled(1_000 + number % 2, number)
}

/// Over a link of a megabit per second, whose queue holds everything: what waits there fills the socket's buffer.
#[test]
fn a_send_without_room_waits_and_loses_nothing() {
    match role().as_deref() {
        Some("receives") => in_host(receives).unwrap(),
        Some("sends") => in_host(sends).unwrap(),
        _ => on_a_cable(NAME, PATIENCE, |cable| {
            let slow = ["rate", "1mbit", "burst", "2kb", "limit", "1mb"];
            let link = ["tc", "qdisc", "add", "dev", PLUG, "root", "tbf"];
            cable.run(End::Right, &[&link[..], &slow].concat());
            let mut receives = cable.start(End::Left, NAME, "receives");
            assert_eq!(receives.hear().as_deref(), Some("ready"));
            cable.start(End::Right, NAME, "sends").end();
            receives.end();
        }),
    }
}

async fn receives(selector: SelectorManager) -> Result<()> {
    let builder = selector.udp().receive_buffer_size(1 << 20);
    let socket = builder.bind(("0.0.0.0", PORT)).await?;
    say("ready");
    for number in 0..3 * COUNT {
        let datagram = socket.receive().await?;
        assert!(datagram.payload == payload(number), "{number}");
    }
    Ok(())
}

async fn sends(selector: SelectorManager) -> Result<()> {
    // The least that Linux allows.
    let builder = selector.udp().send_buffer_size(1);
    let socket = builder.connect((End::Left.address().to_owned(), PORT)).await?;
    let mut waited = 0;
    for number in 0..COUNT {
        let payload = payload(number);
        if poll_once(socket.send(&payload)).await.transpose()?.is_none() {
            // A call that is dropped has sent nothing.
            waited += 1;
            socket.send(&payload).await?;
        }
    }
    assert!(waited > COUNT / 4, "{waited} sends waited");

    let mut refused = 0;
    for number in COUNT..2 * COUNT {
        let payload = payload(number);
        while !socket.try_send(&payload)? {
            refused += 1;
            forebay::yield_now().await;
        }
    }
    assert!(refused > COUNT / 4, "{refused} tries found no room");

    let mut batch = DatagramBatch::new();
    for number in 2 * COUNT..3 * COUNT {
        batch.push(payload(number), None);
    }
    // Dropped as often as it waits.
    let mut waits = 0;
    while poll_once(socket.send_batch(&mut batch)).await.transpose()?.is_none() {
        waits += 1;
        forebay::yield_now().await;
    }
    assert!(waits > 0 && batch.is_empty());
    Ok(())
}
