//! The traits as other libraries use them, on each transport: copies, frames, halves, ends, errors.

use bytes::Bytes;
use forebay::{Error, SelectorManager};
use forebay_interop::{TRANSPORTS, bounded, pair};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::codec::{BytesCodec, Framed, LengthDelimitedCodec, LinesCodec};

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_tokio_copies_both_ways_and_passes_each_end_on() {
    let selector = SelectorManager::new();
    for near in TRANSPORTS {
        for far in TRANSPORTS {
            let ((mut client, mut left), (mut right, mut server)) =
                bounded(async { (pair(&selector, near).await, pair(&selector, far).await) }).await;
            let proxy = tokio::spawn(async move {
                tokio::io::copy_bidirectional(&mut left, &mut right).await.unwrap()
            });
            let serving = tokio::spawn(async move {
                let mut request = Vec::new();
                server.read_to_end(&mut request).await.unwrap();
                server.write_all(&request).await.unwrap();
                server.write_all(b"answered after the end").await.unwrap();
                server.shutdown().await.unwrap();
                server
            });
            let request = pattern(300_000);
            let mut answer = Vec::new();
            bounded(async {
                client.write_all(&request).await.unwrap();
                client.shutdown().await.unwrap();
                client.read_to_end(&mut answer).await.unwrap();
            })
            .await;
            assert_eq!(&answer[..request.len()], request, "{near:?} {far:?}");
            assert_eq!(&answer[request.len()..], b"answered after the end");
            assert_eq!(bounded(proxy).await.unwrap(), (300_000, 300_022));
            bounded(serving).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_copy_of_futures_ends_with_the_reader() {
    let selector = SelectorManager::new();
    for transport in TRANSPORTS {
        let (mut client, mut server) = bounded(pair(&selector, transport)).await;
        let sent = pattern(200_000);
        let (copied, received) = bounded(async {
            tokio::join!(
                async {
                    let copied = futures_util::io::copy(&sent[..], &mut client).await.unwrap();
                    futures_util::AsyncWriteExt::close(&mut client).await.unwrap();
                    copied
                },
                async {
                    let mut received = futures_util::io::Cursor::new(Vec::new());
                    futures_util::io::copy_buf(&mut server, &mut received).await.unwrap();
                    received.into_inner()
                }
            )
        })
        .await;
        assert_eq!(copied, 200_000, "{transport:?}");
        assert_eq!(received, sent);
    }
}

#[tokio::test]
async fn frames_of_tokio_util_are_read_and_written() {
    let selector = SelectorManager::new();
    for transport in TRANSPORTS {
        let (client, server) = bounded(pair(&selector, transport)).await;
        let mut client = Framed::new(client, LengthDelimitedCodec::new());
        let mut server = Framed::new(server, LengthDelimitedCodec::new());
        bounded(async {
            for length in [0, 1, 1000, 100_000] {
                let (sent, received) =
                    tokio::join!(client.send(Bytes::from(pattern(length))), server.next());
                sent.unwrap();
                assert_eq!(received.unwrap().unwrap(), pattern(length), "{transport:?}");
            }
            SinkExt::<Bytes>::close(&mut client).await.unwrap();
            assert!(server.next().await.is_none());
            server.send(Bytes::from_static(b"bye")).await.unwrap();
            assert_eq!(client.next().await.unwrap().unwrap(), "bye");
        })
        .await;
    }
}

#[tokio::test]
async fn lines_and_bytes_of_codecs_use_the_halves_alone() {
    let selector = SelectorManager::new();
    let (mut client, server) = selector.duplex(64);
    let mut lines = tokio_util::codec::FramedRead::new(server.input, LinesCodec::new());
    let mut out = tokio_util::codec::FramedWrite::new(server.output, BytesCodec::new());
    bounded(async {
        client.output.write_str("one\ntwo\n").await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), "one");
        out.send(Bytes::from_static(b"three\n")).await.unwrap();
        assert_eq!(client.input.read_line().await.unwrap().as_deref(), Some("three"));
        assert_eq!(lines.next().await.unwrap().unwrap(), "two");
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_forwarded_into_a_channel() {
    let selector = SelectorManager::new();
    for transport in TRANSPORTS {
        let (client, mut server) = bounded(pair(&selector, transport)).await;
        let items = (0..1000).map(|number| Ok::<_, Error>(Bytes::from(format!("{number}\n"))));
        let forwarded = futures_util::stream::iter(items).forward(client.output);
        let received = async {
            let mut count = 0;
            while let Some(line) = server.input.read_line().await.unwrap() {
                assert_eq!(line, count.to_string());
                count += 1;
            }
            count
        };
        let (sent, received) = bounded(async { tokio::join!(forwarded, received) }).await;
        sent.unwrap();
        assert_eq!(received, 1000, "{transport:?}");
    }
}

#[tokio::test]
async fn split_halves_of_tokio_work_in_two_tasks() {
    let selector = SelectorManager::new();
    for transport in TRANSPORTS {
        let (client, server) = bounded(pair(&selector, transport)).await;
        let (mut reader, mut writer) = tokio::io::split(client);
        let echo = tokio::spawn(async move {
            let (mut input, mut output) = tokio::io::split(server);
            tokio::io::copy(&mut input, &mut output).await.unwrap();
            output.shutdown().await.unwrap();
        });
        let writing = tokio::spawn(async move {
            writer.write_all(&pattern(500_000)).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        bounded(reader.read_to_end(&mut received)).await.unwrap();
        assert_eq!(received, pattern(500_000), "{transport:?}");
        bounded(async { tokio::join!(echo, writing) }).await.0.unwrap();
    }
}

#[tokio::test]
async fn a_reset_is_an_error_with_ours_inside() {
    let selector = SelectorManager::new();
    for transport in TRANSPORTS {
        let (client, mut server) = bounded(pair(&selector, transport)).await;
        client.socket.abort();
        let error = bounded(server.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{transport:?}");
        assert_eq!(Error::from(error).kind(), forebay::ErrorKind::Reset);
    }
}

#[tokio::test]
async fn a_dropped_read_of_tokio_loses_nothing() {
    let selector = SelectorManager::new();
    for transport in TRANSPORTS {
        let (mut client, mut server) = bounded(pair(&selector, transport)).await;
        for number in 0..100_u8 {
            let mut slice = [0; 16];
            tokio::select! {
                biased;
                _ = server.read(&mut slice) => panic!("nothing was sent"),
                () = std::future::ready(()) => {}
            }
            client.write_all(&[number]).await.unwrap();
            assert_eq!(bounded(server.read(&mut slice)).await.unwrap(), 1);
            assert_eq!(slice[0], number, "{transport:?}");
        }
    }
}

#[tokio::test]
async fn the_connections_of_a_listener_are_a_stream() {
    let selector = SelectorManager::new();
    let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
    let incoming = server.incoming();
    let mut three = Vec::new();
    for _ in 0..3 {
        three.push(selector.tcp().connect(server.local_address()).await.unwrap());
    }
    let accepted = bounded(incoming.take(3).collect::<Vec<_>>()).await;
    assert!(accepted.iter().all(Result::is_ok));
    let rest = server.incoming();
    server.close();
    assert_eq!(bounded(rest.count()).await, 0);
}
