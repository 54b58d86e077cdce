//! A flood to one socket does not hold up the rest.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use forebay::SelectorManager;
use forebay_testing::{alone, watched};

/// One worker, so that the tasks are in each other's way.
#[test]
fn a_task_that_always_finds_a_datagram_gives_way() {
    watched(|| {
        SelectorManager::builder().workers(1).run(async |selector| {
            let flooded = selector.udp().bind("127.0.0.1:0").await?;
            let received = Arc::new(AtomicUsize::new(0));
            // It sends to itself, so there is always one.
            let (socket, count) = (flooded.clone(), Arc::clone(&received));
            let _flood = selector.spawn_value(async move {
                loop {
                    socket.send("again", socket.local_address()).await?;
                    socket.receive().await?;
                    count.fetch_add(1, SeqCst);
                }
                #[expect(unreachable_code, reason = "names the type of the error")]
                forebay::Result::Ok(())
            });
            let (mut turns, mut last) = (0, 0);
            while turns < 100 {
                forebay::yield_now().await;
                let now = received.load(SeqCst);
                assert!(now - last <= 1_000, "{now} after {last}");
                turns += usize::from(now > last);
                last = now;
            }
            flooded.close();
            forebay::Result::Ok(())
        })
    })
    .unwrap();
}

/// The memory that a flood may cost: that of one receive, of several datagrams at a time.
#[cfg(target_os = "linux")]
const FLOOD_KIB: usize = 2 * 1_024;

/// A million datagrams in a long run: what is received and what is dropped is what was sent, and none is kept.
#[test]
fn a_flood_is_bounded_and_counted_and_others_live() {
    let sent: u64 = forebay_testing::size("FOREBAY_DATAGRAMS", 100_000, 1_000_000);
    alone("a_flood_is_bounded_and_counted_and_others_live", || {
        for (sent, has_packet_info) in [(sent, false), (sent / 10, true)] {
            watched(move || {
                SelectorManager::builder()
                    .run(async |selector| bear_a_flood(&selector, sent, has_packet_info).await)
            })
            .unwrap();
        }
    });
}

async fn bear_a_flood(
    selector: &SelectorManager,
    sent: u64,
    has_packet_info: bool,
) -> forebay::Result<()> {
    let slow = selector.udp().packet_info(has_packet_info).bind("127.0.0.1:0").await?;
    let to = slow.local_address();
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let flood = std::thread::spawn(move || {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        for number in 0..sent {
            peer.send_to(&number.to_be_bytes(), to).unwrap();
        }
        over.store(true, SeqCst);
    });
    let echo = selector.udp().bind("127.0.0.1:0").await?;
    let (mut received, mut last, mut echoes) = (0, None, 0_u64);
    #[cfg(target_os = "linux")]
    let mut memory_kib = 0;
    loop {
        let was_over = is_over.load(SeqCst);
        // A slow reader: one datagram, then an echo of its own.
        let Some(datagram) = slow.try_receive()? else {
            if was_over {
                break;
            }
            forebay::yield_now().await;
            continue;
        };
        let number = u64::from_be_bytes(datagram.payload[..].try_into().unwrap());
        assert!(last < Some(number), "{number} after {last:?}");
        (last, received) = (Some(number), received + 1);
        echo.send("ping", echo.local_address()).await?;
        assert_eq!(echo.receive().await?.payload, "ping");
        echoes += 1;
        #[cfg(target_os = "linux")]
        if echoes == 100 {
            memory_kib = forebay_testing::memory_of(std::process::id()).0;
        }
    }
    flood.join().unwrap();
    assert!(echoes > 100);
    #[cfg(target_os = "linux")]
    {
        assert_eq!(received + slow.dropped_datagrams()?, sent);
        let (_, most_kib) = forebay_testing::memory_of(std::process::id());
        assert!(most_kib <= memory_kib + FLOOD_KIB, "{most_kib} KiB after {memory_kib}");
        let dropped = sent - received;
        forebay_testing::report(&format!(
            "{sent} sent = {received} received + {dropped} dropped; {memory_kib} KiB, at most {most_kib}"
        ));
    }
    Ok(())
}
