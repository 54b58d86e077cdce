//! README's server is the example's, and its loop is the one that is measured.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of a piece of code without their indentation.
fn lines(code: &str) -> Vec<&str> {
    code.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// The fenced block that contains `mark`; `fence` is what opens it.
fn block_with<'a>(page: &'a str, fence: &str, mark: &str) -> Vec<&'a str> {
    let blocks = page.split(fence).skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.into_iter().find(|code| code.contains(mark));
    lines(block.unwrap_or_else(|| panic!("no block that opens with {fence:?} contains {mark:?}")))
}

fn readme_server(readme: &str) -> Vec<&str> {
    block_with(readme, "```rust\n", "Please enter your name")
}

/// From the line that begins the loop to the brace that ends it.
fn loop_of<'a>(code: &[&'a str]) -> Vec<&'a str> {
    let start = code.iter().position(|line| line.starts_with("while let")).unwrap_or(code.len());
    let end =
        code[start..].iter().position(|line| *line == "}").map_or(code.len(), |at| start + at);
    code[start..=end.min(code.len() - 1)].to_vec()
}

#[test]
fn the_measured_loop_is_readmes() {
    let (readme, modes) = (text("README.md"), text("bench/src/modes.rs"));
    let measured = modes.split("pub async fn line(").nth(1).unwrap_or_default();
    let expected = loop_of(&readme_server(&readme));
    assert_eq!(expected.len(), 3, "README's loop: {expected:?}");
    assert_eq!(loop_of(&lines(measured)), expected);
}

