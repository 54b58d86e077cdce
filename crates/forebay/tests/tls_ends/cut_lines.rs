//! An attacker between two peers can end the TCP connection, but not what they say: the line that is
//! cut is never taken for a whole one.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use forebay::{Connection, EndWithoutNotify, ErrorKind, Result, SelectorManager};
use forebay_testing::{dial, in_host, report, tls::Configs, watched};
use futures_lite::future::zip;

/// Less than a record of one byte has, with its header and its tag.
const PART_OF_A_RECORD: usize = 10;

/// A relay between a client and a server, which hands everything on until it is told to stop.
struct Middle {
    port: u16,
    /// Bytes that may still pass from the server to the client.
    left: Arc<AtomicUsize>,
}

impl Middle {
    fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let left = Arc::new(AtomicUsize::new(usize::MAX));
        let may_pass = Arc::clone(&left);
        thread::spawn(move || {
            let (near, far) = (listener.accept().unwrap().0, dial(server));
            let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut from, &mut to));
            hand_on(far, near, &may_pass);
        });
        Self { port, left }
    }

    /// Lets so many bytes more through, and ends the connection where more would come.
    fn cut_after(&self, bytes: usize) {
        self.left.store(bytes, SeqCst);
    }
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, left: &AtomicUsize) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).unwrap();
        let passes = read.min(left.load(SeqCst));
        to.write_all(&buffer[..passes]).unwrap();
        if passes < read {
            // An end as any other, by a FIN; what still comes is read, so that nothing is reset.
            to.shutdown(Shutdown::Write).unwrap();
            io::copy(&mut from, &mut io::sink()).ok();
            return;
        }
        if read == 0 {
            return;
        }
    }
}

/// Both ends of a secure connection, the client first.
async fn through(
    selector: &SelectorManager,
    configs: &Configs,
) -> Result<(Connection, Connection, Middle)> {
    let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
    let middle = Middle::before(server.port());
    let connecting = async {
        let plain = selector.tcp().connect(("127.0.0.1", middle.port)).await?;
        plain.tls(&configs.client).await
    };
    let accepting = async {
        let accepted = server.accept().await?;
        accepted.handshake().await?;
        Result::Ok(accepted)
    };
    let (near, far) = zip(connecting, accepting).await;
    Ok((near?.connection()?, far?.connection()?, middle))
}

fn cut(
    end: EndWithoutNotify,
    test: impl AsyncFn(&mut Connection, usize) -> Result<()> + Send + Sync + 'static,
) {
    watched(move || {
        in_host(async |selector| {
            let configs = Configs::with(|it| it.end_without_notify(end), |it| it);
            for bytes in [0, PART_OF_A_RECORD] {
                let (mut near, mut far, middle) = through(&selector, &configs).await?;
                // One record, so that the half is there as soon as the whole is.
                far.output.write_str("one\ntwo\nhal").await?;
                far.output.flush().await?;
                assert_eq!(near.input.read_line().await?.as_deref(), Some("one"));
                assert_eq!(near.input.read_line().await?.as_deref(), Some("two"));
                middle.cut_after(bytes);
                far.output.write_str("f\nanother\n").await?;
                far.output.flush().await?;
                test(&mut near, bytes).await?;
            }
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn half_a_line_that_was_cut_is_an_error_and_no_line() {
    cut(EndWithoutNotify::Error, async |near, bytes| {
        for _ in 0..2 {
            let error = near.input.read_line().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::EndedWithoutNotify, "{error}");
            report(&format!("tls_cut_lines: cut {bytes} bytes behind half a line: {error}"));
        }
        Ok(())
    });
}

/// A caller that asks for it gets the half line, as over TCP; but nothing of a record that was cut.
#[test]
fn where_every_end_is_an_end_the_half_line_is_the_last() {
    cut(EndWithoutNotify::AsEnd, async |near, bytes| {
        let last = near.input.read_line().await;
        report(&format!(
            "tls_cut_lines: as an end, cut {bytes} bytes behind half a line: {last:?}"
        ));
        assert_eq!(last?.as_deref(), Some("hal"));
        assert_eq!(near.input.read_line().await?, None);
        Ok(())
    });
}
