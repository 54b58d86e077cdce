//! With every extension trait of both families in scope, a call on an owned channel is the channel's own.

use forebay::{ByteReadChannel, Packet, pipe};
#[allow(unused_imports, reason = "they are in scope so that they could win")]
use futures_util::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, SinkExt as _, StreamExt as _,
};
#[allow(unused_imports, reason = "they are in scope so that they could win")]
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn the_channels_own_calls_win() -> forebay::Result<()> {
    let mut input = ByteReadChannel::from("one\ntwo\nthree\n\x01\x02\x03\x04rest and more");
    let line: Option<String> = input.read_line().await?;
    assert_eq!(line.as_deref(), Some("one"));
    assert_eq!(input.read_line_ref().await?, Some("two"));
    let mut text = String::new();
    let is_line: bool = input.read_line_into(&mut text).await?;
    assert!(is_line);
    let number: forebay::Result<u16> = input.read_u16().await;
    assert_eq!(number?, 0x0102);
    let number: forebay::Result<i8> = input.read_i8().await;
    assert_eq!(number?, 3);
    assert_eq!(input.read_u8().await?, 4);
    let mut slice = [0; 4];
    let filled: forebay::Result<()> = input.read_exact(&mut slice).await;
    filled?;
    let count: forebay::Result<usize> = input.read(&mut slice).await;
    assert_eq!(count?, 4);
    let packet: Packet = input.read_remaining(100).await?;
    assert_eq!(packet.len(), 5);

    let mut input = ByteReadChannel::from("GET one,two\nthree\nfour");
    let is_found: forebay::Result<bool> = input.skip_if_found(b"GET ").await;
    assert!(is_found?);
    let item: forebay::Result<Option<_>> = input.read_until(b",", 10).await;
    assert_eq!(item?.as_deref(), Some(&b"one"[..]));
    assert_eq!(input.peek(3).await?, Some(&b"two"[..]));
    let mut out = Vec::new();
    let is_item: forebay::Result<bool> = input.read_until_into(b"\n", &mut out, 10).await;
    assert!(is_item? && out == b"two");
    let line: Option<&[u8]> = input.read_line_bytes_ref().await?;
    assert_eq!(line, Some(&b"three"[..]));
    let is_there: forebay::Result<bool> = input.await_content(4).await;
    assert!(is_there?);
    let count: forebay::Result<Option<usize>> = input.try_read(&mut [0; 2]);
    assert_eq!(count?, Some(2));
    let packet: forebay::Result<Packet> = input.read_up_to(9).await;
    assert_eq!((packet?.len(), input.counted()), (2, 22));
    assert!(input.exhausted().await?);

    let (mut input, mut output) = pipe(4096);
    let written: forebay::Result<()> = output.write_all(b"all").await;
    written?;
    let written: forebay::Result<()> = output.write_u16(1).await;
    written?;
    forebay::write_line!(output, "line").await?;
    let flushed: forebay::Result<()> = output.flush().await;
    flushed?;
    output.finish().await?;
    assert_eq!(input.read_packet(5).await?.len(), 5);
    assert_eq!(input.read_line().await?.as_deref(), Some("line"));

    let selector = forebay::SelectorManager::new();
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    let mut incoming = server.incoming();
    server.close();
    let next: Option<forebay::Result<forebay::Socket>> = incoming.next().await;
    assert!(next.is_none());
    Ok(())
}
