//! TLS over sockets that begin in another way.

#![cfg(feature = "tls")]

use forebay::{Result, TcpBuilder};
use forebay_testing::in_host;
use forebay_testing::tls::Configs;
use futures_lite::future::zip;

use crate::namespace::in_a_namespace;

/// A line each way, and an end in order each way.
async fn talk(configs: &Configs, builder: TcpBuilder) -> Result<()> {
    let listener = builder.clone().bind("127.0.0.1:0").await?.tls(&configs.server)?;
    // The second one knows the server's cookie, where there are cookies.
    for _ in 0..3 {
        let serve = async {
            let mut c = listener.accept().await?.connection()?;
            assert_eq!(c.input.read_line().await?.as_deref(), Some("hello"));
            c.output.write_str("world\n").await?;
            assert_eq!(c.input.read_line().await?, None);
            c.socket.close().await
        };
        let connect = async {
            let socket = builder.clone().connect(listener.local_address()).await?;
            let mut c = socket.tls(&configs.client).await?.connection()?;
            c.output.write_str("hello\n").await?;
            assert_eq!(c.input.read_line().await?.as_deref(), Some("world"));
            c.output.finish().await?;
            assert_eq!(c.input.read_line().await?, None);
            assert_eq!(c.socket.options()?.no_delay(), Some(true));
            c.socket.close().await
        };
        let (served, connected) = zip(serve, connect).await;
        served?;
        connected?;
    }
    Ok(())
}

#[test]
fn tls_begins_in_the_syn() {
    in_a_namespace("tls_begins_in_the_syn", &[("ipv4/tcp_fastopen", "3")], || {
        let configs = Configs::new();
        in_host(async |selector| talk(&configs, selector.tcp().fast_open(9)).await).unwrap();
    });
}

#[test]
fn tls_goes_over_multipath_tcp() {
    let configs = Configs::new();
    in_host(async |selector| talk(&configs, selector.tcp().mptcp(true)).await).unwrap();
}
