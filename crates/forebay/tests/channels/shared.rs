//! A writing channel that tasks on several workers share, over every transport.

use std::time::Duration;

use forebay::{LengthFraming, Result, SelectorManager, SharedWriteChannel, Socket};
use forebay_testing::{Transport, on_each, watched};

const WRITERS: u32 = 8;
const FRAMES: u32 = 200;

pub(crate) fn framing() -> LengthFraming {
    LengthFraming::u32()
}

async fn write_frames(output: SharedWriteChannel, writer: u32) -> Result<()> {
    for number in 0..FRAMES {
        output.write_frame(&framing(), &[&frame_of(writer, number)]).await?;
    }
    Ok(())
}

/// The frame of a writer's number: both, and bytes whose length and value follow from them.
pub(crate) fn frame_of(writer: u32, number: u32) -> Vec<u8> {
    let length = if number.is_multiple_of(50) { 70_000 } else { (number * 97 + writer) % 3000 };
    let byte = u8::try_from((writer * 31 + number) % 251).unwrap();
    let head = [writer.to_be_bytes(), number.to_be_bytes()].concat();
    [head, vec![byte; length as usize]].concat()
}

/// Each writer writes its frames, in the order of their numbers, from a task of its own.
pub(crate) fn all_arrive_whole_and_in_order<F: Future<Output = Result<()>> + Send + 'static>(
    workers: u16,
    frames: u32,
    write: fn(SharedWriteChannel, u32) -> F,
) {
    on_each(move |transport: Transport| {
        let selector = SelectorManager::builder().workers(workers).build().unwrap();
        selector.block_on(async {
            let (near, mut far) = transport.pair(&selector).await.unwrap();
            let output = near.output.share();
            for writer in 0..WRITERS {
                selector.spawn(write(output.clone(), writer)).detach();
            }
            drop(output);
            let mut next = [0; WRITERS as usize];
            while let Some(mut frame) = far.input.read_frame(&framing()).await.unwrap() {
                let whole = frame.as_slice().to_vec();
                let (writer, number) = (frame.read_u32().unwrap(), frame.read_u32().unwrap());
                assert_eq!(number, next[writer as usize], "out of order, over {transport}");
                assert!(whole == frame_of(writer, number), "mixed, over {transport}");
                next[writer as usize] += 1;
            }
            assert_eq!(next, [frames; WRITERS as usize], "over {transport}");
            selector.close().await;
        });
    });
}

#[test]
fn frames_of_tasks_on_several_workers_arrive_whole_and_in_each_ones_order() {
    all_arrive_whole_and_in_order(4, FRAMES, write_frames);
}

/// The server of the documentation of `SharedWriteChannel`, with a task for each request.
async fn serve(selector: SelectorManager, socket: Socket, limit: usize) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let output = socket.open_write_channel()?.share();
    let requests = selector.group().limit(limit);
    while let Some(request) = input.read_frame(&framing()).await? {
        let output = output.clone();
        let place = requests.place().await;
        place.spawn(async move { output.write_frame(&framing(), &[request.as_slice()]).await });
    }
    requests.join().await;
    output.finish().await
}

#[test]
fn a_client_that_sends_and_does_not_read_is_held_by_the_limit_of_tasks() {
    watched(|| {
        let selector = SelectorManager::builder().workers(2).build().unwrap();
        selector.block_on(async {
            let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
            let address = server.local_address();
            let mut client = selector.tcp().connect(address).await.unwrap().connection().unwrap();
            let socket = server.accept().await.unwrap();
            let serving = selector.spawn(serve(selector.clone(), socket, 10));
            let frame = vec![7; 10_000];
            let mut sent = 0;
            // Until nothing moves any more: the system's buffers are full in both directions.
            let stuck = async {
                loop {
                    let write = async { client.output.write_frame(&framing(), &[&frame]).await };
                    if forebay::within(Duration::from_millis(500), write).await.is_none() {
                        return;
                    }
                    sent += 1;
                }
            };
            stuck.await;
            assert!(sent < 10_000, "{sent} frames of a client that reads nothing were taken");
            assert!(selector.stats().tasks <= 20, "{} tasks", selector.stats().tasks);
            // It reads, and everything is answered.
            let finish = client.output.finish();
            let read = async {
                let mut answered = 0;
                while let Some(answer) = client.input.read_frame(&framing()).await.unwrap() {
                    assert!(answer.as_slice() == frame);
                    answered += 1;
                }
                answered
            };
            let (finished, answered) = futures_lite::future::zip(finish, read).await;
            finished.unwrap();
            assert_eq!(answered, sent);
            serving.await.unwrap();
            selector.close().await;
        });
    });
}
