use std::io;
use std::path::Path;

use forebay_io::{Error, ErrorKind};

use crate::pem::{BYTES_MAX, PemOrigin};
use crate::samples::{Authority, Directory};
use crate::{Identity, Trust};

/// Returns the errors of both calls for a file.
fn refusals(path: &Path) -> [Error; 2] {
    [Identity::from_pem_files(path, path).unwrap_err(), Trust::roots_pem_file(path).unwrap_err()]
}

#[test]
fn a_file_that_is_not_there_is_named_by_both() {
    for error in refusals(Path::new("/nowhere/some.pem")) {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.address(), Some("/nowhere/some.pem"));
        assert!(error.to_string().contains("there is no such file; is the path right?"), "{error}");
    }
}

#[test]
fn a_directory_is_no_file() {
    let directory = Directory::new();
    for error in refusals(directory.path()) {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.address(), directory.path().to_str());
        assert!(error.to_string().contains("this is a directory"), "{error}");
    }
}

/// Root may read everything, so the system does not refuse everywhere.
#[test]
fn a_file_that_may_not_be_read_says_who_should_be_let() {
    let path = Some(Path::new("/etc/keys/server.pem"));
    let origin = PemOrigin { operation: "Identity::from_pem_files", path };
    let error = origin.unreadable(io::Error::from(io::ErrorKind::PermissionDenied));
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(error.address(), Some("/etc/keys/server.pem"));
    assert!(error.to_string().contains("let its user or group read it"), "{error}");
}

#[test]
fn a_huge_file_is_not_read_to_its_end() {
    let directory = Directory::new();
    let path = directory.path().join("huge.pem");
    // A sparse file, which takes no space on the disk.
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    for error in refusals(&path) {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.address(), path.to_str());
        assert!(error.to_string().contains("at most 16 MiB, but the file has more"), "{error}");
    }
}

#[test]
fn what_is_given_has_the_limit_of_a_file() {
    let mut text = Authority::new("the root").pem().into_bytes();
    text.resize(usize::try_from(BYTES_MAX).unwrap(), b'\n');
    assert!(Trust::roots_pem(&text).is_ok());
    text.push(b'\n');
    for error in [Trust::roots_pem(&text).unwrap_err(), Identity::from_pem(&text).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("16 MiB, but the given bytes are more"), "{error}");
    }
}
