//! Calls that secure a connection at the wrong time, twice, or with the wrong configuration: an error
//! says so, and nothing is harmed.

use forebay::{ErrorKind, Result, SelectorManager, Socket};
use forebay_testing::{in_host, tls::Configs, watched};
use futures_lite::future::zip;

fn run(test: impl AsyncFnOnce(SelectorManager, Configs) -> Result<()> + Send + 'static) {
    watched(move || in_host(async |selector| test(selector, Configs::new()).await)).unwrap();
}

/// Both ends of a plain connection, the client first.
async fn plain(selector: &SelectorManager) -> Result<(Socket, Socket)> {
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    let connecting = selector.tcp().connect(server.local_address());
    let (client, accepted) = zip(connecting, server.accept()).await;
    Ok((client?, accepted?))
}

async fn assert_secure(client: &Socket, accepted: &Socket) -> Result<()> {
    let (mut near, mut far) = (client.connection()?, accepted.connection()?);
    near.output.write_str("hello\n").await?;
    assert_eq!(far.input.read_line().await?.as_deref(), Some("hello"));
    assert!(client.tls_info().is_some() && accepted.tls_info().is_some());
    Ok(())
}

#[test]
fn tls_twice_is_refused_and_harms_nothing() {
    run(async |selector, configs| {
        let (client, accepted) = plain(&selector).await?;
        let (near, far) =
            zip(client.tls(&configs.client), accepted.accept_tls(&configs.server)).await;
        let (near, far) = (near?, far?);
        let again = client.tls(&configs.client).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::InvalidInput);
        assert!(again.to_string().contains("TLS connection already"), "{again}");
        let again = far.accept_tls(&configs.server).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::InvalidInput);
        assert_secure(&near, &far).await
    });
}

#[test]
fn tls_on_what_a_listener_secures_is_refused_and_harms_nothing() {
    run(async |selector, configs| {
        let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
        let connecting = async {
            let plain = selector.tcp().connect(server.local_address()).await?;
            plain.tls(&configs.client).await
        };
        let accepting = async {
            let accepted = server.accept().await?;
            let error = accepted.accept_tls(&configs.server).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            accepted.handshake().await?;
            Result::Ok(accepted)
        };
        let (client, accepted) = zip(connecting, accepting).await;
        assert_secure(&client?, &accepted?).await
    });
}

#[test]
fn tls_with_an_open_half_is_refused_and_harms_nothing() {
    run(async |selector, configs| {
        let (client, accepted) = plain(&selector).await?;
        let mut output = client.open_write_channel()?;
        let error = client.tls(&configs.client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyOpened, "{error}");
        let input = accepted.open_read_channel()?;
        let error = accepted.accept_tls(&configs.server).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyOpened, "{error}");
        drop(input);
        output.write_str("still in the clear").await?;
        output.finish().await?;
        // Neither half that was not open has been taken.
        let mut answer = accepted.open_write_channel()?;
        answer.write_str("so it is").await?;
        answer.finish().await?;
        let answer = client.open_read_channel()?.read_remaining(99).await?;
        assert_eq!(answer.as_slice(), b"so it is");
        assert!(client.tls_info().is_none());
        Ok(())
    });
}

#[test]
fn the_configuration_of_the_other_side_is_refused_and_harms_nothing() {
    run(async |selector, configs| {
        let (client, accepted) = plain(&selector).await?;
        let error = client.tls(&configs.server).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("a server's: accept_tls takes it"), "{error}");
        let error = accepted.accept_tls(&configs.client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("a client's: tls takes it"), "{error}");
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let error = server.tls(&configs.client).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let (near, far) =
            zip(client.tls(&configs.client), accepted.accept_tls(&configs.server)).await;
        assert_secure(&near?, &far?).await
    });
}

#[test]
fn an_upgrade_that_cannot_begin_harms_nothing() {
    run(async |selector, configs| {
        let (client, accepted) = plain(&selector).await?;
        let (mut near, mut far) = (client.connection()?, accepted.connection()?);
        let error = near.tls(&configs.server).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let error = far.accept_tls(&configs.client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let both = zip(near.tls(&configs.client), far.accept_tls(&configs.server));
        let (upgraded, answered) = both.await;
        upgraded.and(answered)?;
        let error = near.tls(&configs.client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        near.output.write_str("hello\n").await?;
        assert_eq!(far.input.read_line().await?.as_deref(), Some("hello"));
        Ok(())
    });
}

#[test]
fn of_two_clones_that_begin_at_once_one_makes_the_handshake() {
    run(async |selector, configs| {
        let (client, accepted) = plain(&selector).await?;
        let also = client.clone();
        let both = zip(client.tls(&configs.client), also.tls(&configs.client));
        let ((first, second), far) = zip(both, accepted.accept_tls(&configs.server)).await;
        let error = second.unwrap_err();
        let says = [ErrorKind::InvalidInput, ErrorKind::AlreadyOpened];
        assert!(says.contains(&error.kind()), "{error}");
        first?;
        // Every clone is the secure socket.
        assert_secure(&also, &far?).await
    });
}

#[test]
fn a_channel_is_not_opened_while_the_handshake_is_under_way() {
    run(async |selector, configs| {
        let (client, accepted) = plain(&selector).await?;
        let also = client.clone();
        let opening = async {
            let error = also.open_write_channel().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyOpened, "{error}");
            accepted.accept_tls(&configs.server).await
        };
        let (near, far) = zip(client.tls(&configs.client), opening).await;
        near?;
        assert_secure(&also, &far?).await
    });
}

#[test]
fn a_handshake_without_tls_is_refused() {
    run(async |selector, _| {
        let (client, _accepted) = plain(&selector).await?;
        let error = client.handshake().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("has no TLS"), "{error}");
        Ok(())
    });
}

#[test]
fn after_a_failed_handshake_everything_says_why() {
    run(async |selector, configs| {
        let other = Configs::new();
        let (client, accepted) = plain(&selector).await?;
        let (near, far) =
            zip(client.tls(&other.client), accepted.accept_tls(&configs.server)).await;
        let (near, far) = (near.unwrap_err(), far.unwrap_err());
        assert!(near.tls_fault().is_some() && far.tls_fault().is_some(), "{near}, {far}");
        for (socket, error) in [(&client, &near), (&accepted, &far)] {
            assert!(socket.tls_info().is_none());
            let read = socket.open_read_channel()?.read_u8().await.unwrap_err();
            assert_eq!(read.tls_fault(), error.tls_fault(), "{read}");
            let written = socket.open_write_channel()?.write_u8(1).await.unwrap_err();
            assert_eq!(written.tls_fault(), error.tls_fault(), "{written}");
            assert_eq!(socket.handshake().await.unwrap_err().tls_fault(), error.tls_fault());
            assert!(socket.is_closed());
            assert_eq!(socket.close().await.unwrap_err().tls_fault(), error.tls_fault());
        }
        Ok(())
    });
}
