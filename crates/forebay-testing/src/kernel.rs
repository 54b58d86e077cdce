//! The kernel's information on connections and processes, read from `/proc`.

use std::collections::HashSet;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A row of `/proc/net/tcp`.
#[derive(Debug, Clone, Copy)]
pub struct TcpRow {
    pub state: TcpState,
    /// Bytes that the other side has not acknowledged.
    pub unacknowledged: usize,
    /// Bytes that have arrived and were not received by the process.
    pub unread: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpState {
    Established,
    /// Returns `true` if the end mark was sent and acknowledged.
    FinWait2,
    Other,
}

/// Returns this end of a connection.
pub fn connection(stream: &TcpStream) -> Option<TcpRow> {
    connection_between(stream.local_addr().unwrap(), stream.peer_addr().unwrap())
}

/// Returns the other end of a connection within this machine.
pub fn other_end(stream: &TcpStream) -> Option<TcpRow> {
    connection_between(stream.peer_addr().unwrap(), stream.local_addr().unwrap())
}

/// Returns the numbers of bytes that the peers of a listener's connections have not acknowledged, where not
/// zero: bytes in the kernel, by connection.
pub fn unacknowledged_from(port: u16) -> Vec<usize> {
    let (local, table) = (format!(":{port:04X}"), fs::read_to_string("/proc/net/tcp").unwrap());
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = rows.filter(|fields| fields[1].ends_with(&local));
    let bytes = ours.map(|fields| {
        let (unacknowledged, _) = fields[4].split_once(':').unwrap();
        usize::from_str_radix(unacknowledged, 16).unwrap()
    });
    bytes.filter(|bytes| *bytes > 0).collect()
}

/// Returns `true` if this kernel does not know this end of a connection any more.
pub fn is_gone(local: SocketAddr, remote: SocketAddr) -> bool {
    connection_between(local, remote).is_none()
}

/// Returns `true` if this kernel does not know any of these ends, local address first, any more. They are
/// looked up together, because the table may be long.
pub fn are_gone(ends: &[(SocketAddr, SocketAddr)]) -> bool {
    let ends: HashSet<_> =
        ends.iter().map(|(local, remote)| (address(*local), address(*remote))).collect();
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    !table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1).map(str::to_owned);
        fields.next().zip(fields.next()).is_some_and(|end| ends.contains(&end))
    })
}

/// Returns the number of connections that are being made to this address: the first step is sent, and not answered.
pub fn connecting_to(remote: SocketAddr) -> usize {
    const SYN_SENT: &str = "02";
    let (row, table) =
        (format!(" {} {SYN_SENT} ", address(remote)), fs::read_to_string("/proc/net/tcp").unwrap());
    table.lines().filter(|line| line.contains(&row)).count()
}

/// Returns the end of a connection that has this address and is connected to that one.
pub fn connection_between(local: SocketAddr, remote: SocketAddr) -> Option<TcpRow> {
    // Searched as one text: it may have tens of thousands of rows, of connections that have ended.
    let ends = format!(" {} {} ", address(local), address(remote));
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let fields: Vec<_> = table[table.find(&ends)?..].split_whitespace().take(4).collect();
    let (unacknowledged, unread) = fields[3].split_once(':').unwrap();
    Some(TcpRow {
        state: match fields[2] {
            "01" => TcpState::Established,
            "05" => TcpState::FinWait2,
            _ => TcpState::Other,
        },
        unacknowledged: usize::from_str_radix(unacknowledged, 16).unwrap(),
        unread: usize::from_str_radix(unread, 16).unwrap(),
    })
}

/// Returns an address as the table writes it: the number as it is in memory, then the port.
fn address(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else {
        panic!("the tests speak IPv4");
    };
    let number = u32::from_ne_bytes(address.ip().octets());
    format!("{number:08X}:{:04X}", address.port())
}

/// Returns the memory of a process in KiB: now, and the most it ever had.
pub fn memory_of(process: u32) -> (usize, usize) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.unwrap().parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Returns the time that the threads of a process have spent on a processor (`/proc/PID/task/*/schedstat`).
pub fn processor_time_of(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanoseconds = threads.map(|thread| {
        // A thread may end in the meantime.
        let stat = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        stat.split(' ').next().map_or(0, |first| first.parse().unwrap_or(0))
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Returns the time that this thread has spent on a processor.
pub fn processor_time_here() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// Returns `true` if every thread of a process sleeps.
pub fn sleeps(process: u32) -> bool {
    fs::read_dir(format!("/proc/{process}/task")).unwrap().all(|thread| {
        let stat = fs::read_to_string(thread.unwrap().path().join("stat")).unwrap_or_default();
        // The state is behind the name, which is in parentheses and may hold anything.
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('S'))
    })
}
