use std::io;

use super::{Error, ErrorKind, Fault};

#[test]
fn an_error_is_one_word() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Error>>(), size_of::<usize>());
}

#[test]
fn a_round_trip_through_std_keeps_the_error() {
    let ours = Error::new(ErrorKind::LineTooLong { limit: 9 }, "read_line").context("login");
    let back = Error::from(io::Error::from(ours.clone()));
    assert_eq!(back.kind(), ours.kind());
    assert_eq!(back.to_string(), ours.to_string());
}

#[test]
fn system_errors_are_sorted_by_fault() {
    let cases = [
        (io::ErrorKind::ConnectionReset, Fault::Peer),
        (io::ErrorKind::BrokenPipe, Fault::Peer),
        (io::ErrorKind::ConnectionRefused, Fault::Peer),
        (io::ErrorKind::AddrInUse, Fault::System),
        (io::ErrorKind::PermissionDenied, Fault::System),
        (io::ErrorKind::InvalidInput, Fault::Caller),
    ];
    for (kind, fault) in cases {
        assert_eq!(Error::from(io::Error::from(kind)).kind().fault(), fault, "{kind}");
    }
    let no_descriptors = Error::from_io("accept", io::Error::from_raw_os_error(24));
    assert_eq!(no_descriptors.kind(), ErrorKind::Exhausted);
}

#[test]
fn the_system_text_is_kept_as_the_source() {
    let error =
        Error::from_io("bind", io::Error::from(io::ErrorKind::AddrInUse)).with_address("[::1]:80");
    assert_eq!(error.to_string(), "bind [::1]:80: the address is in use");
    assert!(std::error::Error::source(&error).is_some());
}
