//! Every cipher suite and every key exchange group that OpenSSL knows, too, with OpenSSL on the other
//! side, in both roles. Our server's key is RSA or ECDSA, as the suite wants it.

#![cfg(all(target_os = "linux", feature = "tls"))]

use std::process::Command;

use forebay::{ErrorKind, Result, SelectorManager, Socket, TlsConfig, TlsInfo};
use forebay_testing::{
    foreign::{Foreign, Place, piped},
    report,
    tls::{LOCAL, handle_next, listen, server_params, write},
    watched,
};
use rcgen::{KeyPair, PKCS_RSA_SHA256};

/// Returns the names that an error lists after an unknown one.
fn known(error: &forebay::Error) -> Vec<String> {
    assert!(matches!(error.kind(), ErrorKind::InvalidInput), "{error}");
    let text = error.to_string();
    let (_, list) = text.split_once("known are ").unwrap();
    list.replace(" and ", ", ").split(", ").map(str::to_owned).collect()
}

fn all_suites() -> Vec<String> {
    known(&TlsConfig::client().cipher_suites(["?"]).build().unwrap_err())
}

/// Those that OpenSSL before 3.5 knows: the ones against quantum computers are newer.
fn classical_groups() -> Vec<String> {
    let all = known(&TlsConfig::client().key_exchange_groups(["?"]).build().unwrap_err());
    all.into_iter().filter(|name| !name.contains("MLKEM")).collect()
}

/// Adds a server's certificate with an RSA key, and a page for servers that serve files.
fn prepared() -> (Place, forebay_testing::tls::Issued) {
    let place = Place::new();
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let rsa = place.authority.issue(&key, &server_params(LOCAL));
    rsa.write(&place.directory, "rsa");
    let page = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nHello, world";
    write(&place.directory, "hello", page);
    (place, rsa)
}

/// An `openssl s_server` that has a certificate of each kind, and serves the page.
fn pages(test: &str, place: &Place, more: &[&str]) -> Option<(Foreign, u16)> {
    let mut command = Command::new("openssl");
    command.current_dir(place.directory.path());
    command.args(["s_server", "-HTTP", "-accept", "127.0.0.1:0", "-cert", "server.crt"]);
    command.args(["-key", "server.key", "-dcert", "rsa.crt", "-dkey", "rsa.key"]).args(more);
    let mut server = Foreign::start(test, piped(&mut command))?;
    let port = server.hear_line("ACCEPT 127.0.0.1:").parse().unwrap();
    Some((server, port))
}

/// Gets the page as HTTP has it, and says what the connection agreed on.
async fn get(selector: &SelectorManager, port: u16, config: &TlsConfig) -> Result<TlsInfo> {
    let plain = selector.tcp().connect(("localhost", port)).await?;
    let mut connection = plain.tls(config).await?.connection()?;
    connection.output.write_str("GET /hello HTTP/1.0\r\n\r\n").await?;
    let answer = connection.input.read_remaining(1024).await?;
    assert!(answer.as_ref().ends_with(b"\r\n\r\nHello, world"), "{answer:?}");
    let info = connection.socket.tls_info().unwrap();
    connection.socket.close().await?;
    Ok(info)
}

/// Sends one line back to an `openssl s_client` with these options, and says what was agreed on.
fn echo(
    test: &str,
    place: &Place,
    selector: &SelectorManager,
    config: &TlsConfig,
    more: &[&str],
) -> Option<TlsInfo> {
    let listener = listen(selector, config);
    let handled = handle_next(selector, &listener, |socket: Socket| async move {
        let mut connection = socket.connection()?;
        let line = connection.input.read_line().await?.unwrap();
        connection.output.write_str(&format!("{line} to you, too\n")).await?;
        assert_eq!(connection.input.read_line().await?, None);
        let info = socket.tls_info().unwrap();
        socket.close().await?;
        Ok(info)
    });
    let mut command = Command::new("openssl");
    command.current_dir(place.directory.path()).args(["s_client", "-CAfile", "ca.crt"]);
    command.args(["-verify_return_error", "-verify_hostname", "localhost"]);
    command.args(["-connect", &format!("127.0.0.1:{}", listener.port())]).args(more);
    let mut client = Foreign::start(test, piped(&mut command))?;
    client.say("hello\n");
    client.hear("hello to you, too\n");
    client.end_well();
    Some(selector.block_on(handled).unwrap().unwrap())
}