#[test]
fn the_example_is_readmes_server() {
    let (readme, example) = (text("README.md"), text("examples/sockets_server.rs"));
    let about_the_address = |line: &&str| line.contains("9002") || line.contains(".bind(");
    let strip = |lines: Vec<&str>| -> Vec<String> {
        lines
            .into_iter()
            .filter(|line| !line.starts_with("//!") && !about_the_address(line))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(strip(lines(&example)), strip(readme_server(&readme)));
}

#[test]
fn readmes_unix_sockets_are_those_of_the_docs() {
    let (readme, page) = (text("README.md"), text("crates/forebay/src/net/unix/builder.rs"));
    let mut shown = block_with(&readme, "```rust\n", "selector.unix()");
    // The documentation's test takes a path that no other process takes.
    shown.retain(|line| !line.starts_with("let path = "));
    let docs = page.lines().filter_map(|line| line.trim().strip_prefix("///"));
    let runs: String =
        docs.filter(|line| !line.starts_with(" # ")).flat_map(|line| [line, "\n"]).collect();
    assert_eq!(shown, block_with(&runs, "```\n", "selector.unix()"));
}

#[test]
fn readmes_datagrams_are_those_of_the_docs() {
    let (readme, page) = (text("README.md"), text("crates/forebay/src/net/udp/bound.rs"));
    let docs = page.lines().filter_map(|line| line.trim().strip_prefix("///"));
    let runs: String =
        docs.filter(|line| !line.starts_with(" # ")).flat_map(|line| [line, "\n"]).collect();
    let shown = block_with(&readme, "```rust\n", "selector.udp()");
    assert_eq!(shown, block_with(&runs, "```\n", "server.reply"));
}

#[test]
fn readmes_tls_is_that_of_the_docs() {
    let (readme, page) = (text("README.md"), text("crates/forebay/src/tls.md"));
    let shown = block_with(&readme, "```rust\n", "Authority::new");
    assert_eq!(shown, block_with(&page, "```\n", "Authority::new"));
}

/// The middle column says what Ktor's names are called here.
#[test]
fn what_ktors_page_names_is_there() {
    let page = text("docs/coming-from-ktor.md");
    let mut sources = String::new();
    for crate_name in ["forebay-io", "forebay-tls", "forebay"] {
        gather(&root().join("crates").join(crate_name).join("src"), &mut sources);
    }
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let known: HashSet<&str> = sources.split(|character| !is_name(character)).collect();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let ours = rows.filter_map(|row| row.replace("\\|", "").split('|').nth(2).map(str::to_owned));
    let mut count = 0;
    for cell in ours {
        for code in cell.split('`').skip(1).step_by(2) {
            // What stands in quotation marks is an argument.
            let code: String = code.split('"').step_by(2).collect();
            for name in code.split(|character| !is_name(character)).filter(|name| name.len() > 2) {
                assert!(known.contains(name), "docs/coming-from-ktor.md: there is no {name}");
                count += 1;
            }
        }
    }
    assert!(count > 100, "only {count} names were found");
}

/// The public names of Ktor 3.5 that a program with sockets may use.
const NAMES_OF_KTOR: &str = "
    aSocket SelectorManager ActorSelectorManager WorkerSelectorManager select SelectInterest Selectable
    notifyClosed SelectorManagerSupport InterestSuspensionsMap buildOrClose DefaultByteBufferPool
    DefaultDatagramByteBufferPool ClosedSelectorException ClosedChannelCancellationException runBlocking
    launch async withContext CoroutineExceptionHandler withTimeout withTimeoutOrNull delay ticker writer
    reader WriterJob ReaderJob ChannelJob attachJob Job Deferred coroutineScope tcp udp configure tcpNoDelay
    connect bind SocketOptions TCPClientSocketOptions typeOfService TypeOfService reuseAddress reusePort
    backlogSize sendBufferSize receiveBufferSize broadcast noDelay lingerSeconds keepAlive socketTimeout
    SocketAddress InetSocketAddress hostname port resolveAddress UnixSocketAddress isSupported toJavaAddress
    accept localAddress remoteAddress openReadChannel openWriteChannel connection attachForReading
    attachForWriting close dispose socketContext isClosed awaitClosed SocketTimeoutException
    ConnectException UnresolvedAddressException BindException Datagram receive send incoming outgoing
    BoundDatagramSocket ConnectedDatagramSocket awaitContent isClosedForRead closedCause cancel
    ClosedByteChannelException ClosedReadChannelException ClosedWriteChannelException Empty ByteReadChannel
    ByteChannel ConcurrentIOException availableForRead exhausted readByte readShort readInt readLong
    readFloat readDouble readFully readAvailable read readPacket readByteArray readBuffer readRemaining
    toByteArray readTo discard discardExact peek skipIfFound skipDelimiter readUntil copyTo copyAndClose
    rethrowCloseCauseIfNeeded readLine readLineTo readLineStrict readLineStrictTo LineEnding Lenient
    TooLongLineException readUTF8Line readUTF8LineTo LineEndingMode counted totalBytesRead toInputStream
    toByteReadChannel lookAhead asSource split copyToBoth joinTo readText EOFException flush flushIfNeeded
    autoFlush writeByte writeDouble writeByteArray writeFully writeString writeStringUtf8 writePacket
    writeSource writeBuffer write awaitFreeSpace availableForWrite flushAndClose onClose invokeOnClose
    totalBytesWritten asByteWriteChannel asSink toOutputStream writeAvailable writeWhile isClosedForWrite
    ObjectPool ByteArrayPool tls TLSConfigBuilder certificates addCertificateChain addKeyStore random
    randomAlgorithm trustManager cipherSuites serverName build takeFrom TLSConfig CertificateAndKey
    TLSVersion CIOCipherSuites CipherSuite TlsException TlsPeerUnverifiedException TLSRecordType
    TLSHandshakeType TLSAlertType NamedCurve HashAndSign OID NoPrivateKeyException generateCertificate
    KeyType trustStore trustManagers buildKeyStore daysValid keySizeInBits hash sign domains ipAddresses
    subject signWith saveToFile
";

/// The left column has them all.
#[test]
fn every_name_of_ktor_is_on_its_page() {
    let page = text("docs/coming-from-ktor.md").replace("\\|", "");
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let theirs: String = rows.filter_map(|row| row.split('|').nth(1)).collect::<Vec<_>>().join(" ");
    let found: HashSet<&str> =
        theirs.split(|character: char| !character.is_alphanumeric()).collect();
    let missing: Vec<_> =
        NAMES_OF_KTOR.split_whitespace().filter(|name| !found.contains(name)).collect();
    assert!(
        missing.is_empty(),
        "docs/coming-from-ktor.md does not say what these are: {missing:?}"
    );
}

fn gather(folder: &Path, sources: &mut String) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten().map(|entry| entry.path()) {
        if entry.is_dir() {
            gather(&entry, sources);
        } else if let Ok(source) = fs::read_to_string(&entry) {
            *sources += &source;
        }
    }
}

#[test]
fn the_front_page_of_the_docs_is_readmes_server() {
    let (readme, page) = (text("README.md"), text("crates/forebay/src/lib.rs"));
    let docs: String = page
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let code = docs.split("```no_run\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(lines(code.unwrap_or_default()), readme_server(&readme));
}
