//! Secrets that are planted in a process stand in nothing that it prints, whatever goes wrong
//! with its handshakes. The process is this test again; it prints every error in three ways, and
//! everything else that it has, and its parent searches both of its outputs.

#![cfg(all(target_os = "linux", feature = "tls"))]

use std::fmt::{Debug, Write as _};
use std::io::{Read, Write as _};
use std::net::Shutdown;

use forebay::{
    ClientAuth, Error, Identity, Result, SelectorManager, Socket, TlsConfig, TlsFault, Trust,
};
use forebay_testing::{
    dial, report,
    tls::{Authority, Issued, LOCAL, client_hello, server_params},
};
use futures_lite::future::zip;
use rcgen::{KeyPair, date_time_ymd};

const NAME: &str = "what_is_planted_is_printed_nowhere";

/// The key of the server. It was made for this test.
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgj25JgkzUa07GJBb3
sitVVq6VIlCHZ4fcztwbE0vI26GhRANCAATKeS3U4k0I4sQ0WczRgP7RyO1jNk3g
nIc9rNDP5lXpTd21nJO6twMryYgszjUnTDKAtHmv1Z2sknNUhFZzkdQk
-----END PRIVATE KEY-----
";
/// Stands in a file of keys that is encrypted.
const PASSWORD: &str = "planted-password-4711";
/// The line that a peer says, and that a server would say to it.
const LINE: &str = "planted-line-0815";

// ---- the process --------------------------------------------------------------------------------

/// Prints it in both ways.
fn show(what: &str, it: &impl Debug) {
    println!("{what}: {it:?}\n{it:#?}");
}

/// Prints an error in all ways, and has the selector report it, too.
fn show_error(selector: &SelectorManager, what: &str, error: &Error) {
    println!("{what}: {error}");
    eprintln!("{what}: {error}");
    show(what, error);
    let reported = error.clone();
    selector.spawn(async move { Err(reported) }).detach();
}

/// An authority that issues for the planted key, a second one, and the selector between them.
struct Scene {
    selector: SelectorManager,
    authority: Authority,
    stranger: Authority,
}

/// The peer that connects.
enum Peer {
    Ours(TlsConfig),
    /// Says this, and ends.
    Says(Vec<u8>),
}

