//! Bytes and lines, over every transport.

use forebay::{Connection, Result, SelectorManager};
use forebay_testing::{KIB, Transport, pattern};

use crate::support::{echo, in_each, pair};

#[test]
fn bytes_come_back_over_every_transport() {
    in_each("bytes_come_back_over_every_transport", async |selector| {
        for transport in Transport::ALL {
            let (near, far) = transport.pair(selector).await?;
            let echoing = tokio::spawn(echo(far));
            come_back(near).await?;
            echoing.await.unwrap()?;
        }
        Ok(())
    });
}

/// Writes and reads at the same time more than the kernel takes.
async fn come_back(near: Connection) -> Result<()> {
    let Connection { mut input, mut output, socket, .. } = near;
    let sent = pattern(3000 * KIB);
    let written = async {
        for item in sent.chunks(10_007) {
            output.write_all(item).await?;
        }
        output.finish().await
    };
    let (written, received) = tokio::join!(written, input.read_remaining(sent.len()));
    written?;
    assert!(received?.as_slice() == sent, "the echo differs");
    socket.close().await
}

#[test]
fn lines_are_answered() {
    in_each("lines_are_answered", async |selector| {
        let (mut near, far) = pair(selector).await?;
        let greeting = tokio::spawn(greet(far));
        for number in 0..500 {
            near.output.write_str(&format!("{number}\n")).await?;
            let answer = near.input.read_line().await?;
            assert_eq!(answer, Some(format!("Hello, {number}!")));
        }
        near.output.finish().await?;
        assert_eq!(near.input.read_line().await?, None);
        greeting.await.unwrap()
    });
}

async fn greet(mut far: Connection) -> Result<()> {
    while let Some(name) = far.input.read_line().await? {
        forebay::write_line!(far.output, "Hello, {name}!").await?;
    }
    far.output.finish().await
}

/// Each selector has a guest of its own in the runtime.
#[test]
fn two_selectors_share_a_runtime() {
    in_each("two_selectors_share_a_runtime", async |selector| {
        let other = SelectorManager::new();
        for transport in [Transport::Tcp, Transport::Tls] {
            let (near, far) = transport.pair_between(selector, &other).await?;
            let echoing = tokio::spawn(echo(far));
            come_back(near).await?;
            echoing.await.unwrap()?;
        }
        other.close().await;
        Ok(())
    });
}
