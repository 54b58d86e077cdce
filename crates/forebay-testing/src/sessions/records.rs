//! Records as they are on the wire (RFC 8446, section 5.1).

pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const DATA: u8 = 23;

const HEADER_BYTES: usize = 5;

/// Returns a record without protection.
pub fn plain_record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a record's length has 16 bits");
    let mut record = vec![kind, 3, 3];
    record.extend_from_slice(&length.to_be_bytes());
    record.extend_from_slice(payload);
    record
}

/// Cuts a stream into its records, headers included.
pub fn records(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !stream.is_empty() {
        let length = usize::from(u16::from_be_bytes([stream[3], stream[4]]));
        let (record, rest) = stream.split_at(HEADER_BYTES + length);
        found.push(record);
        stream = rest;
    }
    found
}

/// Returns the level and the description of an unencrypted alert.
pub fn alert(record: &[u8]) -> (u8, u8) {
    assert_eq!((record[0], record.len()), (ALERT, HEADER_BYTES + 2), "a plain alert: {record:?}");
    (record[5], record[6])
}
