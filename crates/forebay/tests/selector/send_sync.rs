//! Every public type is `Send + Sync`, and every public future is `Send` when its arguments are.
//!
//! The compiler checks it; the tests only see to it that nothing public is missing here.

use std::net::Ipv4Addr;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{
    Address, Attempt, BoundDatagramSocket, BoundUnixDatagramSocket, ByteReadChannel,
    ByteWriteChannel, ClientAuth, Clock, CloseReason, ComposeResult, ConnectedDatagramSocket,
    ConnectedUnixDatagramSocket, Connection, Datagram, DatagramBatch, Delimiter, DelimiterFraming,
    Ecn, Either, EndWithoutNotify, Error, ErrorKind, Fault, FoundAddresses, FrameStep, Framing,
    FramingKey, HostPart, Identity, Incoming, IncomingDatagrams, IncomingUnixDatagrams, Interest,
    Interval, ItemBuffer, JoinHandle, KeepAlive, LengthFraming, LineEnding, LineFraming,
    LineOptions, Lines, MulticastInterface, Packet, PeerCertificate, PeerChain, PeerCredentials,
    ReadExact, Resolver, Result, SelectorBuilder, SelectorManager, ServerSocket,
    SharedWriteChannel, SignalKind, Signals, Sleep, Socket, SocketAddress, SocketOptions, Stats,
    StopRequested, StreamBuilder, TaskGroup, TaskPlace, TcpBuilder, TcpInfo, TlsClientBuilder,
    TlsConfig, TlsFault, TlsInfo, TlsServerBuilder, TlsVersion, ToAddress, ToPin, ToUnixAddress,
    TooLong, Trust, UdpBuilder, UnixAddress, UnixBuilder, UnixDatagram, UnixDatagramBuilder,
    WorkerStats,
};

fn is_send_and_sync<T: Send + Sync>() {}

fn is_send<T: Send>(_: T) {}

/// Of the public traits those decide that implement them; these are the only ones.
#[allow(dead_code)]
fn takes_the_public_traits<
    S: ComposeResult,
    F: Framing,
    A: ToAddress,
    U: ToUnixAddress,
    P: ToPin,
    R: Resolver,
    B: StreamBuilder,
>() {
}

