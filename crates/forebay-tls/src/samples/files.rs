//! Files of tests, and the search for secrets in what was printed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A directory for one test, removed when it is dropped.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let path = loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("forebay-tls-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => break path,
                // A directory of a process that was killed and had the same number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        };
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            // A second panic would only hide the first.
            assert!(std::thread::panicking(), "{}: {error}", self.0.display());
        }
    }
}

/// Fails if a text contains a piece of a key, as base64, as hexadecimal or as a list of numbers.
#[track_caller]
pub(crate) fn assert_hides(text: &str, key_pem: &str) {
    let body: String = key_pem.lines().filter(|line| !line.starts_with("-----")).collect();
    for piece in pieces(body.as_bytes(), 12) {
        let piece = std::str::from_utf8(piece).unwrap();
        assert!(!text.contains(piece), "{text} shows {piece}");
    }
    let der = rustls_pki_types::pem::PemObject::from_pem_slice(key_pem.as_bytes());
    let der: rustls_pki_types::PrivateKeyDer<'_> = der.unwrap();
    for piece in pieces(der.secret_der(), 6) {
        let hexadecimal = format!("{piece:02x?}").replace(['[', ',', ' ', ']'], "");
        assert!(!text.to_lowercase().contains(&hexadecimal), "{text} shows {hexadecimal}");
        let numbers = format!("{piece:?}");
        let numbers = numbers.trim_matches(['[', ']']);
        assert!(!text.contains(numbers), "{text} shows {numbers}");
    }
}

fn pieces(bytes: &[u8], length: usize) -> impl Iterator<Item = &[u8]> {
    assert!(bytes.len() > length, "there is a key to look for");
    bytes.windows(length)
}
