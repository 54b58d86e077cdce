//! TLS in the middle of what is said, as mail has it (STARTTLS, RFC 3207), with independent
//! programs: they speak plainly to our server, which then secures the same connection.

#![cfg(all(target_os = "linux", feature = "tls"))]

use std::process::Command;

use forebay::{JoinHandle, Result, SelectorManager, ServerSocket, TlsConfig, TlsInfo};
use forebay_testing::{
    foreign::{Foreign, Given, Place, Tool, piped},
    report,
    tls::{handle_next, listen_plainly},
    watched,
};

/// The lines said in plain, the lines said securely, and what was agreed on in between.
type Heard = (Vec<String>, Vec<String>, TlsInfo);

/// A server of mail that has nothing to offer but to be secure.
fn serve(
    selector: &SelectorManager,
    listener: &ServerSocket,
    config: &TlsConfig,
) -> JoinHandle<Result<Heard>> {
    let config = config.clone();
    handle_next(selector, listener, |socket| async move {
        let mut connection = socket.connection()?;
        let (mut plain, mut secure) = (Vec::new(), Vec::new());
        connection.output.write_str("220 mail.example\r\n").await?;
        while let Some(line) = connection.input.read_line().await? {
            let verb = line.split(' ').next().unwrap().to_ascii_uppercase();
            if socket.tls_info().is_some() { &mut secure } else { &mut plain }.push(line);
            let answer = match verb.as_str() {
                "EHLO" => "250-mail.example\r\n250 STARTTLS\r\n",
                "STARTTLS" => "220 go ahead\r\n",
                "QUIT" => "221 good evening\r\n",
                _ => "250 fine\r\n",
            };
            connection.output.write_str(answer).await?;
            match verb.as_str() {
                "STARTTLS" => connection.accept_tls(&config).await?,
                "QUIT" => break,
                _ => {}
            }
        }
        let info = socket.tls_info().unwrap();
        // A client that has said QUIT may be gone without reading what is said to that.
        socket.close().await.ok();
        Ok((plain, secure, info))
    })
}

/// Lets a client upgrade its connection, and then say these lines securely.
fn upgrades(
    test: &'static str,
    start: impl FnOnce(&Place, u16) -> Option<Foreign> + Send + 'static,
    lines: &'static [&'static str],
    hears: &'static str,
) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let config = TlsConfig::server(place.server.identity()).build().unwrap();
        let listener = listen_plainly(&selector);
        let served = serve(&selector, &listener, &config);
        let Some(mut client) = start(&place, listener.port()) else { return };
        for line in lines {
            client.say(&format!("{line}\r\n"));
        }
        let (plain, secure, info) = selector.block_on(served).unwrap().unwrap();
        assert!(plain[0].to_uppercase().starts_with("EHLO "), "{plain:?}");
        assert_eq!(plain.last().map(String::as_str), Some("STARTTLS"));
        assert!(!secure.is_empty());
        assert_eq!(secure.last().unwrap().to_uppercase(), "QUIT");
        client.must_say(hears);
        report(&format!("{test}: {plain:?}, then with {} {secure:?}", info.version()));
    });
}

#[test]
fn openssl_secures_a_connection_in_the_middle() {
    let test = "openssl_secures_a_connection_in_the_middle";
    let start = |place: &Place, port| {
        let given = Given { more: &["-starttls", "smtp"], ..Given::default() };
        Tool::OpenSsl.client(test, place, port, &given)
    };
    upgrades(test, start, &["noop", "quit"], "221 good evening");
}

#[test]
fn gnutls_secures_a_connection_in_the_middle() {
    let test = "gnutls_secures_a_connection_in_the_middle";
    let start = |place: &Place, port| {
        let given = Given { more: &["--starttls-proto=smtp"], ..Given::default() };
        Tool::GnuTls.client(test, place, port, &given)
    };
    upgrades(test, start, &["noop", "quit"], "221 good evening");
}

#[test]
fn curl_secures_a_connection_in_the_middle() {
    let test = "curl_secures_a_connection_in_the_middle";
    let start = |place: &Place, port| {
        let mut command = Command::new("curl");
        command.current_dir(place.directory.path()).args(["--verbose", "--cacert", "ca.crt"]);
        command.args(["--ssl-reqd", "--request", "NOOP", &format!("smtp://localhost:{port}")]);
        Foreign::start(test, piped(&mut command))
    };
    // It does not wait for the answer to its QUIT.
    upgrades(test, start, &[], "250 fine");
}

#[test]
fn python_secures_a_connection_in_the_middle() {
    let test = "python_secures_a_connection_in_the_middle";
    let start = |place: &Place, port: u16| {
        let program = "import smtplib, ssl, sys\n\
                       mail = smtplib.SMTP('localhost', int(sys.argv[1]))\n\
                       mail.starttls(context=ssl.create_default_context(cafile='ca.crt'))\n\
                       mail.ehlo()\n\
                       print(*(str(part, 'ascii') if isinstance(part, bytes) else part for part in mail.quit()))\n";
        let mut command = Command::new("python3");
        command.current_dir(place.directory.path()).args(["-c", program, &port.to_string()]);
        Foreign::start(test, piped(&mut command))
    };
    upgrades(test, start, &[], "221 good evening");
}
