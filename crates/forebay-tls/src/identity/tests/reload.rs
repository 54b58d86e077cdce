use std::fs;

use forebay_io::ErrorKind;

use crate::Identity;
use crate::samples::{Authority, Directory, assert_hides};

#[test]
fn reading_again_changes_every_clone() {
    let root = Authority::new("root");
    let (old, new) = (root.issue(&["old.example"]), root.issue(&["new.example"]));
    let directory = Directory::new();
    let path = directory.write("both.pem", old.both());
    let identity = Identity::from_pem_files(&path, &path).unwrap();
    let clone = identity.clone();
    fs::write(&path, new.both()).unwrap();
    assert_eq!(clone.current().cert[0].as_ref(), old.der);
    identity.reload().unwrap();
    assert_eq!(clone.current().cert[0].as_ref(), new.der);
}

#[test]
fn a_failure_keeps_the_old_one_and_is_returned() {
    let root = Authority::new("root");
    let (old, new) = (root.issue(&["old.example"]), root.issue(&["new.example"]));
    let directory = Directory::new();
    let certificate = directory.write("certificate.pem", &old.pem);
    let key = directory.write("key.pem", &old.key_pem);
    let identity = Identity::from_pem_files(&certificate, &key).unwrap();

    // Between the two writes of a renewal, the pair does not match.
    fs::write(&certificate, &new.pem).unwrap();
    let error = identity.reload().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.operation(), "Identity::reload");
    assert!(error.to_string().contains(key.to_str().unwrap()), "{error}");
    assert_hides(&format!("{error}{error:?}"), &old.key_pem);
    assert_eq!(identity.current().cert[0].as_ref(), old.der);

    fs::remove_file(&key).unwrap();
    assert_eq!(identity.reload().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(identity.current().cert[0].as_ref(), old.der);

    fs::write(&key, &new.key_pem).unwrap();
    identity.reload().unwrap();
    assert_eq!(identity.current().cert[0].as_ref(), new.der);
}

#[test]
fn what_was_not_read_from_files_cannot_be_read_again() {
    let leaf = Authority::new("root").issue(&["localhost"]);
    for identity in [
        Identity::from_pem(leaf.both()).unwrap(),
        Identity::from_der([leaf.der.clone()], leaf.key_der.clone()).unwrap(),
    ] {
        let error = identity.reload().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("Identity::from_pem_files"), "{error}");
    }
}
