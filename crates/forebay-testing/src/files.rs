//! Files that are gone when they are closed.

use std::fs::{self, File};
use std::io::Write;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Makes a file of this content that has no name any more, open for both.
pub fn nameless_file(content: &[u8]) -> File {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Relaxed);
    let path = std::env::temp_dir().join(format!("forebay-nameless-{}-{number}", process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    fs::remove_file(path).unwrap();
    file.write_all(content).unwrap();
    file
}
