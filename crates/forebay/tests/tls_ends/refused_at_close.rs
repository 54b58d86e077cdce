//! A server of TLS 1.3 judges its client's certificate when the client's handshake is complete already
//! (RFC 8446, section 4.4.2). A client that only writes and closes learns of a refusal as it closes.

#![cfg(target_os = "linux")]

use forebay::{ClientAuth, Result, SelectorManager, Socket, TlsFault};
use forebay_testing::{
    connection_between, in_host, report,
    tls::{Authority, Configs},
    until, watched,
};
use futures_lite::future::zip;

/// The alert and the end mark have arrived.
async fn refusal_arrives(socket: &Socket) {
    let ends = (socket.local_address(), socket.remote_address());
    let (local, remote) = (ends.0.as_inet().unwrap(), ends.1.as_inet().unwrap());
    until(|| connection_between(local, remote).is_none_or(|it| it.unread > 0)).await;
}

async fn write_to_nobody(selector: &SelectorManager, configs: &Configs, says: &str) -> Result<()> {
    let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
    let connecting = async {
        let plain = selector.tcp().connect(server.local_address()).await?;
        plain.tls(&configs.client).await
    };
    let accepting = async { server.accept().await?.handshake().await };
    let (client, refused) = zip(connecting, accepting).await;
    assert!(refused.is_err(), "it has no certificate");
    let client = client?;
    refusal_arrives(&client).await;
    let mut output = client.open_write_channel()?;
    output.write_str(says).await?;
    drop(output);
    client.close().await
}

#[test]
fn a_client_whose_certificate_is_refused_is_told_by_its_close() {
    watched(|| {
        let authority = Authority::new();
        let auth = ClientAuth::Required(authority.trust());
        let configs = Configs::by(&authority, |client| client, |server| server.client_auth(auth));
        for says in ["to nobody", ""] {
            in_host(async |selector| {
                let closed = write_to_nobody(&selector, &configs, says).await;
                let error = closed.expect_err("it was not read");
                assert_eq!(error.tls_fault(), Some(TlsFault::RefusedByPeer), "{says:?}: {error}");
                report(&format!("tls_refused_at_close: {says:?}: {error}"));
                Result::Ok(())
            })
            .unwrap();
        }
    });
}