#[test]
fn every_public_type_is_send_and_sync() {
    is_send_and_sync::<Address>();
    is_send_and_sync::<Attempt>();
    is_send_and_sync::<BoundDatagramSocket>();
    is_send_and_sync::<ByteReadChannel>();
    is_send_and_sync::<ByteWriteChannel>();
    is_send_and_sync::<ClientAuth>();
    is_send_and_sync::<Clock>();
    is_send_and_sync::<CloseReason>();
    is_send_and_sync::<ConnectedDatagramSocket>();
    is_send_and_sync::<Connection>();
    is_send_and_sync::<Datagram>();
    is_send_and_sync::<DatagramBatch>();
    is_send_and_sync::<Delimiter<'_>>();
    is_send_and_sync::<DelimiterFraming>();
    is_send_and_sync::<FrameStep>();
    is_send_and_sync::<FramingKey>();
    is_send_and_sync::<LengthFraming>();
    is_send_and_sync::<LineFraming>();
    is_send_and_sync::<Ecn>();
    is_send_and_sync::<Either<u8, String>>();
    is_send_and_sync::<EndWithoutNotify>();
    is_send_and_sync::<Error>();
    is_send_and_sync::<ErrorKind>();
    is_send_and_sync::<Fault>();
    is_send_and_sync::<FoundAddresses>();
    is_send_and_sync::<HostPart<'_>>();
    is_send_and_sync::<Identity>();
    is_send_and_sync::<Incoming>();
    is_send_and_sync::<IncomingDatagrams>();
    is_send_and_sync::<Interest>();
    is_send_and_sync::<Interval>();
    is_send_and_sync::<JoinHandle<()>>();
    is_send_and_sync::<JoinHandle<String>>();
    // The handle never lends its value, so it need not be `Sync` for the handle to be.
    is_send_and_sync::<JoinHandle<std::cell::Cell<u8>>>();
    is_send_and_sync::<KeepAlive>();
    is_send_and_sync::<MulticastInterface>();
    is_send_and_sync::<SocketOptions>();
    is_send_and_sync::<TcpInfo>();
    is_send_and_sync::<LineEnding>();
    is_send_and_sync::<LineOptions>();
    is_send_and_sync::<TooLong>();
    is_send_and_sync::<Lines<'_>>();
    is_send_and_sync::<Packet>();
    is_send_and_sync::<PeerCertificate>();
    is_send_and_sync::<PeerChain>();
    is_send_and_sync::<PeerCredentials>();
    is_send_and_sync::<ReadExact<'_>>();
    is_send_and_sync::<Result<()>>();
    is_send_and_sync::<SelectorBuilder>();
    is_send_and_sync::<SelectorManager>();
    is_send_and_sync::<ServerSocket>();
    is_send_and_sync::<SharedWriteChannel>();
    is_send_and_sync::<SignalKind>();
    is_send_and_sync::<Signals>();
    is_send_and_sync::<Sleep>();
    is_send_and_sync::<Socket>();
    is_send_and_sync::<SocketAddress>();
    is_send_and_sync::<ItemBuffer>();
    is_send_and_sync::<Stats>();
    is_send_and_sync::<StopRequested>();
    is_send_and_sync::<TaskGroup>();
    is_send_and_sync::<TaskPlace>();
    is_send_and_sync::<WorkerStats>();
    is_send_and_sync::<TcpBuilder>();
    is_send_and_sync::<TestClock>();
    is_send_and_sync::<TlsClientBuilder>();
    is_send_and_sync::<TlsConfig>();
    is_send_and_sync::<TlsFault>();
    is_send_and_sync::<TlsInfo>();
    is_send_and_sync::<TlsServerBuilder>();
    is_send_and_sync::<TlsVersion>();
    is_send_and_sync::<Trust>();
    is_send_and_sync::<UdpBuilder>();
    is_send_and_sync::<UnixAddress>();
    is_send_and_sync::<BoundUnixDatagramSocket>();
    is_send_and_sync::<ConnectedUnixDatagramSocket>();
    is_send_and_sync::<IncomingUnixDatagrams>();
    is_send_and_sync::<UnixDatagram>();
    is_send_and_sync::<UnixDatagramBuilder>();
    is_send_and_sync::<UnixBuilder>();
}

