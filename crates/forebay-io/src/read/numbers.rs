//! Numbers of fixed size, big-endian unless the name ends in `_le`.

use super::ByteReadChannel;
use crate::Result;

macro_rules! read_numbers {
    ($($name:ident $name_le:ident $type:ty, $bytes:literal, $article:literal, $alias:literal;)*) => {
        impl ByteReadChannel {$(
            #[doc = concat!("Reads ", $article, " `", stringify!($type), "` (", $bytes, ", big-endian).")]
            ///
            /// # Errors
            ///
            /// [`UnexpectedEnd`](crate::ErrorKind::UnexpectedEnd) if the input ends first (the bytes before
            /// the end stay readable), or the connection's error.
            ///
            /// # Cancel safety
            ///
            /// Lossless: the bytes leave the channel together.
            #[doc(alias = $alias)]
            pub async fn $name(&mut self) -> Result<$type> {
                Ok(<$type>::from_be_bytes(self.read_array(stringify!($name)).await?))
            }

            #[doc = concat!("Reads ", $article, " `", stringify!($type), "` (", $bytes, ", little-endian).")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($name), "`](Self::", stringify!($name), ").")]
            ///
            /// # Cancel safety
            ///
            /// Lossless: the bytes leave the channel together.
            pub async fn $name_le(&mut self) -> Result<$type> {
                Ok(<$type>::from_le_bytes(self.read_array(stringify!($name_le)).await?))
            }
        )*}
    };
}

read_numbers! {
    read_u16 read_u16_le u16, "two bytes", "a", "readShort";
    read_u32 read_u32_le u32, "four bytes", "a", "readInt";
    read_u64 read_u64_le u64, "eight bytes", "a", "readLong";
    read_i16 read_i16_le i16, "two bytes", "an", "readShort";
    read_i32 read_i32_le i32, "four bytes", "an", "readInt";
    read_i64 read_i64_le i64, "eight bytes", "an", "readLong";
    read_f32 read_f32_le f32, "four bytes", "an", "readFloat";
    read_f64 read_f64_le f64, "eight bytes", "an", "readDouble";
}

impl ByteReadChannel {
    /// Reads a byte.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEnd`](crate::ErrorKind::UnexpectedEnd) at the end, or the connection's error.
    ///
    /// # Cancel safety
    ///
    /// Lossless: the byte leaves the channel in the poll that returns it.
    #[doc(alias = "readByte")]
    pub async fn read_u8(&mut self) -> Result<u8> {
        let [byte] = self.read_array("read_u8").await?;
        Ok(byte)
    }

    /// Reads a byte as a signed number.
    ///
    /// # Errors
    ///
    /// Those of [`read_u8`](Self::read_u8).
    ///
    /// # Cancel safety
    ///
    /// Lossless, as [`read_u8`](Self::read_u8).
    pub async fn read_i8(&mut self) -> Result<i8> {
        Ok(i8::from_be_bytes(self.read_array("read_i8").await?))
    }

    async fn read_array<const N: usize>(&mut self, operation: &'static str) -> Result<[u8; N]> {
        self.need(operation, N).await?;
        let mut array = [0; N];
        array.copy_from_slice(self.buffer.take(N));
        self.buffer.end_call();
        Ok(array)
    }
}
