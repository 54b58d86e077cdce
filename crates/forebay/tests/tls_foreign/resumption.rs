//! Sessions that are resumed with independent implementations: both sides say so, over
//! each version, from our memory and by tickets.

#![cfg(all(target_os = "linux", feature = "tls"))]

use std::process::Command;

use forebay::{Result, SelectorManager, ServerSocket, TlsConfig, TlsVersion};
use forebay_testing::{
    foreign::{Foreign, Given, Place, Tool, piped},
    report,
    tls::listen,
    watched,
};

const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];

/// Sends lines back to so many connections, and says of each whether it was resumed.
fn serve(
    selector: &SelectorManager,
    listener: &ServerSocket,
    connections: usize,
) -> forebay::JoinHandle<Result<Vec<bool>>> {
    let listener = listener.clone();
    selector.spawn_value(async move {
        let mut resumed = Vec::new();
        for _ in 0..connections {
            let socket = listener.accept().await?;
            let mut connection = socket.connection()?;
            while let Some(line) = connection.input.read_line().await? {
                connection.output.write_str(&format!("{line} again\n")).await?;
                connection.output.flush().await?;
            }
            resumed.push(socket.tls_info().unwrap().is_resumed());
            socket.close().await?;
        }
        Ok(resumed)
    })
}

/// Each of our ways to keep sessions, over each version.
fn on_each_way(mut test: impl FnMut(&SelectorManager, &Place, TlsVersion, bool, &ServerSocket)) {
    let (selector, place) = (SelectorManager::new(), Place::new());
    for version in VERSIONS {
        for tickets in [false, true] {
            let config = TlsConfig::server(place.server.identity()).tickets(tickets);
            let listener = listen(&selector, &config.build().unwrap());
            test(&selector, &place, version, tickets, &listener);
        }
    }
}

fn kept(tickets: bool) -> &'static str {
    if tickets { "by ticket" } else { "from memory" }
}

/// Lets a client of these connect twice, and compares what both sides say.
fn resumes(test: &'static str, tool: Tool) {
    watched(move || {
        on_each_way(|selector, place, version, tickets, listener| {
            let handled = serve(selector, listener, 2);
            let more = ["--connections", "2", "--do", "greet"];
            let given = Given { version: Some(version), more: &more, ..Given::default() };
            let Some(client) = tool.client(test, place, listener.port(), &given) else { return };
            let said = client.end_well();
            assert_eq!(said.matches("reused=False").count(), 1, "{said}");
            assert_eq!(said.matches("reused=True").count(), 1, "{said}");
            assert_eq!(selector.block_on(handled).unwrap().unwrap(), [false, true]);
            report(&format!("{test}: {version}, {}", kept(tickets)));
        });
    });
}

#[test]
fn python_resumes_our_sessions() {
    resumes("python_resumes_our_sessions", Tool::Python);
}

#[test]
fn node_resumes_our_sessions() {
    resumes("node_resumes_our_sessions", Tool::Node);
}

#[test]
fn openssl_resumes_our_sessions() {
    let test = "openssl_resumes_our_sessions";
    watched(move || {
        on_each_way(|selector, place, version, tickets, listener| {
            let handled = serve(selector, listener, 2);
            let file = place.path("session");
            for (option, expected) in [("-sess_out", "New, "), ("-sess_in", "Reused, ")] {
                let more = [option, &file];
                let given = Given { version: Some(version), more: &more, ..Given::default() };
                let client = Tool::OpenSsl.client(test, place, listener.port(), &given);
                let Some(mut client) = client else { return };
                client.say("hello\n");
                client.hear("hello again\n");
                client.must_say(&format!("{expected}{}", Tool::OpenSsl.says_version(version)));
                client.end_well();
            }
            assert_eq!(selector.block_on(handled).unwrap().unwrap(), [false, true]);
            report(&format!("{test}: {version}, {}", kept(tickets)));
        });
    });
}

