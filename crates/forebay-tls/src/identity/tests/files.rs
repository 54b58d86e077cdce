use forebay_io::ErrorKind;

use crate::Identity;
use crate::samples::{Authority, Directory, assert_hides};

#[test]
fn certificates_and_key_may_be_in_one_file_or_in_two() {
    let leaf = Authority::new("root").issue(&["localhost"]);
    let directory = Directory::new();
    let both = directory.write("both.pem", leaf.both());
    let certificate = directory.write("certificate.pem", &leaf.pem);
    let key = directory.write("key.pem", &leaf.key_pem);
    for (certificates, key) in [(&both, &both), (&certificate, &key), (&certificate, &both)] {
        let identity = Identity::from_pem_files(certificates, key).unwrap();
        assert_eq!(identity.current().cert[0].as_ref(), leaf.der);
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let leaf = Authority::new("root").issue(&["localhost"]);
    let directory = Directory::new();
    let there = directory.write("there.pem", leaf.both());
    let missing = directory.path().join("missing.pem");
    for result in
        [Identity::from_pem_files(&missing, &there), Identity::from_pem_files(&there, &missing)]
    {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(missing.to_str().unwrap()), "{error}");
        assert!(error.to_string().contains("no such file"), "{error}");
        assert_hides(&format!("{error}{error:?}"), &leaf.key_pem);
    }
}

#[test]
fn the_file_with_the_trouble_is_the_one_that_is_named() {
    let root = Authority::new("root");
    let (one, other) = (root.issue(&["one.example"]), root.issue(&["other.example"]));
    let directory = Directory::new();
    let certificate = directory.write("one-certificate.pem", &one.pem);
    let key = directory.write("one-key.pem", &one.key_pem);
    let other_key = directory.write("other-key.pem", &other.key_pem);
    let swapped = Identity::from_pem_files(&key, &certificate).unwrap_err();
    assert_eq!(swapped.address(), key.to_str());
    assert!(swapped.to_string().contains("only 1 private key"), "{swapped}");
    let no_key = Identity::from_pem_files(&certificate, &certificate).unwrap_err();
    assert_eq!(no_key.address(), certificate.to_str());
    let mismatch = Identity::from_pem_files(&certificate, &other_key).unwrap_err();
    assert_eq!(mismatch.address(), other_key.to_str());
    assert!(mismatch.to_string().contains(certificate.to_str().unwrap()), "{mismatch}");
    for error in [swapped, no_key, mismatch] {
        assert_hides(&format!("{error}{error:?}"), &one.key_pem);
        assert_hides(&format!("{error}{error:?}"), &other.key_pem);
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_everybody_may_read_is_taken() {
    use std::os::unix::fs::PermissionsExt;
    let leaf = Authority::new("root").issue(&["localhost"]);
    let directory = Directory::new();
    let path = directory.write("both.pem", leaf.both());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Identity::from_pem_files(&path, &path).is_ok());
}
