//! Peers that have brought other users of the same TLS library down.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use forebay::{Result, SelectorManager};
use forebay_testing::{
    dial, processor_time_here, report,
    tls::{Configs, client_hello, secure_pair},
    watched,
};

/// The warning that says that no more comes, in the clear.
const CLOSE_NOTIFY: &[u8] = &[21, 3, 3, 0, 2, 1, 0];

fn run(test: impl AsyncFnOnce(SelectorManager, Configs) -> Result<()> + Send + 'static) {
    watched(move || {
        let builder = SelectorManager::builder().on_task_error(|_| ());
        builder.run(async |selector| test(selector, Configs::new()).await)
    })
    .unwrap();
}

#[test]
fn rustsec_2024_0336_a_close_notify_in_the_handshake_keeps_nobody_busy() {
    run(async |selector, configs| {
        let hello = client_hello(&selector, &configs.client).await?;
        let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
        let mut peer = dial(server.port());
        peer.write_all(&[&hello[..], CLOSE_NOTIFY].concat()).unwrap();
        let socket = server.accept().await?;
        let handshake = selector.spawn_value(async move { socket.handshake().await });
        let (before, since) = (processor_time_here(), Instant::now());
        selector.sleep(Duration::from_millis(500)).await;
        let (used, passed) = (processor_time_here().saturating_sub(before), since.elapsed());
        assert!(used < passed / 2, "{used:?} of processor time in {passed:?}");
        let told = handshake.is_finished();
        peer.shutdown(Shutdown::Write).unwrap();
        let error = handshake.await?.unwrap_err();
        assert!(error.tls_fault().is_some(), "{error}");
        report(&format!(
            "tls_hostile_peers: close_notify behind a ClientHello: {used:?} of processor time in \
             {passed:?}, told at once: {told}; {error}"
        ));
        Ok(())
    });
}

#[test]
fn rustsec_2024_0399_a_client_hello_byte_by_byte_is_answered() {
    run(async |selector, configs| {
        let hello = client_hello(&selector, &configs.client).await?;
        let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
        let mut peer = dial(server.port());
        peer.set_nodelay(true).unwrap();
        let socket = server.accept().await?;
        let _handshake = selector.spawn_value(async move { socket.handshake().await });
        let before = selector.stats().receives;
        for byte in hello {
            let received = selector.stats().received_bytes;
            peer.write_all(&[byte]).unwrap();
            forebay_testing::until(|| selector.stats().received_bytes > received).await;
        }
        let segments = selector.stats().receives - before;
        let mut answer = [0; 6];
        let answer = selector
            .spawn_blocking(move || {
                peer.read_exact(&mut answer).unwrap();
                answer
            })
            .await?;
        // A record of the handshake, with a ServerHello in it.
        assert_eq!((answer[0], answer[5]), (22, 2));
        report(&format!("tls_hostile_peers: a ClientHello in {segments} receives is answered"));
        Ok(())
    });
}

#[test]
fn rustsec_2020_0019_a_fast_sender_waits_for_a_reader_that_does_not_read() {
    run(async |selector, configs| {
        let (mut near, far) = secure_pair(&selector, &configs).await?;
        let sending = selector.spawn_value(async move {
            let data = vec![7; 1 << 20];
            loop {
                if let Err(error) = near.output.write_all(&data).await {
                    return error;
                }
            }
        });
        // It stands still once the kernel's buffers are full.
        let mut sent = 0;
        loop {
            selector.sleep(Duration::from_millis(50)).await;
            let now = selector.stats().sent_bytes;
            if now == std::mem::replace(&mut sent, now) && sent > 0 {
                break;
            }
        }
        let stats = selector.stats();
        assert!(stats.received_bytes < 64 * 1024, "{stats:?}");
        assert!(stats.blocks < 32, "{stats:?}");
        drop(far);
        let error = sending.await?;
        assert!(error.is_reset(), "{error}");
        report(&format!(
            "tls_hostile_peers: a sender stands still after {sent} bytes in the kernel; {} blocks, {} \
             bytes received",
            stats.blocks, stats.received_bytes
        ));
        Ok(())
    });
}
