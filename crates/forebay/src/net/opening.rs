//! The beginning of every call that opens a socket.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use forebay_io::seam::poll_answer;
use forebay_io::{Error, Result};

use crate::selector::{SelectorManager, Shared};

/// Begins a call that opens a socket: gives way to other tasks, parses its address, and refuses if the
/// selector is being closed.
pub(super) async fn begin<'a, A: fmt::Display>(
    selector: &'a SelectorManager,
    operation: &'static str,
    parse: impl FnOnce() -> Result<A>,
) -> Result<(A, &'a Arc<Shared>)> {
    // Most calls that open a socket never wait by themselves, so a loop over them would starve other tasks.
    poll_fn(|cx| poll_answer(cx)).await;
    let address = parse()?;
    let shared = selector.shared();
    let closed = |error: Error| error.or_address(|| Some(address.to_string()));
    shared.check_open(operation).map_err(closed)?;
    Ok((address, shared))
}
