//! Roots from files. The errors of bad ones are tested where files are read.

use super::Authority;
use crate::Trust;
use crate::samples::Directory;

#[test]
fn a_good_file_is_read() {
    let directory = Directory::new();
    let path = directory.write("roots.pem", Authority::new("the root").pem());
    let trust = Trust::roots_pem_file(&path).unwrap();
    assert_eq!(format!("{trust:?}"), "Trust::roots(1 roots)");
    let trust = Trust::system_plus_pem_file(&path).unwrap();
    assert!(trust.needs_loading());
}

#[test]
fn a_file_with_a_key_is_not_quoted() {
    let leaf = Authority::new("the root").issue(&["localhost"]);
    let key = &leaf.key_pem;
    for content in [key.clone(), key.replace("-----END", "--END"), key.replace("MIG", "M!G")] {
        let directory = Directory::new();
        let path = directory.write("secret.pem", content);
        let error = Trust::roots_pem_file(path).unwrap_err();
        crate::samples::assert_hides(&format!("{error}{error:?}"), key);
    }
}