/// Only ever compiled: calling these would start what they stand for.
#[allow(dead_code, clippy::too_many_arguments)]
fn every_public_future_is_send(
    selector: &SelectorManager,
    tcp: TcpBuilder,
    unix: UnixBuilder,
    udp: UdpBuilder,
    resolver: &impl Resolver,
    found: &FoundAddresses,
    bound: &BoundDatagramSocket,
    connected: &ConnectedDatagramSocket,
    datagrams: &mut IncomingDatagrams,
    datagram: &Datagram,
    batch: &mut DatagramBatch,
    received: &mut Vec<Datagram>,
    of_paths: &BoundUnixDatagramSocket,
    of_a_path: &ConnectedUnixDatagramSocket,
    unix_datagrams: &mut IncomingUnixDatagrams,
    unix_datagram: UnixDatagramBuilder,
    server: &ServerSocket,
    place: TaskPlace,
    signals: &mut Signals,
    incoming: &mut Incoming,
    socket: &Socket,
    connection: &mut Connection,
    another: &mut Connection,
    tls: &TlsConfig,
    interval: &mut Interval,
    input: &mut ByteReadChannel,
    output: &mut ByteWriteChannel,
    shared: &SharedWriteChannel,
    task: impl Future<Output = Result<()>> + Send + 'static,
    value: impl Future<Output = u8> + Send + 'static,
) {
    const SECOND: Duration = Duration::from_secs(1);
    let text = &mut String::new();

    is_send(incoming.next());
    is_send(found.ask_system());
    is_send(resolver.resolve("", found));
    is_send(selector.resolve(""));
    is_send(SocketAddress::resolve(&(String::new(), 80)));
    is_send(forebay::resolve(String::new()));
    is_send(interval.tick());
    is_send(selector.close());
    is_send(selector.ctrl_c());
    is_send(selector.ready(std::io::stdin(), Interest::READABLE));
    is_send(selector.sleep(SECOND));
    is_send(selector.spawn(async { Ok(()) }));
    is_send(selector.spawn_blocking(|| 1));
    is_send(selector.spawn_here(async { Ok(()) }));
    is_send(selector.spawn_value(async { 1 }));
    let group = selector.group();
    is_send(place.spawn(async { Ok(()) }));
    is_send(group.join());
    is_send(group.join_within(SECOND));
    is_send(group.place());
    is_send(group.spawn(async { Ok(()) }));
    is_send(group.stop_requested());
    is_send(signals.next());
    is_send(udp.clone().bind("127.0.0.1:0"));
    is_send(udp.connect("127.0.0.1:0"));
    is_send(bound.closed());
    is_send(bound.receive());
    is_send(bound.receive_batch(received, 1));
    is_send(bound.send_batch(batch));
    is_send(bound.reply(datagram, ""));
    is_send(bound.send("", datagram.address));
    is_send(connected.closed());
    is_send(connected.receive());
    is_send(connected.receive_batch(received, 1));
    is_send(connected.send_batch(batch));
    is_send(connected.send(""));
    is_send(datagrams.next());
    is_send(of_paths.closed());
    is_send(of_paths.receive());
    is_send(of_paths.receive_with_fds());
    is_send(of_paths.send("", "path"));
    is_send(of_paths.send_with_fds("", &[], "path"));
    is_send(of_a_path.closed());
    is_send(of_a_path.receive());
    is_send(of_a_path.receive_with_fds());
    is_send(of_a_path.send(""));
    is_send(of_a_path.send_with_fds("", &[]));
    is_send(unix_datagrams.next());
    is_send(unix_datagram.clone().bind("path"));
    is_send(unix_datagram.connect("path"));
    is_send(server.accept());
    is_send(server.closed());
    is_send(socket.accept_tls(tls));
    is_send(socket.close());
    is_send(socket.close_within(SECOND));
    is_send(socket.closed());
    is_send(socket.handshake());
    is_send(socket.receive_with_fds(input));
    is_send(socket.send_with_fds(output, "", &[]));
    is_send(socket.peer_finished());
    is_send(socket.tls(tls));
    is_send(connection.accept_tls(tls));
    is_send(connection.tls(tls));
    is_send(tcp.clone().bind("127.0.0.1:0"));
    is_send(tcp.clone().bind((Ipv4Addr::LOCALHOST, 0)));
    is_send(tcp.clone().connect(String::new()));
    is_send(tcp.connect(&(String::new(), 80)));
    is_send(unix.clone().bind("path"));
    is_send(unix.connect(String::new()));
    is_send(forebay::ctrl_c());
    is_send(forebay::ready(std::io::stdin(), Interest::READABLE));
    is_send(forebay::sleep(SECOND));
    is_send(forebay::spawn(async { Ok(()) }));
    is_send(forebay::spawn_blocking(|| 1));
    is_send(forebay::spawn_here(async { Ok(()) }));
    is_send(forebay::spawn_value(async { 1 }));
    is_send(forebay::stop_requested());
    is_send(forebay::race(async { 1 }, async { "" }));
    is_send(forebay::relay(connection, another));
    is_send(forebay::yield_now());

    is_send(input.await_content(1));
    is_send(input.copy_and_close(output));
    is_send(input.copy_exact_to(1, output));
    is_send(input.copy_to(output));
    is_send(input.copy_to_both(output, &mut forebay::pipe(1).1));
    is_send(input.copy_to_writer(&mut Vec::new(), 1));
    is_send(input.discard(1));
    is_send(input.discard_exact(1));
    is_send(input.exhausted());
    is_send(input.peek(1));
    is_send(input.read(&mut [0]));
    is_send(input.read_chunk());
    is_send(input.read_exact(&mut [0]));
    is_send(input.read_f32());
    is_send(input.read_f32_le());
    is_send(input.read_f64());
    is_send(input.read_f64_le());
    is_send(input.read_frame(&LengthFraming::u8()));
    is_send(input.read_i16());
    is_send(input.read_i16_le());
    is_send(input.read_i32());
    is_send(input.read_i32_le());
    is_send(input.read_i64());
    is_send(input.read_i64_le());
    is_send(input.read_i8());
    is_send(input.read_line());
    is_send(input.read_line_bytes_ref());
    is_send(input.read_line_into(text));
    is_send(input.read_line_ref());
    is_send(input.read_lines_ref());
    is_send(input.read_packet(1));
    is_send(input.read_remaining(1));
    is_send(input.read_u16());
    is_send(input.read_u16_le());
    is_send(input.read_u32());
    is_send(input.read_u32_le());
    is_send(input.read_u64());
    is_send(input.read_u64_le());
    is_send(input.read_u8());
    is_send(input.read_until("", 1));
    is_send(input.read_until_into("", &mut Vec::new(), 1));
    is_send(input.read_up_to(1));
    is_send(input.skip_if_found(&[]));
    is_send(input.skip_line());

    is_send(shared.finish());
    is_send(shared.flush());
    is_send(shared.write_all(&[0]));
    is_send(shared.write_bytes(bytes::Bytes::new()));
    is_send(shared.write_file(&std::fs::File::open("").unwrap(), ..));
    is_send(shared.write_frame(&LengthFraming::u8(), &[]));
    is_send(output.write_frame(&LengthFraming::u8(), &[]));
    is_send(shared.write_packet(Packet::default()));
    is_send(shared.write_str(""));
    is_send(shared.write_strs(&[""]));
    is_send(shared.write_with(|out| out.put_u8(0)));
    is_send(forebay::write_fmt!(shared, ""));

    is_send(output.await_free_space());
    is_send(output.finish());
    is_send(output.flush());
    is_send(output.write_all(&[0]));
    is_send(output.write_bytes(bytes::Bytes::new()));
    is_send(output.write_file(&std::fs::File::open("").unwrap(), ..));
    is_send(output.write_f32(0.0));
    is_send(output.write_f32_le(0.0));
    is_send(output.write_f64(0.0));
    is_send(output.write_f64_le(0.0));
    is_send(output.write_i16(0));
    is_send(output.write_i16_le(0));
    is_send(output.write_i32(0));
    is_send(output.write_i32_le(0));
    is_send(output.write_i64(0));
    is_send(output.write_i64_le(0));
    is_send(output.write_i8(0));
    is_send(output.write_packet(Packet::from(bytes::Bytes::new())));
    is_send(output.write_str(""));
    is_send(output.write_strs(&["", ""]));
    is_send(output.write_u16(0));
    is_send(output.write_u16_le(0));
    is_send(output.write_u32(0));
    is_send(output.write_u32_le(0));
    is_send(output.write_u64(0));
    is_send(output.write_u64_le(0));
    is_send(output.write_u8(0));
    is_send(output.write_with(|out| out.put_u8(0)));
    let (name, number) = (String::new(), 7);
    is_send(forebay::write_fmt!(output, "{name} {number:?}"));
    is_send(forebay::write_line!(output, "{} {}", name, number));
    is_send(forebay::write_line!(output));

    // What takes a future is as good as that future.
    is_send(selector.timeout(SECOND, task));
    is_send(selector.within(SECOND, value));
    is_send(forebay::timeout(SECOND, async { Ok(1) }));
    is_send(forebay::within(SECOND, async { 1 }));
}