impl Scene {
    /// For the planted key.
    fn issued(&self, is_expired: bool) -> Issued {
        let mut params = server_params(LOCAL);
        if is_expired {
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        self.authority.issue(&KeyPair::from_pem(KEY).unwrap(), &params)
    }

    fn identity(&self) -> Identity {
        self.issued(false).identity()
    }

    fn server(&self) -> TlsConfig {
        TlsConfig::server(self.identity()).build().unwrap()
    }

    fn client(&self) -> TlsConfig {
        TlsConfig::client().trust(self.authority.trust()).build().unwrap()
    }

    /// Serves one peer: the handshake fails for this, on the server's side, and on the client's if it
    /// is ours. All that is there is shown.
    async fn refuses(
        &self,
        what: &str,
        server: TlsConfig,
        peer: Peer,
        faults: (TlsFault, Option<TlsFault>),
    ) -> Result<()> {
        show(what, &server);
        let listener = self.selector.tcp().bind("127.0.0.1:0").await?.tls(&server)?;
        let accepting = async {
            let socket = listener.accept().await?;
            let mut output = socket.open_write_channel()?;
            // Another thread may have made the handshake by now, which has failed.
            if let Err(error) = output.write_str(LINE).await {
                show_error(&self.selector, what, &error);
            }
            let error = self.uses(&socket).await.unwrap_err();
            show(what, &(&listener, &socket, &output, socket.tls_info()));
            let told = output.write_str(LINE).await.unwrap_err();
            show_error(&self.selector, what, &told);
            Result::Ok(error)
        };
        let connecting = self.visits(what, listener.port(), peer);
        let (refused, told) = zip(accepting, connecting).await;
        let refused = refused?;
        show_error(&self.selector, what, &refused);
        if let Some(told) = &told {
            show_error(&self.selector, what, told);
        }
        let found = (refused.tls_fault(), told.and_then(|error| error.tls_fault()));
        assert_eq!(found, (Some(faults.0), faults.1), "{what}: {refused}");
        Ok(())
    }

    /// Waits for the handshake, and then for what the peer says.
    async fn uses(&self, socket: &Socket) -> Result<u8> {
        socket.handshake().await?;
        socket.open_read_channel()?.read_u8().await
    }

    /// Returns the error that one of our clients gets.
    async fn visits(&self, what: &str, port: u16, peer: Peer) -> Option<Error> {
        match peer {
            Peer::Ours(client) => {
                show(what, &client);
                let plain = self.selector.tcp().connect(("127.0.0.1", port)).await.unwrap();
                let error = match plain.tls(&client).await {
                    Err(error) => error,
                    // It comes behind its handshake that the server refuses it.
                    Ok(socket) => {
                        let mut it = socket.connection().unwrap();
                        it.output.write_str(LINE).await.ok();
                        let error = it.input.read_u8().await.unwrap_err();
                        show(what, &it);
                        error
                    }
                };
                show(what, &plain);
                Some(error)
            }
            Peer::Says(bytes) => {
                let visiting = self.selector.spawn_blocking(move || {
                    let mut peer = dial(port);
                    peer.write_all(&bytes).unwrap();
                    peer.shutdown(Shutdown::Write).unwrap();
                    // It may be reset, or get an alert.
                    peer.read_to_end(&mut Vec::new()).ok();
                });
                visiting.await.unwrap();
                None
            }
        }
    }

    /// Ten handshakes that fail, each in its own way.
    async fn ten_refusals(&self) -> Result<()> {
        use TlsFault as Fault;
        let hello = client_hello(&self.selector, &self.client()).await?;
        let of_peer = |fault| (Fault::RefusedByPeer, Some(fault));
        let trust = self.authority.trust();
        let client = || TlsConfig::client().trust(trust.clone());

        let wrong = TlsConfig::client().trust(self.stranger.trust()).build()?;
        let fault = of_peer(Fault::IncompleteChain);
        self.refuses("wrong authority", self.server(), Peer::Ours(wrong), fault).await?;

        let expired = self.issued(true).identity();
        let expired = TlsConfig::server(expired).build()?;
        let fault = of_peer(Fault::Expired);
        self.refuses("expired", expired, Peer::Ours(self.client()), fault).await?;

        let garbage = [&[0xff, 0xfe, 0, 7][..], LINE.as_bytes()].concat();
        let fault = (Fault::NotTls, None);
        self.refuses("garbage", self.server(), Peer::Says(garbage), fault).await?;

        let request = format!("GET /{LINE} HTTP/1.1\r\nAuthorization: {PASSWORD}\r\n\r\n");
        self.refuses("plain HTTP", self.server(), Peer::Says(request.into()), fault).await?;

        let auth = ClientAuth::Required(self.authority.trust());
        let asking = TlsConfig::server(self.identity()).client_auth(auth).build()?;
        let fault = (Fault::NoCertificate, Some(Fault::RefusedByPeer));
        self.refuses("no client certificate", asking, Peer::Ours(self.client()), fault).await?;

        let two = TlsConfig::server(self.identity()).alpn(["h2"]).require_alpn().build()?;
        let one = client().alpn(["http/1.1"]).build()?;
        let fault = (Fault::NoCommonProtocol, Some(Fault::RefusedByPeer));
        self.refuses("another protocol", two, Peer::Ours(one), fault).await?;

        let new = TlsConfig::server(self.identity()).versions(["1.3"]).build()?;
        let old = client().versions(["1.2"]).build()?;
        let fault = (Fault::NoCommonVersion, Some(Fault::RefusedByPeer));
        self.refuses("another version", new, Peer::Ours(old), fault).await?;

        let cut = hello[..hello.len() / 2].to_vec();
        let fault = (Fault::EndedInHandshake, None);
        self.refuses("cut", self.server(), Peer::Says(cut), fault).await?;

        // Not encrypted, as what comes behind a ServerHello has to be.
        let length = [22, 3, 3, 0, u8::try_from(LINE.len()).unwrap()];
        let behind = [&hello[..], &length, LINE.as_bytes()].concat();
        let fault = (Fault::BadRecord, None);
        self.refuses("garbage behind a hello", self.server(), Peer::Says(behind), fault).await?;

        let pinned = TlsConfig::client().trust(Trust::pinned([[7_u8; 32]])?).build()?;
        let fault = of_peer(Fault::PinMismatch);
        self.refuses("another pin", self.server(), Peer::Ours(pinned), fault).await
    }

    /// And one that does not, so that there are keys, an opened line, and an unsent one.
    async fn is_good(&self) -> Result<()> {
        let (client, server) = (self.client(), self.server());
        let listener = self.selector.tcp().bind("127.0.0.1:0").await?.tls(&server)?;
        let connecting = async {
            let plain = self.selector.tcp().connect(listener.local_address()).await?;
            plain.tls(&client).await?.connection()
        };
        let accepting = async { listener.accept().await?.connection() };
        let (near, far) = zip(connecting, accepting).await;
        let (mut near, mut far) = (near?, far?);
        near.output.write_str("x").await?;
        near.output.write_str(LINE).await?;
        near.output.flush().await?;
        assert_eq!(far.input.read_u8().await?, b'x');
        assert_eq!(far.input.buffered(), LINE.len());
        far.output.write_str(LINE).await?;
        show("open", &(&near, &far, &listener, &self.selector, self.selector.stats()));
        show("open", &(near.socket.tls_info(), far.socket.tls_info(), server, client));
        Ok(())
    }

    /// Identities that are none, of this key and with this password.
    fn is_no_identity(&self) {
        let good = self.issued(false);
        let other = self.authority.server(LOCAL);
        let encrypted = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let header = format!("-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: {PASSWORD}\n\n");
        let mangled = good.key.replacen("-----\n", &header, 1);
        let keys = [
            format!("friendlyName: {PASSWORD}\n{encrypted}"),
            mangled,
            good.key[..good.key.len() / 2].to_owned(),
            good.key.replace("MIGHAgEA", "MIGH%gEA"),
        ];
        for key in keys {
            let error = Identity::from_pem(format!("{}{key}", good.chain)).unwrap_err();
            show_error(&self.selector, "no identity", &error);
        }
        let error = Identity::from_pem(format!("{}{}", other.chain, good.key)).unwrap_err();
        show_error(&self.selector, "another's key", &error);
    }
}

/// Runs the child.
fn print_everything() {
    forebay_testing::run(async |selector| {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let scene = Scene { selector, authority, stranger };
        show("identity", &scene.identity());
        show("builder", &TlsConfig::server(scene.identity()));
        show("builder", &TlsConfig::client().identity(scene.identity()));
        scene.is_no_identity();
        scene.ten_refusals().await?;
        scene.is_good().await?;
        println!("that was all");
        eprintln!("that was all");
        Ok(())
    });
}

// ---- the search ---------------------------------------------------------------------------------

/// The number of bytes, or signs of base64, in a row that are no accident.
const TELLING: usize = 8;

/// Returns the secret that stands in this text, in whatever form.
fn found_in(text: &str) -> Option<String> {
    let plain: String = text.chars().filter(|sign| !sign.is_whitespace()).collect();
    let lower = plain.to_lowercase();
    for secret in [PASSWORD, LINE] {
        if forms(secret.as_bytes()).iter().any(|form| lower.contains(form))
            || plain.contains(secret)
        {
            return Some(secret.to_owned());
        }
    }
    // What is public of the key stands in certificates; what is private is a number of 32 bytes.
    let der = KeyPair::from_pem(KEY).unwrap().serialize_der();
    let at = der.windows(2).position(|pair| pair == [4, 32]).unwrap() + 2;
    let number = &der[at..at + 32];
    let body: String = KEY.lines().filter(|line| !line.starts_with('-')).collect();
    // Signs that hold bits of it and no others.
    let signs = &body.as_bytes()[(at * 4).div_ceil(3)..(at + 32) * 4 / 3];
    for part in signs.windows(2 * TELLING) {
        let part = str::from_utf8(part).unwrap();
        if plain.contains(part) {
            return Some(format!("{part} of the key"));
        }
    }
    for part in number.windows(TELLING) {
        if let Some(form) = forms(part).into_iter().find(|form| lower.contains(form)) {
            return Some(format!("{form} of the key"));
        }
    }
    None
}

/// Bytes as they are printed: numbers in decimal and in hexadecimal, with and without commas.
fn forms(bytes: &[u8]) -> [String; 4] {
    let list = |each: &dyn Fn(&mut String, u8)| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            each(&mut text, *byte);
            text
        })
    };
    let comma = |text: &mut String| {
        if !text.is_empty() {
            text.push(',');
        }
    };
    [
        list(&|text, byte| {
            comma(text);
            write!(text, "{byte}").unwrap();
        }),
        list(&|text, byte| write!(text, "{byte:02x}").unwrap()),
        list(&|text, byte| {
            comma(text);
            write!(text, "{byte:02x}").unwrap();
        }),
        list(&|text, byte| {
            comma(text);
            write!(text, "0x{byte:02x}").unwrap();
        }),
    ]
}

