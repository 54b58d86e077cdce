//! Bytes that are sent without passing through the memory of this process: those of a file, and those that wait in
//! a pipe of the kernel.

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::io;

/// Bytes outside the memory of this process. A queue holds them in a [`KernelSegment`], which knows how many are left.
///
/// A drain that knows the type moves them by a call of the kernel. For every other drain the queue reads them into
/// its own memory first.
pub trait KernelBytes: Any + Send + Sync {
    /// Moves the next bytes into memory, and returns their number; zero if there are none, against the expectation.
    ///
    /// # Errors
    ///
    /// The error of the file or the pipe.
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize>;
}

/// Bytes outside the memory of this process, and their number, which is at least one.
pub struct KernelSegment {
    pub(crate) len: usize,
    pub(crate) bytes: Box<dyn KernelBytes>,
}

impl KernelSegment {
    /// Makes a segment of `len` bytes; `None` if there are none.
    pub fn new(bytes: Box<dyn KernelBytes>, len: usize) -> Option<Self> {
        (len > 0).then_some(Self { len, bytes })
    }
}

impl fmt::Debug for KernelSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelSegment").field("len", &self.len).finish_non_exhaustive()
    }
}

/// The bytes of a file, from an offset on. The position of the descriptor is neither used nor moved, except on
/// Windows.
#[derive(Debug)]
pub struct FileBytes {
    /// The file.
    pub file: File,
    /// The offset of the next byte.
    pub offset: u64,
}

impl KernelBytes for FileBytes {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let count = loop {
            match read_at(&self.file, space, self.offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(unix)]
pub(crate) fn read_at(file: &File, space: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, space, offset)
}

#[cfg(windows)]
pub(crate) fn read_at(file: &File, space: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, space, offset)
}