/// A handler as users write it: what it holds across its waits must not cost it `Send`.
#[allow(dead_code)]
fn a_handler_is_send(selector: &SelectorManager, socket: Socket) {
    is_send(async move {
        let mut connection = socket.connection()?;
        let name = String::from("Ada");
        while let Some(line) = connection.input.read_line_ref().await? {
            forebay::write_line!(connection.output, "Hello, {line} and {name}!").await?;
        }
        connection.output.finish().await?;
        forebay::sleep(Duration::ZERO).await;
        socket.closed().await;
        socket.close().await
    });
    is_send(selector.clone());
}

#[test]
fn no_public_type_is_missing_here() {
    let lib = include_str!("../../src/lib.rs");
    let here = include_str!("send_sync.rs");
    let mut seen = 0;
    for export in lib.split("pub use ").skip(1) {
        let export = &export[..export.find(';').unwrap()];
        let names = export.split(['{', '}', ',', ':']).map(str::trim);
        for name in names.filter(|name| name.starts_with(char::is_uppercase)) {
            seen += 1;
            let mentions = ["<NAME>", "<NAME<", ": NAME,", ": NAME>"];
            let is_here = mentions.iter().any(|text| here.contains(&text.replace("NAME", name)));
            assert!(is_here, "{name} is public; add it");
        }
    }
    assert!(seen > 20, "{seen} types seen: are they exported elsewhere now?");
}

