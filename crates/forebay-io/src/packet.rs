//! A bounded piece of input with a cursor.

use std::fmt;

use bytes::{Buf, Bytes};

use crate::{Error, ErrorKind, Result};

/// Bytes that were received together, read from the front.
///
/// A peer may send less than it should, so every read is fallible and none panics. A failed read consumes
/// nothing.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// use forebay::Packet;
///
/// let mut packet = Packet::from(vec![0, 3, b'a', b'b', b'c', 9]);
/// let name = packet.read_u16().and_then(|length| packet.read_bytes(length.into()))?;
/// assert_eq!(name, "abc");
/// assert_eq!(packet.read_u8()?, 9);
/// assert!(packet.read_u8().is_err_and(|error| error.is_end()));
/// # forebay::Result::Ok(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Packet(Bytes);

impl Packet {
    /// Returns the number of bytes not read yet.
    #[doc(alias = "remaining")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `true` if everything has been read.
    #[doc(alias = "exhausted")]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes not read yet.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes not read yet, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Takes the next `count` bytes, without a copy.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEnd`](ErrorKind::UnexpectedEnd) if there are fewer.
    pub fn read_bytes(&mut self, count: usize) -> Result<Bytes> {
        self.check("read_bytes", count)?;
        Ok(self.0.split_to(count))
    }

    /// Takes the next `count` bytes as text.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEnd`](ErrorKind::UnexpectedEnd) if there are fewer,
    /// [`InvalidUtf8`](ErrorKind::InvalidUtf8) if they are not UTF-8.
    #[doc(alias = "readText")]
    pub fn read_string(&mut self, count: usize) -> Result<String> {
        self.check("read_string", count)?;
        let text = std::str::from_utf8(&self.0[..count]).map_err(|error| {
            let kind = ErrorKind::InvalidUtf8 { offset: error.valid_up_to() as u64 };
            Error::new(kind, "read_string")
        })?;
        let text = text.to_owned();
        self.0.advance(count);
        Ok(text)
    }

    /// Skips the next `count` bytes.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEnd`](ErrorKind::UnexpectedEnd) if there are fewer.
    pub fn skip(&mut self, count: usize) -> Result<()> {
        self.check("skip", count)?;
        self.0.advance(count);
        Ok(())
    }

    fn check(&self, operation: &'static str, needed: usize) -> Result<()> {
        if self.0.len() >= needed {
            return Ok(());
        }
        let available = self.0.len() as u64;
        let kind = ErrorKind::UnexpectedEnd { needed: needed as u64, available };
        Err(Error::new(kind, operation))
    }

    fn read_array<const N: usize>(&mut self, operation: &'static str) -> Result<[u8; N]> {
        self.check(operation, N)?;
        let mut array = [0; N];
        self.0.copy_to_slice(&mut array);
        Ok(array)
    }
}

macro_rules! packet_numbers {
    ($($name:ident $name_le:ident $type:ty;)*) => {
        impl Packet {$(
            #[doc = concat!("Takes the next bytes as a big-endian `", stringify!($type), "`.")]
            ///
            /// # Errors
            ///
            /// [`UnexpectedEnd`](ErrorKind::UnexpectedEnd) if there are too few.
            pub fn $name(&mut self) -> Result<$type> {
                Ok(<$type>::from_be_bytes(self.read_array(stringify!($name))?))
            }

            #[doc = concat!("Takes the next bytes as a little-endian `", stringify!($type), "`.")]
            ///
            /// # Errors
            ///
            /// [`UnexpectedEnd`](ErrorKind::UnexpectedEnd) if there are too few.
            pub fn $name_le(&mut self) -> Result<$type> {
                Ok(<$type>::from_le_bytes(self.read_array(stringify!($name_le))?))
            }
        )*}
    };
}

packet_numbers! {
    read_u16 read_u16_le u16;
    read_u32 read_u32_le u32;
    read_u64 read_u64_le u64;
    read_i16 read_i16_le i16;
    read_i32 read_i32_le i32;
    read_i64 read_i64_le i64;
    read_f32 read_f32_le f32;
    read_f64 read_f64_le f64;
}

impl Packet {
    /// Takes the next byte.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEnd`](ErrorKind::UnexpectedEnd) if there is none.
    pub fn read_u8(&mut self) -> Result<u8> {
        let [byte] = self.read_array("read_u8")?;
        Ok(byte)
    }

    /// Takes the next byte as a signed number.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEnd`](ErrorKind::UnexpectedEnd) if there is none.
    pub fn read_i8(&mut self) -> Result<i8> {
        Ok(i8::from_be_bytes(self.read_array("read_i8")?))
    }
}

impl AsRef<[u8]> for Packet {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Packet {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Packet {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Packet> for Bytes {
    fn from(packet: Packet) -> Self {
        packet.0
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet").field("len", &self.0.len()).finish()
    }
}