#[test]
fn gnutls_resumes_our_sessions() {
    let test = "gnutls_resumes_our_sessions";
    watched(move || {
        on_each_way(|selector, place, version, tickets, listener| {
            let handled = serve(selector, listener, 2);
            let more = ["--resume", "--waitresumption"];
            let given = Given { version: Some(version), more: &more, ..Given::default() };
            let client = Tool::GnuTls.client(test, place, listener.port(), &given);
            let Some(mut client) = client else { return };
            client.must_say("*** This is a resumed session");
            client.say("hello\n");
            client.hear("hello again\n");
            client.end_well();
            assert_eq!(selector.block_on(handled).unwrap().unwrap(), [false, true]);
            report(&format!("{test}: {version}, {}", kept(tickets)));
        });
    });
}

// ---- as their client ----------------------------------------------------------------------------

/// Connects to a server of these twice, and compares what both sides say.
fn is_resumed(test: &'static str, tool: Tool) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        for version in VERSIONS {
            let more: &[&str] = match tool {
                Tool::Python | Tool::Node => &["--connections", "2", "--do", "echo"],
                // Sends each line back, backwards.
                Tool::OpenSsl => &["-rev"],
                Tool::GnuTls => &[],
            };
            let given = Given { version: Some(version), more, ..Given::default() };
            let Some((server, port)) = tool.server(test, &place, &given) else { return };
            let config = TlsConfig::client().trust(place.authority.trust()).build().unwrap();
            let mut resumed = Vec::new();
            for _ in 0..2 {
                let talk = talk(&selector, port, &config);
                resumed.push(selector.block_on(talk).unwrap());
            }
            assert_eq!(resumed, [false, true]);
            match tool {
                Tool::Python | Tool::Node => server.must_say("reused=True"),
                Tool::GnuTls => server.must_say("*** This is a resumed session"),
                Tool::OpenSsl => {}
            }
            report(&format!("{test}: {version}"));
        }
    });
}

/// Says a line, hears one, and tells whether the session was resumed.
async fn talk(selector: &SelectorManager, port: u16, config: &TlsConfig) -> Result<bool> {
    let socket = selector.tcp().connect(("localhost", port)).await?.tls(config).await?;
    let mut connection = socket.connection()?;
    connection.output.write_str("level\n").await?;
    assert_eq!(connection.input.read_line().await?.as_deref(), Some("level"));
    connection.output.finish().await?;
    connection.input.read_line().await.ok();
    let resumed = socket.tls_info().unwrap().is_resumed();
    socket.close().await?;
    Ok(resumed)
}

#[test]
fn a_session_of_python_is_resumed() {
    is_resumed("a_session_of_python_is_resumed", Tool::Python);
}

#[test]
fn a_session_of_node_is_resumed() {
    is_resumed("a_session_of_node_is_resumed", Tool::Node);
}

#[test]
fn a_session_of_gnutls_is_resumed() {
    is_resumed("a_session_of_gnutls_is_resumed", Tool::GnuTls);
}

#[test]
fn a_session_of_openssl_is_resumed() {
    is_resumed("a_session_of_openssl_is_resumed", Tool::OpenSsl);
}

/// OpenSSL counts what its server resumed, and shows that as a page.
#[test]
fn openssl_counts_a_resumed_session() {
    let test = "openssl_counts_a_resumed_session";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let mut command = Command::new("openssl");
        command.current_dir(place.directory.path());
        command.args(["s_server", "-www", "-accept", "127.0.0.1:0"]);
        command.args(["-cert", "server.crt", "-key", "server.key"]);
        let Some(mut server) = Foreign::start(test, piped(&mut command)) else { return };
        let port: u16 = server.hear_line("ACCEPT 127.0.0.1:").parse().unwrap();
        for version in VERSIONS {
            let config = TlsConfig::client().trust(place.authority.trust()).versions([version]);
            let config = config.build().unwrap();
            for expected in ["New, ", "Reused, "] {
                let page: Result<String> = selector.block_on(async {
                    let plain = selector.tcp().connect(("localhost", port)).await?;
                    let mut connection = plain.tls(&config).await?.connection()?;
                    connection.output.write_str("GET / HTTP/1.0\r\n\r\n").await?;
                    let page = connection.input.read_remaining(64 * 1024).await?;
                    connection.socket.close().await?;
                    Ok(String::from_utf8_lossy(page.as_ref()).into_owned())
                });
                let page = page.unwrap();
                assert!(page.contains(expected), "{version}: {page}");
            }
            report(&format!("{test}: {version}"));
        }
    });
}
