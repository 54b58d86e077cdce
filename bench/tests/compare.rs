//! `compare` measures each workload with each server that is built here.

use std::process::Command;

/// Without the ones that want a compiler of Go, or a kernel with `io_uring(7)`.
const SERVERS: &str = "tokio,tokio,epoll,smol,forebay,forebay-in-tokio";

fn compare(workload: &str, connections: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_compare"))
        .args(["--servers", SERVERS, "--workload", workload, "--connections", connections])
        .args(["--rounds", "3", "--slice", "20"])
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    assert!(complaints.is_empty(), "{complaints}");
    String::from_utf8(output.stdout).unwrap()
}

/// The numbers of a table's rows; the ratios are to the first row.
fn check(table: &str, columns: usize) {
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), 6, "{table}");
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), columns, "{table}");
        let number = |cell: &str| -> f64 {
            cell.split([' ', ',']).next().and_then(|first| first.parse().ok()).expect(row)
        };
        assert!(cells[1..].iter().all(|cell| number(cell) > 0.0), "{table}");
    }
    assert!(rows[0].contains("| 1.000 (1.000 to 1.000) |"), "{table}");
}

#[test]
fn each_workload_is_measured() {
    check(&compare("echo", "4"), 6);
    for table in compare("lines", "4").split("\n\n\n") {
        table.split("\n\nlines").for_each(|table| check(table, 6));
    }
    check(&compare("connect", "1"), 5);
    check(&compare("bulk", "1"), 5);
    check(&compare("datagrams", "8"), 5);
}

#[test]
fn what_is_not_known_is_refused_by_its_name() {
    for arguments in [["--workload", "poetry"], ["--connections", "many"], ["--colour", "red"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_compare")).args(arguments).output().unwrap();
        assert!(!output.status.success());
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(arguments.iter().any(|argument| complaint.contains(argument)), "{complaint}");
    }
}
