//! Bytes that wait in the system.

use forebay::{Result, SelectorManager};
use forebay_testing::{MIB, in_host, pattern, settle};

use crate::namespace::read_to_end;

/// Fills a connection whose peer does not read, and returns how much the system keeps unsent. Then the peer reads.
async fn unsent(selector: &SelectorManager, lowat: Option<u32>) -> Result<u32> {
    let server = selector.tcp().receive_buffer_size(50_000).bind("127.0.0.1:0").await?;
    let builder = selector.tcp().send_buffer_size(200_000);
    let builder = match lowat {
        Some(bytes) => builder.notsent_lowat(bytes),
        None => builder,
    };
    let client = builder.connect(server.local_address()).await?;
    let accepted = server.accept().await?;
    let writer = client.clone();
    let writing = selector.spawn(async move {
        let mut output = writer.open_write_channel()?;
        for part in pattern(4 * MIB).chunks(MIB) {
            output.write_all(part).await?;
        }
        output.finish().await
    });
    let (mut before, mut now) = (None, Some(0));
    while before != now || now == Some(0) {
        settle().await;
        before = now;
        now = client.tcp_info()?.unsent_bytes();
    }
    assert!(read_to_end(&mut accepted.open_read_channel()?).await? == pattern(4 * MIB));
    writing.await?;
    Ok(now.unwrap_or_default())
}

#[test]
fn notsent_lowat_keeps_little_in_the_system_and_loses_nothing() {
    in_host(async |selector| {
        let usual = unsent(&selector, None).await?;
        for bytes in [1, 4_096, 16_384] {
            let little = unsent(&selector, Some(bytes)).await?;
            assert!(little < usual / 2, "{bytes}: {little} instead of {usual}");
        }
        Ok(())
    })
    .unwrap();
}
