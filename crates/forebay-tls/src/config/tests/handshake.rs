//! Both sides of a handshake, in memory and on one thread.

use rustls::Error;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};

/// The two types have this call each for itself.
trait Process {
    type Data;
    fn process<'i>(&mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'_, 'i, Self::Data>;
}

impl Process for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    fn process<'i>(&mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'_, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

impl Process for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    fn process<'i>(&mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'_, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

/// Drives both sides until neither has anything to say. What comes behind the handshake, tickets
/// for instance, has arrived then.
pub(super) fn shake(
    client: &mut UnbufferedClientConnection,
    server: &mut UnbufferedServerConnection,
) -> Result<(), Error> {
    let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
    loop {
        step(client, &mut to_client, &mut to_server)?;
        step(server, &mut to_server, &mut to_client)?;
        if to_client.is_empty() && to_server.is_empty() {
            return Ok(());
        }
    }
}

/// Runs one side until it waits for the other.
fn step(
    side: &mut impl Process,
    incoming: &mut Vec<u8>,
    outgoing: &mut Vec<u8>,
) -> Result<(), Error> {
    loop {
        let had = incoming.len();
        let status = side.process(incoming);
        let mut discard = status.discard;
        let mut waits = false;
        match status.state? {
            ConnectionState::EncodeTlsData(mut data) => {
                let mut record = vec![0; 64];
                let length = loop {
                    match data.encode(&mut record) {
                        Ok(length) => break length,
                        Err(EncodeError::InsufficientSize(needs)) => {
                            record.resize(needs.required_size, 0);
                        }
                        Err(error) => panic!("{error}"),
                    }
                };
                outgoing.extend_from_slice(&record[..length]);
            }
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::BlockedHandshake => waits = true,
            ConnectionState::WriteTraffic(_) => waits = discard == 0 || discard == had,
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    discard += record?.discard;
                }
            }
            _ => panic!("neither side closes"),
        }
        incoming.drain(..discard);
        if waits {
            return Ok(());
        }
    }
}
