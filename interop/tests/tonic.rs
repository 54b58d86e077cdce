//! tonic's client and server, with a service that is written out: no compiler of protocol buffers is needed.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use forebay::{Connection, Result, ServerSocket, Socket};
use forebay_interop::bounded;
use futures_util::{Stream, StreamExt, stream};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::http::{Request as HttpRequest, Response as HttpResponse, Uri};
use tonic::transport::server::{Connected, Server};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

/// Messages that are bytes.
#[derive(Clone, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> std::result::Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> std::result::Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// tonic's server wants a trait of its own on a connection, which only a type of the program's can have.
struct Served(Connection);

impl Connected for Served {
    type ConnectInfo = String;

    fn connect_info(&self) -> String {
        self.0.socket.remote_address().to_string()
    }
}

impl AsyncRead for Served {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        AsyncRead::poll_read(Pin::new(&mut self.0), cx, buf)
    }
}

impl AsyncWrite for Served {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slice: &[u8],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.0), cx, slice)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write_vectored(Pin::new(&mut self.0), cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.0), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(&mut self.0), cx)
    }
}

/// Echoes each message of a stream, and the address of its connection to the message `who`.
#[derive(Clone)]
struct Echo;

type Echoed = Pin<Box<dyn Stream<Item = std::result::Result<Bytes, Status>> + Send>>;

impl tower::Service<Request<Streaming<Bytes>>> for Echo {
    type Response = Response<Echoed>;
    type Error = Status;
    type Future = Ready<std::result::Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let peer = request.extensions().get::<String>().cloned().unwrap_or_default();
        let echoed = request.into_inner().map(move |message| match message? {
            refused if refused == "refuse" => Err(Status::permission_denied("as asked")),
            who if who == "who" => Ok(Bytes::from(peer.clone())),
            message => Ok(message),
        });
        ready(Ok(Response::new(Box::pin(echoed))))
    }
}

/// The service as tonic's generated code has it.
#[derive(Clone)]
struct EchoServer;

impl tower::Service<HttpRequest<Body>> for EchoServer {
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future =
        Pin<Box<dyn Future<Output = std::result::Result<HttpResponse<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(BytesCodec);
            Ok(grpc.streaming(Echo, request).await)
        })
    }
}

/// Serves the connections of a listener, until it is closed.
async fn serve(server: ServerSocket) {
    let connections = server
        .incoming()
        .map(|socket: Result<Socket>| Ok::<_, forebay::Error>(Served(socket?.connection()?)));
    Server::builder().serve_with_incoming(EchoServer, connections).await.unwrap();
}

async fn connect(socket: Socket) -> Channel {
    let mut connection = Some(TokioIo::new(socket.connection().unwrap()));
    let connector = tower::service_fn(move |_: Uri| {
        ready(connection.take().ok_or(io::Error::other("there is one connection")))
    });
    Endpoint::from_static("http://localhost").connect_with_connector(connector).await.unwrap()
}

async fn echo(channel: &Channel, messages: Vec<Bytes>) -> std::result::Result<Vec<Bytes>, Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/test.Echo/Echo");
    let request = Request::new(stream::iter(messages));
    let response = grpc.streaming(request, path, BytesCodec).await?;
    let received = response.into_inner().collect::<Vec<_>>().await;
    received.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_echoed_beside_each_other_and_a_refusal_is_told() {
    let selector = forebay::SelectorManager::new();
    let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
    let serving = tokio::spawn(serve(server.clone()));
    let socket = selector.tcp().connect(server.local_address()).await.unwrap();
    let local = socket.local_address().to_string();
    let channel = bounded(connect(socket)).await;

    assert_eq!(bounded(echo(&channel, vec![Bytes::from("who")])).await.unwrap(), [local]);
    let tasks = (0..20_usize).map(|number| {
        let channel = channel.clone();
        tokio::spawn(async move {
            let messages = (0..20).map(|n| Bytes::from(vec![b'm'; number * n * 100]));
            let messages: Vec<_> = messages.collect();
            assert!(echo(&channel, messages.clone()).await.unwrap() == messages, "{number}");
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        bounded(task).await.unwrap();
    }
    let refused = bounded(echo(&channel, vec![Bytes::from("refuse")])).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);

    drop(channel);
    server.close();
    bounded(serving).await.unwrap();
}