#[test]
fn no_public_future_is_missing_here() {
    let here = include_str!("send_sync.rs");
    let mut seen = 0;
    for line in include_str!("../cancel/futures.txt").lines() {
        let Some(path) = line.split_whitespace().next().filter(|path| *path != "#") else {
            continue;
        };
        let (owner, name) = path.rsplit_once("::").unwrap();
        let call = match owner.rsplit("::").next().unwrap() {
            // The macros of `forebay_io` are exported here too.
            "forebay" | "forebay_io" => format!("forebay::{name}("),
            "SelectorManager" => format!("selector.{name}("),
            "ServerSocket" => format!("server.{name}("),
            "Socket" => format!("socket.{name}("),
            "Connection" => format!("connection.{name}("),
            "TcpBuilder" => format!("tcp.{}{name}(", if name == "bind" { "clone()." } else { "" }),
            "UnixBuilder" => {
                format!("unix.{}{name}(", if name == "bind" { "clone()." } else { "" })
            }
            "UdpBuilder" => {
                format!("udp.{}{name}(", if name == "bind" { "clone()." } else { "" })
            }
            "BoundDatagramSocket" => format!("bound.{name}("),
            "ConnectedDatagramSocket" => format!("connected.{name}("),
            "IncomingDatagrams" => format!("datagrams.{name}("),
            "BoundUnixDatagramSocket" => format!("of_paths.{name}("),
            "ConnectedUnixDatagramSocket" => format!("of_a_path.{name}("),
            "IncomingUnixDatagrams" => format!("unix_datagrams.{name}("),
            "UnixDatagramBuilder" => {
                format!("unix_datagram.{}{name}(", if name == "bind" { "clone()." } else { "" })
            }
            "TaskGroup" => format!("group.{name}("),
            "TaskPlace" => format!("place.{name}("),
            "Incoming" => format!("incoming.{name}("),
            "Signals" => format!("signals.{name}("),
            "FoundAddresses" => format!("found.{name}("),
            "Resolver" => format!("resolver.{name}("),
            "SocketAddress" => format!("SocketAddress::{name}("),
            "Interval" => format!("interval.{name}("),
            "ByteReadChannel" => format!("input.{name}("),
            "ByteWriteChannel" => format!("output.{name}("),
            "SharedWriteChannel" => format!("shared.{name}("),
            other => panic!("{other} returns futures as well; add it"),
        };
        seen += 1;
        assert!(here.contains(&format!("is_send({call}")), "{path} returns a future; add it");
    }
    assert!(seen > 60, "{seen} futures seen: is the list elsewhere now?");
}
