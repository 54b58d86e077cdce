//! The first of two futures.

use std::pin::Pin;
use std::task::{Context, Poll};

use either::Either;
use pin_project_lite::pin_project;

/// Runs two futures until one of them is ready, and drops the other one before it returns.
///
/// `first` is polled first: if both are ready, its output is returned. So a future that must not be held up
/// by one that is always ready comes first. (The calls of this library give way: a listener with a full
/// backlog does not hold up what comes behind it.)
///
/// What the loser has done so far depends on its promise for being dropped
/// ([`cancel_safety`](crate::cancel_safety)). A read here loses no bytes, and a future that is passed by
/// `&mut` is not dropped, only left.
///
/// # Panics
///
/// Panics if it is polled again after it was ready, as `async` functions do.
///
/// # Cancel safety
///
/// The guarantee of each of the two futures applies.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use forebay::{Either, race};
///
/// forebay::run(async |selector| {
///     let (mut left, right) = selector.duplex(64);
///     let line = race(left.input.read_line(), forebay::sleep(Duration::from_millis(1))).await;
///     assert!(matches!(line, Either::Right(())), "the peer has sent nothing yet");
///     drop(right);
///     let line = race(left.input.read_line(), forebay::sleep(Duration::from_secs(60))).await;
///     assert!(matches!(line, Either::Left(Ok(None))), "it has ended");
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[doc(alias = "select")]
pub fn race<A: Future, B: Future>(
    first: A,
    second: B,
) -> impl Future<Output = Either<A::Output, B::Output>> {
    Race { first: Some(first), second: Some(second) }
}

pin_project! {
    /// Written by hand, because an `async` function stores each of its arguments twice: as it was passed,
    /// and as it is polled.
    struct Race<A, B> {
        #[pin]
        first: Option<A>,
        #[pin]
        second: Option<B>,
    }
}

impl<A: Future, B: Future> Future for Race<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (Some(first), Some(second)) =
            (this.first.as_mut().as_pin_mut(), this.second.as_mut().as_pin_mut())
        else {
            panic!("race was polled again after it was ready");
        };
        let output = match first.poll(cx) {
            Poll::Ready(output) => Either::Left(output),
            Poll::Pending => match second.poll(cx) {
                Poll::Ready(output) => Either::Right(output),
                Poll::Pending => return Poll::Pending,
            },
        };
        this.first.set(None);
        this.second.set(None);
        Poll::Ready(output)
    }
}
