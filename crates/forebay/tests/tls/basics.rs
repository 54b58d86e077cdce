//! TLS between our own two sides.

#![cfg(feature = "tls")]

use forebay::Result;
use forebay_testing::{
    in_host, report,
    tls::{Configs, LOCAL, secure_pair},
};
use futures_lite::future::zip;

#[test]
fn a_line_goes_each_way() {
    let Configs { client, server } = Configs::new();
    let result: Result<()> = in_host(async |selector| {
        let listener = selector.tcp().bind("127.0.0.1:0").await?.tls(&server)?;
        let serve = async {
            let socket = listener.accept().await?;
            let mut c = socket.connection()?;
            report(&format!("accepted {:?}", socket.tls_info()));
            let line = c.input.read_line().await?;
            report(&format!("read {line:?} {:?}", socket.tls_info()));
            c.output.write_str("world\n").await?;
            assert_eq!(c.input.read_line().await?, None);
            socket.close().await
        };
        let connect = async {
            let socket =
                selector.tcp().connect(listener.local_address()).await?.tls(&client).await?;
            report(&format!("connected {:?}", socket.tls_info()));
            let mut c = socket.connection()?;
            c.output.write_str("hello\n").await?;
            assert_eq!(c.input.read_line().await?.as_deref(), Some("world"));
            c.output.finish().await?;
            assert_eq!(c.input.read_line().await?, None);
            socket.close().await
        };
        let (a, b) = zip(serve, connect).await;
        a?;
        b
    });
    result.unwrap();
}

#[test]
fn ten_megabytes_go_each_way() {
    let Configs { client, server } = Configs::new();
    let result: Result<()> = in_host(async |selector| {
        let listener = selector.tcp().bind("127.0.0.1:0").await?.tls(&server)?;
        let data: Vec<u8> = (0..=250).cycle().take(10_000_000).collect();
        let serve = async {
            let socket = listener.accept().await?;
            let mut c = socket.connection()?;
            c.input.copy_to(&mut c.output).await?;
            c.output.finish().await?;
            socket.close().await
        };
        let connect = async {
            let socket =
                selector.tcp().connect(listener.local_address()).await?.tls(&client).await?;
            let mut c = socket.connection()?;
            let write = async {
                c.output.write_all(&data).await?;
                c.output.finish().await
            };
            let read = c.input.read_remaining(data.len());
            let (w, r) = zip(write, read).await;
            w?;
            assert!(r?.as_ref() == &data[..]);
            socket.close().await
        };
        let (a, b) = zip(serve, connect).await;
        a?;
        b
    });
    result.unwrap();
}

#[test]
fn a_pair_is_secure() {
    let result: Result<()> = in_host(async |selector| {
        let (client, accepted) = secure_pair(&selector, &Configs::new()).await?;
        let (near, far) = (client.socket.tls_info().unwrap(), accepted.socket.tls_info().unwrap());
        assert_eq!(near.peer_certificates()[0].names(), LOCAL);
        assert!(far.peer_certificates().is_empty());
        Ok(())
    });
    result.unwrap();
}
