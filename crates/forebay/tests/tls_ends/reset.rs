//! A secure connection that its peer resets while a reader waits for its bytes: both halves say so.
//! Once the reader told the writer while it held the session, which the writer needs, and stood
//! still forever.

use forebay::{ErrorKind, Result};
use forebay_testing::{
    in_host,
    tls::{Configs, secure_pair},
    watched,
};
use futures_lite::future::zip;

#[test]
fn a_reset_is_told_to_both_halves_of_a_secure_connection() {
    watched(|| {
        let configs = Configs::new();
        let run: Result<()> = in_host(async |selector| {
            let (mut near, far) = secure_pair(&selector, &configs).await?;
            let reading = near.input.read_line();
            let resetting = async {
                futures_lite::future::yield_now().await;
                far.socket.abort();
            };
            let (read, ()) = zip(reading, resetting).await;
            assert_eq!(read.unwrap_err().kind(), ErrorKind::Reset);
            assert_eq!(near.output.write_str("x").await.unwrap_err().kind(), ErrorKind::Reset);
            assert_eq!(near.output.finish().await.unwrap_err().kind(), ErrorKind::Reset);
            let why = near.input.read_line().await.unwrap_err();
            assert_eq!(why.kind(), ErrorKind::Reset);
            Ok(())
        });
        run.unwrap();
    });
}
