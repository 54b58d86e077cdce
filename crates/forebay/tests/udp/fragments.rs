//! A datagram above the size of the path's packets.

#![cfg(target_os = "linux")]

use forebay_testing::{End, KIB, PATIENCE, in_host, on_a_cable, role, say, scrambled};

const NAME: &str = "a_datagram_above_the_paths_size_arrives";
const PORT: u16 = 4_000;

#[test]
fn a_datagram_above_the_paths_size_arrives() {
    match role().as_deref() {
        Some("receives") => {
            in_host(async |selector| {
                let builder = selector.udp().receive_buffer_size(1 << 20);
                let socket = builder.bind(("0.0.0.0", PORT)).await?;
                say("ready");
                for bytes in [4_000, 1_472, 1_473, 60 * KIB] {
                    let datagram = socket.receive().await?;
                    assert!(datagram.payload == scrambled(bytes, 1), "{bytes}");
                    socket.reply(&datagram, "whole").await?;
                }
                Ok(())
            })
            .unwrap();
        }
        Some("sends") => {
            in_host(async |selector| {
                let socket = selector.udp().connect((End::Left.address().to_owned(), PORT)).await?;
                for bytes in [4_000, 1_472, 1_473, 60 * KIB] {
                    socket.send(scrambled(bytes, 1)).await?;
                    assert_eq!(socket.receive().await?.payload, "whole");
                }
                Ok(())
            })
            .unwrap();
        }
        _ => on_a_cable(NAME, PATIENCE, |cable| {
            cable.set_packet_bytes(1_500);
            let mut receives = cable.start(End::Left, NAME, "receives");
            assert_eq!(receives.hear().as_deref(), Some("ready"));
            cable.start(End::Right, NAME, "sends").end();
            receives.end();
        }),
    }
}