#[test]
fn what_is_planted_is_printed_nowhere() {
    let Some(child) = forebay_testing::child(NAME, print_everything) else { return };
    for (name, output) in [("stdout", &child.stdout), ("stderr", &child.stderr)] {
        let is_whole = child.status.success() && output.contains("that was all");
        assert!(is_whole, "{}: {}", child.status, child.stderr);
        if let Some(secret) = found_in(output) {
            panic!("{secret} stands in its {name}:\n{output}");
        }
    }
    report(&format!(
        "tls_planted_secrets: ten handshakes refused; {} and {} bytes printed, nothing planted in them",
        child.stdout.len(),
        child.stderr.len()
    ));
}

/// The search finds what it looks for.
#[test]
fn a_secret_that_is_printed_is_found() {
    let der = KeyPair::from_pem(KEY).unwrap().serialize_der();
    let hexadecimal = |upper: bool| {
        der.iter().fold(String::new(), |text, byte| {
            if upper { format!("{text}{byte:02X}") } else { format!("{text}{byte:02x}") }
        })
    };
    let printed = [
        KEY.to_owned(),
        format!("{:?}", KEY.lines().nth(1)),
        format!("... {}", KEY.lines().nth(2).unwrap()),
        format!("{der:?}"),
        format!("{der:#?}"),
        format!("{der:02x?}"),
        format!("{der:#04x?}"),
        hexadecimal(true),
        hexadecimal(false),
        format!("the password is {PASSWORD}"),
        format!("{:?}", LINE.as_bytes()),
        format!("unread: {LINE:?}"),
    ];
    for text in printed {
        assert!(found_in(&text).is_some(), "not found in {text}");
    }
    let issued = Authority::new().issue(&KeyPair::from_pem(KEY).unwrap(), &server_params(LOCAL));
    assert_eq!(found_in(&issued.chain), None, "a certificate is no secret");
}
