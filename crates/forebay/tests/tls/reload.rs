//! A certificate is renewed under a running server, and keys stay where they are.

use std::sync::{Arc, Mutex};

use forebay::{Connection, Identity, Result, SelectorManager, ServerSocket, TlsConfig, Trust};
use forebay_testing::{
    in_host, lock,
    tls::{Authority, Issued, LOCAL},
    unix::Directory,
    watched,
};
use futures_lite::future::zip;

async fn connect(
    selector: &SelectorManager,
    server: &ServerSocket,
    client: &TlsConfig,
) -> Result<(Connection, Connection)> {
    let connecting = async {
        let plain = selector.tcp().connect(server.local_address()).await?;
        plain.tls(client).await
    };
    let accepting = async {
        let accepted = server.accept().await?;
        accepted.handshake().await?;
        Result::Ok(accepted)
    };
    let (client, accepted) = zip(connecting, accepting).await;
    Ok((client?.connection()?, accepted?.connection()?))
}

fn shown(connection: &Connection) -> Vec<u8> {
    connection.socket.tls_info().unwrap().peer_certificates()[0].der().to_vec()
}

#[test]
fn a_reloaded_identity_is_shown_to_new_peers_and_the_old_ones_stay() {
    watched(|| {
        in_host(async |selector| {
            let authority = Authority::new();
            let directory = Directory::new();
            let (chain, key) = authority.server(LOCAL).write(&directory, "server");
            let identity = Identity::from_pem_files(&chain, &key)?;
            let config = TlsConfig::server(identity.clone()).build()?;
            let client = TlsConfig::client().trust(authority.trust()).session_cache(0).build()?;
            let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&config)?;
            let (mut near, mut far) = connect(&selector, &server, &client).await?;
            let first = shown(&near);

            authority.server(LOCAL).write(&directory, "server");
            identity.reload()?;
            let (renewed, _far) = connect(&selector, &server, &client).await?;
            assert_ne!(shown(&renewed), first);
            near.output.write_str("still here\n").await?;
            assert_eq!(far.input.read_line().await?.as_deref(), Some("still here"));
            assert_eq!(shown(&near), first);
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn keys_are_logged_on_request_and_found_nowhere_else() {
    watched(|| {
        in_host(async |selector| {
            let authority = Authority::new();
            let issued: Issued = authority.server(LOCAL);
            let secret: String = issued.key.lines().nth(1).unwrap().to_owned();
            let lines = Arc::<Mutex<Vec<String>>>::default();
            let log = Arc::clone(&lines);
            let config = TlsConfig::server(issued.identity()).build()?;
            let quiet = TlsConfig::client().trust(authority.trust()).build()?;
            let logging = TlsConfig::client()
                .trust(authority.trust())
                .key_log(move |line| lock(&log).push(line.to_owned()))
                .build()?;
            let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&config)?;
            let (near, far) = connect(&selector, &server, &quiet).await?;
            assert!(lock(&lines).is_empty());
            let (also, _far) = connect(&selector, &server, &logging).await?;
            let lines = lock(&lines).clone();
            assert!(lines.iter().any(|line| line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")));

            let strangers = TlsConfig::client().trust(Trust::pinned([[7_u8; 32]])?).build()?;
            let refused = connect(&selector, &server, &strangers).await.unwrap_err();
            let garbled = Identity::from_pem(format!("{}{}", issued.chain, &issued.key[..90]));
            let told = format!(
                "{near:?} {far:?} {also:?} {config:?} {quiet:?} {logging:?} {:?} {:?} {server:?} \
                 {refused:?} {refused} {garbled:?} {:?}",
                issued.identity(),
                near.socket.tls_info(),
                far.socket.tls_info(),
            );
            assert!(!told.contains(&secret) && !told.contains(&secret[..16]), "{told}");
            for line in &lines {
                let key = line.rsplit(' ').next().unwrap();
                assert!(!told.contains(key), "a key that was logged stands elsewhere");
            }
            Result::Ok(())
        })
    })
    .unwrap();
}
