//! Every public type is `Send + Sync`, and every future `Send`.

use bytes::Bytes;
use forebay_io::{
    ByteReadChannel, ByteWriteChannel, Delimiter, Error, ErrorKind, Fault, ItemBuffer, LineEnding,
    LineOptions, Packet, ReadExact, TooLong, pipe, seam,
};

fn shared<T: Send + Sync>() {}

#[test]
fn every_public_type_is_send_and_sync() {
    shared::<ByteReadChannel>();
    shared::<ByteWriteChannel>();
    shared::<Error>();
    shared::<ErrorKind>();
    shared::<Fault>();
    shared::<Delimiter<'static>>();
    shared::<LineEnding>();
    shared::<LineOptions>();
    shared::<TooLong>();
    shared::<Packet>();
    shared::<ReadExact<'static>>();
    shared::<ItemBuffer>();
    shared::<seam::WakeList>();
    shared::<seam::BlockLedger>();
    shared::<seam::Cause>();
    shared::<seam::Filled>();
    shared::<seam::Inlet<'static>>();
    shared::<seam::Outbox>();
    shared::<seam::SendQueue>();
    shared::<seam::Until>();
    shared::<seam::WaiterKey>();
    shared::<seam::Waiters<u64>>();
    shared::<Box<dyn seam::Drain>>();
    shared::<Box<dyn seam::Source>>();
    shared::<Box<dyn seam::FlushSchedule>>();
}

fn sent<F: Future + Send>(future: F) {
    drop(future);
}

macro_rules! all_sent {
    ($channel:ident: $($name:ident($($argument:expr),*);)*) => {
        $(sent($channel.$name($($argument),*));)*
    };
}

#[test]
fn every_future_of_a_reader_is_send() {
    let (mut input, mut output) = pipe(1);
    let (mut line, mut slice) = (String::new(), [0; 4]);
    all_sent! { input:
        read_line(); read_line_ref(); read_line_into(&mut line); read_lines_ref();
        read_line_bytes_ref(); skip_line();
        read(&mut slice); read_exact(&mut slice); read_chunk(); read_packet(1); read_remaining(1);
        read_up_to(1); discard(1); discard_exact(1); copy_to(&mut output);
        peek(1); await_content(1); exhausted(); skip_if_found(&[1]);
        read_until(&[1], 1); read_until_into(&[1], &mut Vec::new(), 1);
        read_u8(); read_i8();
        read_u16(); read_u16_le(); read_i16(); read_i16_le();
        read_u32(); read_u32_le(); read_i32(); read_i32_le();
        read_u64(); read_u64_le(); read_i64(); read_i64_le();
        read_f32(); read_f32_le(); read_f64(); read_f64_le();
    }
}

#[test]
fn every_future_of_a_writer_is_send() {
    let (_input, mut output) = pipe(1);
    all_sent! { output:
        write_str(""); write_strs(&[]); write_all(&[]); write_bytes(Bytes::new());
        write_packet(Packet::default()); write_with(|out| out.put_u8(1)); flush(); finish();
        write_u8(1); write_i8(1);
        write_u16(1); write_u16_le(1); write_i16(1); write_i16_le(1);
        write_u32(1); write_u32_le(1); write_i32(1); write_i32_le(1);
        write_u64(1); write_u64_le(1); write_i64(1); write_i64_le(1);
        write_f32(1.0); write_f32_le(1.0); write_f64(1.0); write_f64_le(1.0);
    }
    let name = String::from("Ada");
    sent(forebay_io::write_fmt!(output, "Hello, {name}!\n"));
    sent(forebay_io::write_line!(output, "Hello, {name}!"));
    sent(forebay_io::write_line!(output));
}

#[test]
fn the_wait_of_an_outbox_is_send() {
    fn waits(outbox: &seam::Outbox) {
        sent(outbox.wait(seam::Until::Room));
    }
    let _: fn(&seam::Outbox) = waits;
}
