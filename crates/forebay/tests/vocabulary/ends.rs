//! Things that are read and written by blocking, under a test's control.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::lock;

pub(crate) fn pattern(bytes: usize) -> Vec<u8> {
    (0..=250).cycle().take(bytes).collect()
}

/// A file of its own for every test.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("forebay-{}-{test}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.0).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// A place that bytes are written to and a test looks at.
#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Written>>);

#[derive(Default)]
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    /// Bytes there at the last flush.
    pub(crate) flushed: usize,
    pub(crate) dropped: bool,
}

impl Sink {
    pub(crate) fn writer(&self) -> SinkWriter {
        SinkWriter(self.clone())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.written().bytes.clone()
    }

    pub(crate) fn written(&self) -> MutexGuard<'_, Written> {
        lock(&self.0)
    }
}

pub(crate) struct SinkWriter(Sink);

impl Write for SinkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0.0).bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut written = lock(&self.0.0);
        written.flushed = written.bytes.len();
        Ok(())
    }
}

impl Drop for SinkWriter {
    fn drop(&mut self) {
        lock(&self.0.0).dropped = true;
    }
}

/// A gate that threads block at.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<usize>, Condvar)>);

impl Gate {
    /// Lets so many through.
    pub(crate) fn open(&self, count: usize) {
        *lock(&self.0.0) += count;
        self.0.1.notify_all();
    }

    pub(crate) fn pass(&self) {
        let mut open = lock(&self.0.0);
        while *open == 0 {
            open = self.0.1.wait(open).unwrap();
        }
        *open -= 1;
    }
}

/// Reads what a test sends it, blocking.
pub(crate) struct Told {
    chunks: Receiver<io::Result<Vec<u8>>>,
    pub(crate) reads: Arc<AtomicUsize>,
}

impl Told {
    pub(crate) fn new() -> (Self, Sender<io::Result<Vec<u8>>>, Arc<AtomicUsize>) {
        let (sender, chunks) = mpsc::channel();
        let reads = Arc::<AtomicUsize>::default();
        (Self { chunks, reads: Arc::clone(&reads) }, sender, reads)
    }
}

impl Read for Told {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads.fetch_add(1, SeqCst);
        match self.chunks.recv() {
            Ok(chunk) => {
                let chunk = chunk?;
                buffer[..chunk.len()].copy_from_slice(&chunk);
                Ok(chunk.len())
            }
            Err(_) => Ok(0),
        }
    }
}
