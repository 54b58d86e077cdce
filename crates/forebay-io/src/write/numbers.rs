//! Numbers of fixed size, big-endian unless the name ends in `_le`.

use super::ByteWriteChannel;
use crate::Result;

macro_rules! write_numbers {
    ($($name:ident $name_le:ident $type:ty, $bytes:literal, $article:literal, $alias:literal;)*) => {
        impl ByteWriteChannel {$(
            #[doc = concat!("Writes ", $article, " `", stringify!($type), "` (", $bytes, ", big-endian).")]
            ///
            /// # Errors
            ///
            /// Those of [`write_str`](Self::write_str).
            ///
            /// # Cancel safety
            ///
            /// Lossless: a call that is dropped before it returned has written nothing.
            #[doc(alias = $alias)]
            pub async fn $name(&mut self, number: $type) -> Result<()> {
                let bytes = number.to_be_bytes();
                self.write_item(&bytes[..]).await
            }

            #[doc = concat!("Writes ", $article, " `", stringify!($type), "` (", $bytes, ", little-endian).")]
            ///
            /// # Errors
            ///
            /// Those of [`write_str`](Self::write_str).
            ///
            /// # Cancel safety
            ///
            /// Lossless: a call that is dropped before it returned has written nothing.
            pub async fn $name_le(&mut self, number: $type) -> Result<()> {
                let bytes = number.to_le_bytes();
                self.write_item(&bytes[..]).await
            }
        )*}
    };
}

write_numbers! {
    write_u16 write_u16_le u16, "two bytes", "a", "writeShort";
    write_u32 write_u32_le u32, "four bytes", "a", "writeInt";
    write_u64 write_u64_le u64, "eight bytes", "a", "writeLong";
    write_i16 write_i16_le i16, "two bytes", "an", "writeShort";
    write_i32 write_i32_le i32, "four bytes", "an", "writeInt";
    write_i64 write_i64_le i64, "eight bytes", "an", "writeLong";
    write_f32 write_f32_le f32, "four bytes", "an", "writeFloat";
    write_f64 write_f64_le f64, "eight bytes", "an", "writeDouble";
}

impl ByteWriteChannel {
    /// Writes a byte.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str).
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing.
    #[doc(alias = "writeByte")]
    pub async fn write_u8(&mut self, byte: u8) -> Result<()> {
        self.write_item(&[byte][..]).await
    }

    /// Writes a byte given as a signed number.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str).
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing.
    pub async fn write_i8(&mut self, byte: i8) -> Result<()> {
        self.write_item(&byte.to_be_bytes()[..]).await
    }
}
