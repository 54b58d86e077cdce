//! A channel whose task waits for something else holds no block for a few bytes.

use forebay::{ByteReadChannel, Result};
use forebay_testing::{on_every_transport, report, until};

const CALLS: [&str; 10] = [
    "read_line",
    "read_line_ref",
    "read_line_into",
    "read_lines_ref",
    "skip_line",
    "read",
    "read_u16",
    "read_exact",
    "read_packet",
    "discard",
];
const CONNECTIONS: usize = 20;

/// Takes two of the four bytes that have arrived.
async fn take_two(call: &str, input: &mut ByteReadChannel) -> Result<()> {
    match call {
        "read_line" => assert_eq!(input.read_line().await?.as_deref(), Some("a")),
        "read_line_ref" => assert_eq!(input.read_line_ref().await?, Some("a")),
        "read_line_into" => assert!(input.read_line_into(&mut String::new()).await?),
        "read_lines_ref" => {
            let line = input.read_lines_ref().await?.and_then(|mut lines| lines.next());
            assert_eq!(line, Some("a"));
        }
        "skip_line" => assert!(input.skip_line().await?),
        "read" => assert_eq!(input.read(&mut [0; 2]).await?, 2),
        "read_u16" => assert_eq!(input.read_u16().await?, u16::from_be_bytes(*b"a\n")),
        "read_exact" => input.read_exact(&mut [0; 2]).await?,
        "read_packet" => assert_eq!(input.read_packet(2).await?.as_slice(), b"a\n"),
        _ => assert_eq!(input.discard(2).await?, 2),
    }
    Ok(())
}

#[test]
fn a_handler_that_waits_for_something_else_holds_no_block() {
    on_every_transport(async |selector, transport| {
        for call in CALLS {
            let mut kept = Vec::new();
            for _ in 0..CONNECTIONS {
                let (mut near, mut far) = transport.pair(&selector).await?;
                far.output.write_str("a\nb\n").await?;
                far.output.flush().await?;
                take_two(call, &mut near.input).await?;
                assert_eq!(near.input.buffered(), 2, "{call} over {transport}");
                kept.push((near, far));
            }
            let blocks = selector.stats().blocks;
            report(&format!(
                "settled_blocks: {blocks} blocks for {CONNECTIONS} channels after {call} over \
                 {transport}"
            ));
            assert_eq!(blocks, 0, "{call} over {transport}");
            for (near, _far) in &mut kept {
                assert_eq!(near.input.read_u16().await?, u16::from_be_bytes(*b"b\n"));
            }
            assert_eq!(selector.stats().blocks, 0, "{call} over {transport}");
        }
        Ok(())
    });
}

/// One line by itself, which is all that has arrived, and is still lent.
#[test]
fn a_lent_line_holds_no_block() {
    on_every_transport(async |selector, transport| {
        let (mut near, mut far) = transport.pair(&selector).await?;
        far.output.write_str("a line\n").await?;
        far.output.flush().await?;
        let line = near.input.read_line_ref().await?;
        until(|| selector.stats().blocks == 0).await;
        assert_eq!(line, Some("a line"));
        Ok(())
    });
}