#[test]
fn each_suite_carries_a_page_from_openssl() {
    let test = "each_suite_carries_a_page_from_openssl";
    watched(move || {
        let (selector, (place, _)) = (SelectorManager::new(), prepared());
        let Some((_server, port)) = pages(test, &place, &[]) else { return };
        for suite in all_suites() {
            let config = TlsConfig::client().trust(place.authority.trust()).cipher_suites([&suite]);
            let config = config.build().unwrap();
            let info = selector.block_on(get(&selector, port, &config)).unwrap();
            assert_eq!(info.cipher_suite(), suite);
            report(&format!("{test}: {}, {suite}", info.version()));
        }
    });
}

#[test]
fn each_suite_carries_a_line_of_openssl() {
    let test = "each_suite_carries_a_line_of_openssl";
    watched(move || {
        let (selector, (place, rsa)) = (SelectorManager::new(), prepared());
        for suite in all_suites() {
            let identity = if suite.contains("_RSA_") { &rsa } else { &place.server }.identity();
            // All that we have, and the choice is the peer's.
            let config = TlsConfig::server(identity).build().unwrap();
            let openssl = openssl_name(&suite);
            let only = if openssl == suite { "-ciphersuites" } else { "-cipher" };
            let version = if openssl == suite { "-tls1_3" } else { "-tls1_2" };
            let more = [only, &openssl, version];
            let Some(info) = echo(test, &place, &selector, &config, &more) else { return };
            assert_eq!(info.cipher_suite(), suite);
            report(&format!("{test}: {}, {suite}", info.version()));
        }
    });
}

/// Returns OpenSSL's name of a suite. Those of TLS 1.3 have one name only.
fn openssl_name(suite: &str) -> String {
    let Some((exchange, cipher)) = suite["TLS_".len()..].split_once("_WITH_") else {
        return suite.to_owned();
    };
    let cipher = cipher.replace("AES_", "AES").replace("POLY1305_SHA256", "POLY1305");
    format!("{exchange}_{cipher}").replace('_', "-")
}

#[test]
fn each_group_is_agreed_on_with_a_server_of_openssl() {
    let test = "each_group_is_agreed_on_with_a_server_of_openssl";
    watched(move || {
        let (selector, (place, _)) = (SelectorManager::new(), prepared());
        for group in classical_groups() {
            let more = ["-groups", openssl_group(&group)];
            let Some((_server, port)) = pages(test, &place, &more) else { return };
            for version in ["1.2", "1.3"] {
                // Only that one, and then all of them: the first guess is wrong, and another round
                // is made (HelloRetryRequest).
                let client = || TlsConfig::client().trust(place.authority.trust());
                let only = client().versions([version]).key_exchange_groups([&group]);
                let all = client().versions([version]);
                for (config, how) in [(only, "named"), (all, "by default")] {
                    let config = config.build().unwrap();
                    let info = selector.block_on(get(&selector, port, &config)).unwrap();
                    let agreed = info.key_exchange_group().unwrap();
                    assert!(agreed.eq_ignore_ascii_case(&group), "{agreed} is not {group}");
                    report(&format!("{test}: {}, {group} {how}", info.version()));
                }
            }
        }
    });
}

#[test]
fn each_group_is_agreed_on_with_a_client_of_openssl() {
    let test = "each_group_is_agreed_on_with_a_client_of_openssl";
    watched(move || {
        let (selector, (place, rsa)) = (SelectorManager::new(), prepared());
        for group in classical_groups() {
            let only = openssl_group(&group);
            // A first guess that our server does not have, besides.
            let behind = format!("X448:{only}");
            for (version, groups) in
                [("-tls1_2", only), ("-tls1_3", only), ("-tls1_3", behind.as_str())]
            {
                // A client without P-256 does not take keys on that curve, either (RFC 8422).
                let config = TlsConfig::server(rsa.identity()).build().unwrap();
                let more = [version, "-groups", groups];
                let Some(info) = echo(test, &place, &selector, &config, &more) else { return };
                let agreed = info.key_exchange_group().unwrap();
                assert!(agreed.eq_ignore_ascii_case(&group), "{agreed} is not {group}");
                report(&format!("{test}: {}, {group} of {groups}", info.version()));
            }
        }
    });
}

fn openssl_group(group: &str) -> &str {
    match group {
        "X25519" => "X25519",
        "secp256r1" => "P-256",
        "secp384r1" => "P-384",
        other => other,
    }
}
