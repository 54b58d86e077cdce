//! Blocking readers and writers under a test's control.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::lock;

/// A file of its own for every test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(test: &str) -> Self {
        let name = format!("forebay-{}-{test}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.0).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// A target of written bytes that a test looks at.
#[derive(Clone, Default)]
pub struct Sink(Arc<Mutex<Written>>);

#[derive(Default)]
pub struct Written {
    pub bytes: Vec<u8>,
    /// The number of bytes at the last flush.
    pub flushed: usize,
    pub dropped: bool,
}

impl Sink {
    pub fn writer(&self) -> SinkWriter {
        SinkWriter(self.clone())
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.written().bytes.clone()
    }

    pub fn written(&self) -> MutexGuard<'_, Written> {
        lock(&self.0)
    }
}

pub struct SinkWriter(Sink);

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
pub struct Gate(Arc<(Mutex<usize>, Condvar)>);

impl Gate {
    /// Lets this many threads through.
    pub fn open(&self, count: usize) {
        *lock(&self.0.0) += count;
        self.0.1.notify_all();
    }

    pub fn pass(&self) {
        let mut open = lock(&self.0.0);
        while *open == 0 {
            open = self.0.1.wait(open).unwrap();
        }
        *open -= 1;
    }
}

/// Reads the bytes that a test sends it, blocking.
pub struct Told {
    chunks: Receiver<io::Result<Vec<u8>>>,
    pub reads: Arc<AtomicUsize>,
}

impl Told {
    pub fn new() -> (Self, Sender<io::Result<Vec<u8>>>, Arc<AtomicUsize>) {
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
