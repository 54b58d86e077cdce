//! The limits that a selector sets for its channels: every channel that it makes has them.

use std::future::pending;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use forebay::{ByteReadChannel, ErrorKind, LineOptions, Result, SelectorManager};
use forebay_testing::{Transport, cut_after, tls::Configs, until, watched};
use futures_lite::future::zip;

const LINE: usize = 5;
const PACKET: usize = 7;
const GIVE_BACK: usize = 20 * 1024;

fn run(test: impl AsyncFnOnce(SelectorManager) -> Result<()> + Send + 'static) {
    watched(move || {
        SelectorManager::builder()
            .line_limit(LINE)
            .packet_limit(PACKET)
            .give_back_limit(GIVE_BACK)
            // A task that never ends is cancelled when the selector closes, and reported.
            .drain(Duration::ZERO, 0)
            .on_task_error(|_| {})
            .run(test)
    })
    .unwrap();
}

/// A line beyond its limit, a packet, and less than a slice.
fn bytes() -> Vec<u8> {
    let mut bytes = b"123456\n1234567".to_vec();
    bytes.extend(vec![0; GIVE_BACK - 1]);
    bytes
}

async fn assert_limited(mut input: ByteReadChannel) {
    let error = input.read_line().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LineTooLong { limit: LINE as u64 });
    input.set_line_options(LineOptions::new().strict(true));
    assert!(input.read_line().await.unwrap_err().is_line_too_long());
    assert!(input.skip_line().await.unwrap());
    let beyond = ErrorKind::LimitExceeded { limit: PACKET as u64 };
    assert_eq!(input.read_packet(PACKET + 1).await.unwrap_err().kind(), beyond);
    assert_eq!(input.peek(PACKET + 1).await.unwrap_err().kind(), beyond);
    assert_eq!(input.read_packet(PACKET).await.unwrap().as_slice(), b"1234567");
    // As many as the smaller slice would give back, and the larger one does not.
    let mut slice = vec![0; GIVE_BACK];
    assert!(cut_after(1, input.read_exact(&mut slice)).is_none());
    assert_eq!(input.peek(1).await.unwrap(), Some(&[0][..]));
    until(|| {
        let mut slice = vec![0; GIVE_BACK + 1];
        drop(cut_after(1, input.read_exact(&mut slice)));
        matches!(
            input.try_read(&mut [0]).map_err(|error| error.kind()),
            Err(ErrorKind::Incomplete { .. })
        )
    })
    .await;
}

#[test]
fn sockets_have_the_limits_of_their_selector_over_every_transport() {
    run(async |selector| {
        for transport in Transport::ALL {
            let (mut near, far) = transport.pair(&selector).await?;
            near.output.write_all(&bytes()).await?;
            assert_limited(far.input).await;
        }
        Ok(())
    });
}

/// Also where another source fills the channel from then on.
#[test]
fn an_upgrade_to_tls_keeps_the_limits() {
    run(async |selector| {
        let configs = Configs::with(|client| client.server_name("localhost"), |server| server);
        let (mut client, mut server) = Transport::Tcp.pair(&selector).await?;
        let (upgraded, answered) =
            zip(client.tls(&configs.client), server.accept_tls(&configs.server)).await;
        upgraded.and(answered)?;
        client.output.write_all(&bytes()).await?;
        assert_limited(server.input).await;
        Ok(())
    });
}

#[test]
fn channels_of_tasks_and_threads_have_them_too() {
    run(async |selector| {
        let (kept, rest) = std::io::pipe().map(|(rest, kept)| (kept, rest))?;
        assert_limited(selector.blocking_reader(std::io::Cursor::new(bytes()).chain(rest))).await;
        drop(kept);
        let written = selector.writer(|mut output| async move {
            output.write_all(&bytes()).await?;
            pending().await
        });
        assert_limited(written).await;
        let passed = Arc::new(AtomicBool::new(false));
        let mut output = selector.reader({
            let passed = Arc::clone(&passed);
            |input| async move {
                assert_limited(input).await;
                passed.store(true, SeqCst);
                Ok(())
            }
        });
        output.write_all(&bytes()).await?;
        until(|| passed.load(SeqCst)).await;
        Ok(())
    });
}
