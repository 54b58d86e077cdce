//! The process is stopped in mid-transfer, and starts others while sockets wait.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use forebay::{Result, SelectorManager};
use forebay_testing::{Child, KIB, MIB, alone, dial, pattern, role, say, watched};

use crate::support::{Kind, echo, in_each, used_pair, warmed_up};

const STOPPED: &str = "a_process_that_is_stopped_in_mid_transfer_goes_on";

#[test]
fn a_process_that_is_stopped_in_mid_transfer_goes_on() {
    if let Some(role) = role() {
        let kind = Kind::ALL.into_iter().find(|kind| format!("{kind:?}") == role).unwrap();
        return kind.block_on(&kind.runtime(), serve()).unwrap();
    }
    for kind in Kind::ALL {
        watched(move || {
            let mut child = Child::start(STOPPED, &format!("{kind:?}"));
            let mut peer = dial(child.hear_number());
            let mut reading = peer.try_clone().unwrap();
            let sent = pattern(20 * MIB);
            let data = sent.clone();
            let writing = thread::spawn(move || {
                peer.write_all(&data).unwrap();
                peer.shutdown(std::net::Shutdown::Write).unwrap();
            });
            let mut received = vec![0; sent.len()];
            for round in 0..5 {
                let (from, until) = (round * sent.len() / 5, (round + 1) * sent.len() / 5);
                child.stop();
                // What is tested is how long it stands still: longer than its timers.
                thread::sleep(Duration::from_millis(50));
                child.go_on();
                reading.read_exact(&mut received[from..until]).unwrap();
            }
            assert!(received == sent, "{kind:?}");
            assert_eq!(reading.read(&mut [0]).unwrap(), 0);
            writing.join().unwrap();
            assert_eq!(child.hear().as_deref(), Some("done"));
            child.end();
        });
    }
}

/// The child: echoes, beside timers.
async fn serve() -> Result<()> {
    let selector = SelectorManager::new();
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    say(&server.port().to_string());
    let serving = tokio::spawn(echo(server.accept().await?.connection()?));
    let mut beat = selector.interval(Duration::from_millis(10));
    let beating = tokio::spawn(async move {
        loop {
            beat.tick().await;
        }
    });
    serving.await.unwrap()?;
    beating.abort();
    beating.await.unwrap_err();
    selector.close().await;
    say("done");
    // Until then it can be stopped.
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// None of the descriptors of a guest, and of the sockets that tokio owns, is passed on; and what waits is not
/// disturbed.
#[test]
fn a_child_gets_no_descriptor_of_the_guest() {
    in_each("a_child_gets_no_descriptor_of_the_guest", async |selector| {
        let (mut near, mut far) = used_pair(selector).await?;
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let accepting = tokio::spawn(async move { server.accept().await.map(drop) });
        let reading = tokio::spawn(async move { (far.input.read_line().await, far) });
        tokio::task::yield_now().await;
        for _ in 0..20 {
            let listed = tokio::task::spawn_blocking(|| {
                let mut list = Command::new("ls");
                list.args(["-l", "/proc/self/fd"]).stdin(Stdio::null()).stderr(Stdio::null());
                String::from_utf8(list.output().unwrap().stdout).unwrap()
            });
            let listed = listed.await.unwrap();
            assert!(listed.contains("/dev/null"), "{listed}");
            for kind in ["socket:", "eventpoll", "eventfd", "timerfd"] {
                assert!(!listed.contains(kind), "a child has: {listed}");
            }
        }
        near.output.write_str("still there\n").await?;
        let (read, far) = reading.await.unwrap();
        assert_eq!(read?.as_deref(), Some("still there"));
        near.socket.abort();
        far.socket.abort();
        accepting.abort();
        accepting.await.ok();
        Ok(())
    });
}

/// Children start and end, with their SIGCHLD, beside transfers.
#[test]
fn processes_start_beside_transfers() {
    alone("processes_start_beside_transfers", || {
        warmed_up();
        watched(|| {
            let selector = SelectorManager::new();
            Kind::MultiThread.runtime().block_on(async {
                let (near, far) = used_pair(&selector).await.unwrap();
                let echoing = tokio::spawn(echo(far));
                let starting = tokio::task::spawn_blocking(|| {
                    for _ in 0..30 {
                        assert!(Command::new("true").status().unwrap().success());
                    }
                });
                let forebay::Connection { mut input, mut output, socket } = near;
                let sent = pattern(5000 * KIB);
                let writing = async {
                    output.write_all(&sent).await?;
                    output.finish().await
                };
                let (written, read) = tokio::join!(writing, input.read_remaining(sent.len()));
                written.unwrap();
                assert!(read.unwrap().as_slice() == sent);
                starting.await.unwrap();
                socket.close().await.unwrap();
                echoing.await.unwrap().unwrap();
                selector.close().await;
            });
            assert!(fs::read_dir("/proc/self/task").unwrap().count() > 0);
        });
    });
}
