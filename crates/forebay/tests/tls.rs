//! TLS between our own two sides.

#[path = "vocabulary/mod.rs"]
mod vocabulary;

use forebay::{Identity, Result, TlsConfig, Trust};
use futures_lite::future::zip;

fn configs() -> (TlsConfig, TlsConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
        .unwrap();
    let pem = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
    let identity = Identity::from_pem(pem).unwrap();
    let server = TlsConfig::server(identity).build().unwrap();
    let client =
        TlsConfig::client().trust(Trust::roots_pem(made.cert.pem()).unwrap()).build().unwrap();
    (client, server)
}

#[test]
fn a_line_goes_each_way() {
    let (client, server) = configs();
    let result: Result<()> = forebay::run(async |selector| {
        let listener = selector.tcp().bind("127.0.0.1:0").await?.tls(&server)?;
        let serve = async {
            let socket = listener.accept().await?;
            let mut c = socket.connection()?;
            println!("accepted {:?}", socket.tls_info());
            let line = c.input.read_line().await?;
            println!("read {line:?} {:?}", socket.tls_info());
            c.output.write_str("world\n").await?;
            assert_eq!(c.input.read_line().await?, None);
            socket.close().await
        };
        let connect = async {
            let socket =
                selector.tcp().connect(listener.local_address()).await?.tls(&client).await?;
            println!("connected {:?}", socket.tls_info());
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
    let (client, server) = configs();
    let result: Result<()> = forebay::run(async |selector| {
        let listener = selector.tcp().bind("127.0.0.1:0").await?.tls(&server)?;
        let data: Vec<u8> = (0..10_000_000u32).map(|n| (n / 7) as u8).collect();
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
