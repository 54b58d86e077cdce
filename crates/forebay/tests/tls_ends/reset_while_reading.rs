//! A reset that the reader of a secure connection meets: the connection tells its writer of it in the
//! middle of the reader's call, and the writer is the same session's.

#![cfg(feature = "tls")]

use forebay_testing::{
    in_host,
    tls::{Configs, secure_pair},
    watched,
};
use futures_lite::future::{yield_now, zip};

#[test]
fn a_reader_that_meets_a_reset_does_not_wait_for_itself() {
    let configs = Configs::new();
    let outcome = watched(move || {
        in_host(async move |selector| {
            for waits in [true, false] {
                let (mut client, server) = secure_pair(&selector, &configs).await?;
                let reset = async {
                    if waits {
                        // The reader sleeps by then.
                        yield_now().await;
                    }
                    server.socket.abort();
                };
                let (read, ()) = zip(client.input.read_line(), reset).await;
                let error = read.expect_err("the server has reset it");
                assert!(error.is_reset(), "{error}");
                let error = client.output.write_str("x").await.expect_err("the same connection");
                assert!(error.is_reset(), "{error}");
            }
            forebay::Result::Ok(())
        })
    });
    outcome.unwrap();
}
